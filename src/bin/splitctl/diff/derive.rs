//! The requests that stand for all others: one for each entry of a rule's `match`, and for each value
//! that a condition tells from others.

use traffic_split::config::{Condition, ConditionTest, Config, KeySource};

use super::described::Described;
use super::example::{Operands, Setting, settings};

/// The most requests that are derived.
pub const MOST: usize = 2_000;

/// The requests of both configurations' rules, each once, those of the old one first. `wanted` chooses
/// the rules by their names.
pub fn requests(
    configs: [&Config; 2],
    keys: &[(KeySource, usize)],
    wanted: impl Fn(&str) -> bool,
) -> Vec<Described> {
    let [old, new] = configs;
    let mut requests = Vec::new();
    for (config, other) in [(old, new), (new, old)] {
        let mut operands = Operands::default();
        conditions(other).for_each(|condition| operands.add(condition));
        for rule in config.rules.iter().filter(|rule| wanted(&rule.name)) {
            match &rule.entries {
                None => add(Described::default(), &mut requests),
                Some(entries) => entries.iter().for_each(|entry| {
                    of_entry(entry, keys, &operands, &mut requests);
                }),
            }
        }
    }
    // Every request that no rule is about.
    if configs.iter().all(|config| config.rules.iter().all(|rule| wanted(&rule.name))) {
        add(Described::default(), &mut requests);
    }
    requests
}

fn conditions(config: &Config) -> impl Iterator<Item = &Condition> {
    config.rules.iter().filter_map(|rule| rule.entries.as_ref()).flatten().flatten()
}

/// The request that meets an entry, and those that differ from it in one condition.
fn of_entry(
    entry: &[Condition],
    keys: &[(KeySource, usize)],
    operands: &Operands,
    requests: &mut Vec<Described>,
) {
    let is_key = |condition: &Condition| match &condition.test {
        ConditionTest::Text { part, .. } => {
            keys.iter().any(|(key, _)| *key == KeySource::Part(part.clone()))
        }
        ConditionTest::SourceIp(_) => false,
    };
    let choices: Vec<Vec<Setting>> =
        entry.iter().map(|condition| settings(condition, is_key(condition), operands)).collect();
    let request = |place: usize, choice: usize| {
        let mut request = Described::default();
        for (at, settings) in choices.iter().enumerate() {
            let setting = settings.get(if at == place { choice } else { 0 });
            setting.iter().for_each(|setting| setting.apply(&mut request));
        }
        request
    };
    add(request(0, 0), requests);
    for (place, settings) in choices.iter().enumerate() {
        (1..settings.len()).for_each(|choice| add(request(place, choice), requests));
    }
}

fn add(request: Described, requests: &mut Vec<Described>) {
    if requests.len() < MOST && !requests.contains(&request) {
        requests.push(request);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(old: &str, new: &str) -> Vec<String> {
        let config = |matches: &str| {
            let json = format!(
                r#"{{ "variantHeader": "v", "variants": {{ "a": {{}} }},
                      "rules": [{{ "name": "r", "to": "a", "match": {matches} }}] }}"#
            );
            Config::parse(json.as_bytes()).unwrap()
        };
        let requests = requests([&config(old), &config(new)], &[], |_| true);
        requests.iter().map(Described::to_string).collect()
    }

    #[test]
    fn every_entry_and_what_it_leaves_out_has_a_request() {
        let two = r#"[{ "headers": { "g": { "exact": "beta" } }, "path": { "prefix": "/x" } },
                       { "cookies": { "c": { "present": true } } }]"#;
        assert_eq!(names(two, two), ["GET /x, g: beta", "GET /, cookie: c=1", "GET /"]);
        let bots = r#"[{ "path": { "prefix": "/pay", "not": true } }]"#;
        assert_eq!(names(bots, bots), ["GET /", "GET /pay"]);
        let absent = r#"[{ "headers": { "g": { "present": false } } }]"#;
        assert_eq!(names(absent, absent), ["GET /, without header g", "GET /"]);
    }

    #[test]
    fn a_list_that_is_narrowed_has_a_request_for_what_it_loses() {
        let list = |values: &str| format!(r#"[{{ "headers": {{ "g": {{ "in": {values} }} }} }}]"#);
        let found = names(&list(r#"["a", "b", "c"]"#), &list(r#"["a", "b"]"#));
        assert_eq!(found, ["GET /, g: a", "GET /, g: c", "GET /"]);
        let range = |end| {
            format!(
                r#"[{{ "queryParams": {{ "q": {{ "range": {{ "start": 1, "end": {end} }} }} }} }}]"#
            )
        };
        assert_eq!(names(&range(10), &range(5)), ["GET /?q=1", "GET /?q=9", "GET /?q=4", "GET /"]);
        let net = |net: &str| format!(r#"[{{ "sourceIp": ["{net}"] }}]"#);
        assert_eq!(
            names(&net("10.0.0.0/8"), &net("10.0.0.0/16")),
            [
                "GET /, from 10.0.0.0",
                "GET /, from 10.255.255.255",
                "GET /, from 10.0.255.255",
                "GET /"
            ]
        );
    }
}
