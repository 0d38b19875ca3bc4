//! Random pairs of configurations: what is said of a request is what its clients meet, each of them
//! decided by both configurations as a whole.

use fastrand::Rng;
use serde_json::{Value, json};

use super::super::client::Client;
use super::super::described::Carried;
use super::*;
use crate::movement::Kept;

const PAIRS: u64 = 400;
const KEYS: u64 = 60;

#[test]
fn what_is_said_of_a_request_is_what_each_of_its_clients_meets() {
    for seed in 0..PAIRS {
        let mut rng = Rng::with_seed(seed);
        let old = configuration(&mut rng);
        let new = if rng.u8(..4) == 0 { configuration(&mut rng) } else { changed(&mut rng, &old) };
        let arguments = arguments(&mut rng);
        let keys = match rng.bool() {
            true => Source::Sequence(KEYS),
            false => Source::Lines(
                (0..KEYS)
                    .map(|it| format!("{it}\nann-{it}\nuser-{it}\n10.0.0.{it}\n"))
                    .collect::<String>()
                    .into(),
            ),
        };
        assert_is_so([&old, &new].map(Value::to_string), &arguments, &keys, seed);
    }
}

fn assert_is_so([old, new]: [String; 2], arguments: &[&str], keys: &Source, seed: u64) {
    let arguments = ["diff", "-f", "old", "-f", "new"].iter().chain(arguments);
    let diff = Command::try_parse_from(arguments).unwrap().diff;
    let (old, new) = (checked(&old, 0), checked(&new, 0));
    let routes = Routes::default();
    let by_cluster = variants::is_by_cluster(&old.config, &new.config);
    let sides = [&old, &new].map(|it| Side::new(it, &routes, by_cluster).unwrap());
    let sides = sides.each_ref();
    let report = diff.compare(sides, keys).unwrap();
    let configs = [&old.config, &new.config];
    let pairs = pairs::pairs(configs[0], configs[1], &[]);
    let carried = compare::carried(&pairs, configs);
    let accepted = compare::accepted(configs);
    let persisted = diff.persisted && old.config.hold.is_none();
    let kept = if persisted { compare::kept(&pairs) } else { Vec::new() };
    let requests = diff.requests(configs, &pairs, &carried).unwrap();
    for request in &requests {
        let moved = moved(sides, request, (&carried, &accepted), keys, &kept);
        let name = request.to_string();
        let said = report.requests.iter().find(|group| group.requests.contains(&name)).unwrap();
        assert!(
            (said.moved - moved).abs() < 1e-9,
            "seed {seed}: {name}: {} is said, {moved} move\n{}\n{}",
            said.moved,
            serde_json::to_string(&old.tree).unwrap(),
            serde_json::to_string(&new.tree).unwrap()
        );
    }
}

/// The share of the clients who move.
fn moved(
    [before, after]: [&Side<'_>; 2],
    request: &Described,
    (carried, accepted): (&Carried, &[String]),
    keys: &Source,
    kept: &[Kept<'_>],
) -> f64 {
    let shapes = [&carried.issued[..], accepted].map(|ids| request.shape(carried, ids));
    let mut client = Client::default();
    let mut moved = 0;
    keys.for_each(|key| {
        client.set(key);
        let [mut old, mut new] = shapes.each_ref().map(|shape| shape.request());
        shapes[0].fill(&client, &mut old);
        shapes[1].fill(&client, &mut new);
        let from = before.place(&old, &mut client.chance(0));
        if let Some(it) = kept.iter().find(|it| from.rule == Some(it.rule)) {
            let text = from.variant.map(str::to_owned).or(from.point.map(|it| it.to_string()));
            let cookie = text.map(|text| format!("{}={text}", it.cookie.cookie.name));
            new.headers.extend(cookie.map(|cookie| ("cookie".to_owned(), cookie.into_bytes())));
        }
        let to = after.place(&new, &mut client.chance(0));
        moved += u64::from(from.at != to.at);
    });
    moved as f64 / keys.count() as f64
}

fn arguments(rng: &mut Rng) -> Vec<&'static str> {
    let mut arguments = Vec::new();
    if rng.u8(..3) == 0 {
        arguments.push("--persisted");
    }
    if rng.bool() {
        for _ in 0..rng.usize(1..6) {
            let request = [
                "/",
                "/a",
                "/a?split=b",
                "/ | cookie: force=b",
                "/ | cookie: kept=c; u={key}",
                "/ | cookie: kept=c",
                "/ | x: {key}",
                "/ | x: ann-1",
                "POST /a/b | host: h",
                "/ | sourceIp: 10.0.0.1",
                "/?q={key}",
                "/ | baggage: m=ann-1",
                "/?split={key}",
            ];
            arguments.extend(["--request", rng.choice(request).unwrap()]);
        }
    }
    arguments
}

/// A configuration that the filter takes.
fn configuration(rng: &mut Rng) -> Value {
    std::iter::repeat_with(|| written(rng)).find(is_taken).unwrap()
}

fn is_taken(config: &Value) -> bool {
    traffic_split::Plan::compile(config.to_string().as_bytes(), &|_| None).is_ok()
}

fn written(rng: &mut Rng) -> Value {
    let rules: Vec<_> = (0..rng.usize(1..5)).map(|place| rule(rng, &format!("r{place}"))).collect();
    let mut config = json!({
        "clusterHeader": "c", "variantHeader": "v", "rules": rules,
        "variants": { "a": { "cluster": "1" }, "b": { "cluster": "2" }, "c": { "cluster": "3" } },
    });
    if rng.u8(..20) == 0 {
        config["hold"] = json!("a");
    }
    config
}

fn changed(rng: &mut Rng, old: &Value) -> Value {
    let mut new = old.clone();
    for _ in 0..rng.usize(1..3) {
        let rules = new["rules"].as_array_mut().unwrap();
        let place = rng.usize(..rules.len());
        let fresh = rule(rng, rules[place]["name"].as_str().unwrap());
        match rng.u8(..9) {
            0 => rules[place] = fresh,
            1 if rules.len() > 1 => drop(rules.remove(place)),
            2 => rules.rotate_left(place),
            3 => rules[place]["name"] = json!("other"),
            4 if rules[place]["sticky"]["key"].is_array() => {
                rules[place]["sticky"]["key"].as_array_mut().unwrap().reverse()
            }
            5 => new["variants"]["b"]["cluster"] = json!("3"),
            6 if rules[place].get("split").is_some() => rules[place]["split"] = split(rng),
            7 => rules[place]["match"] = matches(rng),
            _ => {
                for field in ["sticky", "override", "persist"] {
                    if let (Some(value), Some(_)) = (fresh.get(field), rules[place].get(field)) {
                        rules[place][field] = value.clone();
                    }
                }
            }
        }
    }
    if is_taken(&new) { new } else { old.clone() }
}

fn split(rng: &mut Rng) -> Value {
    json!({ "a": rng.u8(1..10), "b": rng.u8(..10), "c": rng.u8(..5) })
}

fn rule(rng: &mut Rng, name: &str) -> Value {
    let mut rule = json!({ "name": name });
    if rng.u8(..3) > 0 {
        rule["match"] = matches(rng);
    }
    if rng.u8(..6) == 0 {
        rule["mode"] = json!("shadow");
    }
    let kind = rng.u8(..8);
    if kind < 2 {
        rule["to"] = json!(rng.choice(["a", "b", "c"]).unwrap());
    } else {
        rule["split"] = split(rng);
        if rng.u8(..4) == 0 {
            rule["persist"] = json!({ "cookie": "kept", "maxAge": "1d", "drain": rng.bool() });
        }
    }
    let layered = rng.u8(..4) == 0;
    if layered {
        let start = rng.u8(..50);
        rule["layer"] = json!(format!("l{name}"));
        rule["slice"] = json!([start, start + rng.u8(10..50)]);
    }
    if layered || kind >= 2 && rng.u8(..8) > 0 {
        rule["sticky"] = sticky(rng);
    }
    if rng.u8(..4) == 0 {
        rule["override"] =
            json!({ "queryParam": "split", "cookie": "force", "maxAge": "1d", "variants": ["b"] });
    }
    rule
}

fn sticky(rng: &mut Rng) -> Value {
    let mut keys = vec![
        json!({ "cookie": "u" }),
        json!({ "header": "x" }),
        json!({ "queryParam": "q" }),
        json!({ "sourceIp": true }),
        json!({ "cookie": "p", "decode": "percent", "json": "a.b" }),
        json!({ "baggage": "m" }),
    ];
    rng.shuffle(&mut keys);
    keys.truncate(rng.usize(1..4));
    let mut sticky = json!({ "key": keys });
    if rng.u8(..4) == 0 {
        sticky["issue"] = json!({ "cookie": "id", "maxAge": "1d" });
    }
    if rng.u8(..3) == 0 {
        sticky["salt"] = json!(rng.choice(["s", "t"]).unwrap());
    }
    if rng.u8(..6) == 0 {
        sticky["ignore"] = json!(["user-0", "user-1", "user-5", "7"][rng.usize(..4)..]);
    }
    sticky
}

fn matches(rng: &mut Rng) -> Value {
    (0..rng.usize(1..3)).map(|_| entry(rng)).collect()
}

fn entry(rng: &mut Rng) -> Value {
    let mut entry = json!({});
    for _ in 0..rng.usize(1..3) {
        let not = rng.u8(..4) == 0;
        let mut test = rng
            .choice([
                json!({ "exact": "ann-1" }),
                json!({ "in": ["user-3", "ann-2", "5"] }),
                json!({ "prefix": "user-1" }),
                json!({ "prefix": "user" }),
                json!({ "suffix": "1" }),
                json!({ "contains": "n-" }),
                json!({ "regex": "(user|ann)-[0-4].*" }),
                json!({ "range": { "start": 0, "end": 20 } }),
                json!({ "present": true }),
            ])
            .unwrap();
        test["not"] = json!(not);
        match rng.u8(..7) {
            0 => entry["headers"] = json!({ "x": test }),
            1 => entry["cookies"] = json!({ "u": test }),
            2 => entry["queryParams"] = json!({ "q": test }),
            3 => entry["baggage"] = json!({ "m": test }),
            4 => entry["path"] = json!({ "prefix": "/a", "not": not }),
            5 => {
                entry["sourceIp"] =
                    json!({ "in": [rng.choice(["10.0.0.0/30", "fd00::/9"]).unwrap()], "not": not })
            }
            _ => entry["method"] = json!({ "exact": "POST" }),
        }
    }
    entry
}
