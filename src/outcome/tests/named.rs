//! The headers by which a response names its variant to scripts and caches.

use super::*;

/// The names and values of the response's headers, under these fields beside the rules.
fn told(rule: Value, beside: Value) -> Vec<(String, String)> {
    let mut config = json!({ "variantHeader": "x-v", "responseHeader": "X-V", "serverTiming": true,
                             "variants": { "a": {}, "b.2": {} }, "rules": [rule] });
    for (name, value) in beside.as_object().unwrap() {
        config[name] = value.clone();
    }
    let plan = Plan::compile(config.to_string().as_bytes(), &env).unwrap();
    let (request, snapshot) = (HeaderList::new([(":path", "/")]), Snapshot::new(&plan, 0));
    let outcome = Outcome::decide(&plan, &snapshot, &request, &mut FixedEnvironment::default());
    let effects = outcome.into_response();
    assert!(!effects.caching || effects.headers.iter().any(|header| header.name == "set-cookie"));
    effects.headers.into_iter().map(|header| (header.name, header.value)).collect()
}

/// The change of `baggage`, and the names that later filters of a chain are told.
fn baggage(mode: &str, prefix: &str, sent: &str) -> (Option<Option<String>>, Vec<String>) {
    let config = json!({ "variantHeader": "x-v", "baggage": true, "mode": mode,
        "variants": { "a": {} }, "rules": [{ "name": "r", "to": "a",
            "match": [{ "path": { "prefix": prefix } }] }] });
    let plan = Plan::compile(config.to_string().as_bytes(), &env).unwrap();
    let request = HeaderList::new([(":path", "/"), ("baggage", sent)]);
    let snapshot = Snapshot::new(&plan, 0);
    let outcome = Outcome::decide(&plan, &snapshot, &request, &mut FixedEnvironment::default());
    let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
    let change = outcome.baggage_change().map(|change| change.value.map(text));
    (change, outcome.written_in_baggage().map(str::to_owned).collect())
}

#[test]
fn only_a_decision_that_is_carried_out_is_in_the_baggage() {
    let written = (Some(Some("k=v,split.r=a".into())), vec!["baggage".into(), "split.r".into()]);
    assert_eq!(baggage("enforce", "/", "k=v"), written);
    assert_eq!(baggage("enforce", "/", "k=v,split.r=forged"), written);
    let removed = (Some(None), vec![]);
    for (mode, prefix) in [("enforce", "/other"), ("shadow", "/"), ("shadow", "/other")] {
        assert_eq!(baggage(mode, prefix, "k=v"), (None, vec![]), "{mode} {prefix}");
        assert_eq!(baggage(mode, prefix, "split.r=forged"), removed, "{mode} {prefix}");
    }
}

#[test]
fn a_decision_that_is_carried_out_is_told() {
    let to = json!({ "name": "r.1", "to": "b.2" });
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let (header, timing) = (pair("x-v", "b.2"), pair("server-timing", "split.r.1;desc=\"b.2\""));
    let both = [header.clone(), timing.clone()];
    assert_eq!(told(to.clone(), json!({})), both);
    assert_eq!(told(to.clone(), json!({ "serverTiming": false })), both[..1]);
    assert_eq!(told(to.clone(), json!({ "mode": "shadow" })), []);
    let elsewhere = json!({ "name": "r.1", "to": "b.2", "match": [{ "path": { "exact": "/a" } }] });
    assert_eq!(told(elsewhere, json!({})), []);
    let held = [pair("x-v", "a"), pair("server-timing", "split.r.1;desc=\"a\"")];
    assert_eq!(told(to.clone(), json!({ "hold": "a" })), held);
    let route =
        json!({ "name": "r.1", "split": "route", "sticky": { "key": [{ "cookie": "u" }] } });
    assert_eq!(told(route, json!({ "pointHeader": "x-p" })), []);
    // Beside the other headers, which stay as they are.
    let persist = json!({ "name": "r.1", "split": { "b.2": 1 },
                          "persist": { "cookie": "kept", "maxAge": "session" } });
    let names: Vec<_> =
        told(persist, json!({ "debugHeader": "x-d" })).into_iter().map(|h| h.0).collect();
    assert_eq!(names, ["set-cookie", "x-d", "x-v", "server-timing"]);
}
