//! The first rule that matches decides: the same rule as by a second, plain reading of the
//! configuration.

use std::net::IpAddr;

use arbitrary::{Result, Unstructured};
use serde_json::{Map, Value, json};
use traffic_split::testing::FixedEnvironment;
use traffic_split::{HeaderList, Plan, Snapshot, decide};

use crate::given::env;

/// The meaning of a regular expression, in code.
type Judge = fn(&str) -> bool;

const TEXTS: [&str; 12] = ["", "a", "A", "ab", "aB", "b", "ba", "é", "1", "-5", "+7", "10"];
const SUBJECTS: [(&str, &str); 8] = [
    ("headers", "x"),
    ("headers", "Y"),
    ("cookies", "x"),
    ("cookies", "y"),
    ("queryParams", "x"),
    ("path", ""),
    ("method", ""),
    ("authority", ""),
];
const NETWORKS: [&str; 4] = ["10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0", "fd00::/8"];
const ADDRESSES: [&str; 4] = ["10.1.2.3", "::ffff:10.2.0.1", "fd00::1", "192.0.2.1"];
const REGEXES: [(&str, Judge); 4] = [
    ("a.*", |v| v.starts_with('a')),
    ("a|ab", |v| v == "a" || v == "ab"),
    ("[0-9]+", |v| !v.is_empty() && v.bytes().all(|b| b.is_ascii_digit())),
    ("", str::is_empty),
];

/// Rules, and requests to them, all of a few texts so that they meet.
pub fn matching(bytes: &[u8]) -> bool {
    let mut u = Unstructured::new(bytes);
    let Ok(rules) = rules(&mut u) else { return false };
    let config = json!({ "variantHeader": "x-v", "variants": { "a": {} }, "rules": rules });
    let plan = Plan::compile(config.to_string().as_bytes(), &env);
    let plan = plan.unwrap_or_else(|errors| panic!("{errors}\n{config}"));
    let snapshot = Snapshot::new(&plan, 0);
    let mut matched = false;
    for _ in 0..8 {
        let Ok(request) = request(&mut u) else { break };
        let expected = rules.iter().find(|rule| matches(rule, &request));
        let got = decide(&plan, &snapshot, &request, &mut FixedEnvironment::default())
            .rule()
            .map(str::to_owned);
        let expected = expected.and_then(|rule| rule["name"].as_str());
        assert_eq!(got.as_deref(), expected, "{config}\n{request:?}");
        matched |= expected.is_some();
    }
    matched
}

fn rules(u: &mut Unstructured<'_>) -> Result<Vec<Value>> {
    let rule = |n: usize| {
        let entries = (0..u.int_in_range(1..=3)?).map(|_| entry(u)).collect::<Result<Vec<_>>>()?;
        Ok(json!({ "name": format!("r{n}"), "match": entries, "to": "a" }))
    };
    (0..8).map(rule).collect()
}

fn entry(u: &mut Unstructured<'_>) -> Result<Value> {
    let mut entry = Map::new();
    for _ in 0..u.int_in_range(1..=2)? {
        let (subject, name) = *u.choose(&SUBJECTS)?;
        let condition = condition(u)?;
        if name.is_empty() {
            entry.insert(subject.into(), condition);
        } else {
            entry.insert(subject.into(), json!({ name: condition }));
        }
    }
    if u.ratio(1, 8)? {
        entry.insert(
            "sourceIp".into(),
            json!({ "in": [u.choose(&NETWORKS)?], "not": u.arbitrary::<bool>()? }),
        );
    }
    Ok(Value::Object(entry))
}

fn condition(u: &mut Unstructured<'_>) -> Result<Value> {
    let text = *u.choose(&TEXTS)?;
    // An empty part is refused.
    let part = if text.is_empty() { "a" } else { text };
    let (not, fold) = (u.ratio(1, 8)?, u.ratio(1, 4)?);
    Ok(match u.int_in_range(0..=7)? {
        0 => json!({ "prefix": part, "not": not, "ignoreCase": fold }),
        1 => json!({ "suffix": part, "not": not, "ignoreCase": fold }),
        2 => json!({ "contains": part, "not": not, "ignoreCase": fold }),
        3 => json!({ "in": [text, u.choose(&TEXTS)?, "é"], "not": not, "ignoreCase": fold }),
        4 => json!({ "regex": u.choose(&REGEXES)?.0, "not": not }),
        5 => json!({ "range": { "start": -5, "end": 10 }, "not": not }),
        6 => json!({ "present": u.arbitrary::<bool>()?, "not": not }),
        _ => json!({ "exact": text, "not": not, "ignoreCase": fold }),
    })
}

fn request(u: &mut Unstructured<'_>) -> Result<HeaderList> {
    let mut path = b"/".to_vec();
    path.extend(value(u)?);
    if u.arbitrary()? {
        path.extend(*b"?z&x=");
        path.extend(value(u)?);
    }
    let mut headers = vec![(":path", path), (":method", value(u)?), (":authority", value(u)?)];
    for _ in 0..u.int_in_range(0..=3)? {
        let name = *u.choose(&["x", "y", "cookie"])?;
        let mut line = value(u)?;
        if name == "cookie" {
            line = [u.choose(&["x=", "a; x=", "y=1;x=", "=x; y ="])?.as_bytes(), &line].concat();
        }
        headers.push((name, line));
    }
    let source = ADDRESSES.get(u.int_in_range(0..=4)?).and_then(|text| text.parse().ok());
    Ok(HeaderList::new(headers).with_source(source))
}

fn value(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    Ok(match u.int_in_range(0..=15)? {
        0 => b"a\xff".to_vec(),
        1 => b" \ta ".to_vec(),
        _ => u.choose(&TEXTS)?.as_bytes().to_vec(),
    })
}

fn matches(rule: &Value, request: &HeaderList) -> bool {
    let entries = rule["match"].as_array().into_iter().flatten();
    entries.filter_map(Value::as_object).any(|entry| {
        entry.iter().all(|(subject, conditions)| match subject.as_str() {
            "headers" | "cookies" | "queryParams" => {
                let named = conditions.as_object().into_iter().flatten();
                named.map(|(name, c)| (values(subject, name, request), c, false)).all(holds)
            }
            "sourceIp" => {
                let within = request.source.is_some_and(|a| within(a, &conditions["in"][0]));
                within != (conditions["not"] == true)
            }
            // Hosts have no case; none here has a port, or the dot of an absolute name.
            _ => holds((values(subject, "", request), conditions, subject == "authority")),
        })
    })
}

/// The values that a condition is asked of, trimmed.
fn values(subject: &str, name: &str, request: &HeaderList) -> Vec<Vec<u8>> {
    let all = |name: &str| {
        let named = request.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.trim_ascii().to_vec()).collect::<Vec<_>>()
    };
    let target = all(":path").concat();
    let mut halves = target.splitn(2, |b| *b == b'?');
    let (path, query) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
    let pairs = |text: &[u8], by: u8, blanks: fn(&[u8]) -> &[u8]| -> Vec<Vec<u8>> {
        let split = |pair: &[u8]| {
            let at = pair.iter().position(|b| *b == b'=')?;
            let (known, value) = (blanks(&pair[..at]), blanks(&pair[at + 1..]));
            (known == name.as_bytes()).then(|| value.to_vec())
        };
        text.split(|b| *b == by).filter_map(split).take(1).collect()
    };
    match subject {
        "headers" => all(name),
        "cookies" => pairs(&all("cookie").join(&b"; "[..]), b';', <[u8]>::trim_ascii),
        "queryParams" => pairs(query, b'&', |pair| pair),
        "path" => vec![path.to_vec()],
        other => all(&format!(":{other}")),
    }
}

fn holds((values, condition, caseless): (Vec<Vec<u8>>, &Value, bool)) -> bool {
    let fold = caseless || condition["ignoreCase"] == true;
    let folded = |bytes: &[u8]| if fold { bytes.to_ascii_lowercase() } else { bytes.to_vec() };
    let operand = |name: &str| condition[name].as_str().map(|text| folded(text.as_bytes()));
    let passes = |value: &Vec<u8>| {
        let text = std::str::from_utf8(value).ok();
        let value = folded(value);
        if let Some(part) = operand("prefix") {
            value.starts_with(&part)
        } else if let Some(part) = operand("suffix") {
            value.ends_with(&part)
        } else if let Some(part) = operand("contains") {
            value.windows(part.len()).any(|window| window == part)
        } else if let Some(whole) = operand("exact") {
            value == whole
        } else if let Some(list) = condition["in"].as_array() {
            let mut texts = list.iter().filter_map(Value::as_str);
            texts.any(|text| folded(text.as_bytes()) == value)
        } else if let Some(regex) = condition["regex"].as_str() {
            let meaning = REGEXES.iter().find(|(known, _)| *known == regex).map(|(_, holds)| holds);
            let text = text.map(|text| if fold { text.to_lowercase() } else { text.to_owned() });
            text.zip(meaning).is_some_and(|(text, holds)| holds(&text))
        } else if condition["range"].is_object() {
            let number = text.and_then(|text| text.parse::<i64>().ok());
            number.is_some_and(|number| (-5..10).contains(&number))
        } else {
            true
        }
    };
    let negated = (condition["not"] == true) != (condition["present"] == false);
    values.iter().any(passes) != negated
}

fn within(address: IpAddr, network: &Value) -> bool {
    let address = address.to_canonical();
    match (network.as_str(), address) {
        (Some("10.0.0.0/8"), IpAddr::V4(v4)) => v4.octets()[0] == 10,
        (Some("10.1.0.0/16"), IpAddr::V4(v4)) => v4.octets()[..2] == [10, 1],
        (Some("0.0.0.0/0"), IpAddr::V4(_)) => true,
        (Some("fd00::/8"), IpAddr::V6(v6)) => v6.octets()[0] == 0xfd,
        _ => false,
    }
}
