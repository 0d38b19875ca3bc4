//! The index against trying each rule.

use fastrand::Rng;
use serde_json::{Value, json};

use crate::plan::Plan;
use crate::request::HeaderList;

/// Few, so that rules and requests often meet; some a prefix of another.
const VALUES: [&str; 6] = ["", "a", "b", "ab", "abc", "B"];
const PATHS: [&str; 6] = ["/", "/a", "/ab", "/a/b", "/b", "/A"];
const HOSTS: [&str; 6] = ["", "a", "b", "a:80", "A.", "b:8080"];
const HEADERS: [&str; 4] = ["x-a", "x-b", "x-c", "x-long-name"];

fn operator(rng: &mut Rng, texts: &[&str]) -> Value {
    let text = texts[1..][rng.usize(..texts.len() - 1)];
    let mut operator = match rng.u32(..8) {
        0..3 => json!({ "exact": text }),
        3 => json!({ "prefix": text }),
        4 => json!({ "in": [text, texts[0]] }),
        5 => json!({ "contains": text }),
        6 => json!({ "exact": text, "ignoreCase": true }),
        _ => json!({ "present": rng.bool() }),
    };
    if rng.u32(..6) == 0 {
        operator["not"] = true.into();
    }
    operator
}

fn entry(rng: &mut Rng) -> Value {
    let mut entry = json!({});
    while entry.as_object().unwrap().is_empty() {
        if rng.u32(..3) == 0 {
            let name = HEADERS[rng.usize(..HEADERS.len())];
            entry["headers"] = json!({ name: operator(rng, &VALUES) });
        }
        if rng.u32(..3) == 0 {
            let name = ["x", "y"][rng.usize(..2)];
            entry["cookies"] = json!({ name: operator(rng, &VALUES) });
        }
        if rng.u32(..3) == 0 {
            entry["path"] = operator(rng, &PATHS);
            if rng.bool() {
                let path = PATHS[rng.usize(..PATHS.len())];
                entry["path"] = json!({ "pathPrefix": path, "ignoreCase": rng.u32(..4) == 0 });
            }
        }
        if rng.u32(..6) == 0 {
            entry["authority"] = operator(rng, &HOSTS);
        }
        if rng.u32(..12) == 0 {
            entry["method"] = json!({ "exact": "POST" });
        }
        if rng.u32(..4) == 0 {
            entry["queryParams"] = json!({ "q": operator(rng, &VALUES) });
        }
    }
    entry
}

fn plan(rng: &mut Rng) -> Plan {
    let rule = |n: usize, rng: &mut Rng| {
        let entries: Vec<_> = (0..rng.usize(1..4)).map(|_| entry(rng)).collect();
        json!({ "name": n.to_string(), "match": entries, "to": "v" })
    };
    let rules: Vec<_> = (0..rng.usize(9..80)).map(|n| rule(n, rng)).collect();
    let config = json!({ "variantHeader": "x-v", "variants": { "v": {} }, "rules": rules });
    Plan::compile(config.to_string().as_bytes(), &|_| None).unwrap()
}

fn request(rng: &mut Rng) -> HeaderList {
    let value = |rng: &mut Rng| VALUES[rng.usize(..VALUES.len())];
    let path = PATHS[rng.usize(..PATHS.len())];
    let mut headers = vec![(":path", format!("{path}?p=a&q={}&q=a", value(rng)))];
    headers.push((":authority", HOSTS[rng.usize(..HOSTS.len())].to_owned()));
    headers.push((":method", ["GET", "POST"][rng.usize(..2)].into()));
    for _ in 0..rng.usize(..4) {
        headers.push((HEADERS[rng.usize(..HEADERS.len())], format!(" {}", value(rng))));
    }
    for _ in 0..rng.usize(..3) {
        headers.push(("cookie", format!("x={}; y={}; x={}", value(rng), value(rng), value(rng))));
    }
    HeaderList::new(headers)
}

#[test]
fn finds_every_rule_that_matches() {
    let mut rng = Rng::with_seed(1);
    let (mut candidates, mut matching, mut tried) = (0, 0, 0);
    for _ in 0..200 {
        let plan = plan(&mut rng);
        assert!(plan.index.is_some());
        for _ in 0..100 {
            let request = request(&mut rng);
            let names = |rule: &crate::rule::Rule| rule.name.clone();
            let mut found = Vec::new();
            plan.find_rule(&request, |rule| -> Option<()> {
                found.push(rule);
                None
            });
            let indexed = found.iter().copied().filter(|rule| rule.matches(&request));
            let naive = plan.rules.iter().filter(|rule| rule.matches(&request));
            let naive: Vec<_> = naive.map(names).collect();
            assert_eq!(indexed.map(names).collect::<Vec<_>>(), naive, "{:?}", request.headers);
            candidates += found.len();
            matching += naive.len();
            tried += plan.rules.len();
        }
    }
    // The comparison says nothing where nothing matches, or where everything is a candidate.
    assert!(
        matching * 10 > tried && candidates * 10 < tried * 9,
        "{matching} {candidates} {tried}"
    );
}
