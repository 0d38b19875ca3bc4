//! Cookies whose life begins anew while their user is active.

use super::*;

const NOW: u64 = 1_800_000_000;

/// A plan of one rule with these fields, and the identity and the assignment of a client at `NOW`.
fn started(rule: &Value) -> (Plan, String) {
    let plan = plan(json!([rule]));
    let (_, _, cookies) = visit(&plan, "h", "", &mut at(NOW));
    let pairs: Vec<_> = cookies.response.iter().filter_map(|set| set.split(';').next()).collect();
    (plan, pairs.join("; "))
}

fn at(now: u64) -> FixedEnvironment {
    FixedEnvironment { now, ..FixedEnvironment::default() }
}

/// A rule with both cookies; `null` signs neither.
fn both(signing: &Value) -> Value {
    let cookie = |name: &str, age: &str| {
        let mut cookie = json!({ "cookie": name, "maxAge": age, "renew": true });
        if !signing.is_null() {
            cookie["signing"] = signing.clone();
        }
        cookie
    };
    json!({ "name": "r", "split": { "a": 1, "b": 1 },
            "sticky": { "issue": cookie("id", "30d") }, "persist": cookie("kept", "10h") })
}

/// The names of the cookies that a visit sets, each with its payload.
fn set(cookies: &Cookies) -> Vec<(&str, &str)> {
    let set = cookies.response.iter().filter_map(|set| set.split_once('='));
    set.map(|(name, value)| (name, value.split(['.', '~', ';']).next().unwrap())).collect()
}

#[test]
fn an_active_client_keeps_its_identity_and_its_variant() {
    for signing in [Value::Null, json!({ "env": "KEYS" })] {
        let (plan, mut cookie) = started(&both(&signing));
        let (variant, reason, first) = visit(&plan, "h", &cookie, &mut at(NOW));
        assert_eq!((reason, &first), (Reason::Persisted, &Cookies::default()), "{signing}");
        let id = cookie["id=".len()..].split(['.', '~']).next().unwrap().to_owned();
        let mut sets = (0, 0);
        // Every half an hour for a hundred days: much longer than either lasts.
        for visited in 1..=4800 {
            let now = &mut at(NOW + visited * 1800);
            let (again, reason, cookies) = visit(&plan, "h", &cookie, now);
            assert_eq!((&again, reason), (&variant, Reason::Persisted), "{signing} {visited}");
            assert_eq!(cookies.request, None, "the upstream sees what the client sent");
            for (name, payload) in set(&cookies) {
                *(if name == "id" { &mut sets.0 } else { &mut sets.1 }) += 1;
                assert_eq!(payload, if name == "id" { id.as_str() } else { &variant });
                let field = |set: &&String| set.starts_with(&format!("{name}="));
                let renewed = cookies.response.iter().find(field).unwrap();
                let renewed = renewed.split(';').next().unwrap();
                let pair = |pair: &str| match pair.starts_with(&format!("{name}=")) {
                    true => renewed.to_owned(),
                    false => pair.to_owned(),
                };
                cookie = cookie.split("; ").map(pair).collect::<Vec<_>>().join("; ");
            }
        }
        // Once in three days, and once in an hour.
        assert_eq!(sets, (33, 2400), "{signing}");
    }
}

#[test]
fn whoever_stays_away_is_forgotten() {
    let (plan, cookie) = started(&both(&json!({ "env": "KEYS" })));
    let (_, reason, cookies) = visit(&plan, "h", &cookie, &mut at(NOW + 36_000));
    assert_eq!(reason, Reason::Sticky, "the assignment is over, the identity is not");
    assert_eq!(set(&cookies).len(), 1, "{cookies:?}");
    let (_, _, cookies) = visit(&plan, "h", &cookie, &mut at(NOW + 30 * DAY));
    assert_eq!(set(&cookies).len(), 2, "{cookies:?}");
}

/// A variant of weight 0 is to lose its clients: their cookies end when they would have ended.
#[test]
fn a_variant_of_weight_0_drains() {
    let kept = |split: Value| {
        json!([{ "name": "r", "split": split,
                 "persist": { "cookie": "kept", "maxAge": "10h", "renew": true } }])
    };
    let value = format!("kept=a~{NOW:x}");
    for (split, renewed) in [
        (json!({ "a": 1, "b": 1 }), true),
        (json!({ "a": 0.000001, "b": 1 }), true),
        (json!({ "a": 0, "b": 1 }), false),
    ] {
        let plan = plan(kept(split.clone()));
        let (variant, reason, cookies) = visit(&plan, "h", &value, &mut at(NOW + 3600));
        assert_eq!((variant.as_str(), reason), ("a", Reason::Persisted), "{split}");
        assert_eq!(!cookies.response.is_empty(), renewed, "{split}");
    }
}

/// A cookie of before its rule was in the signature would belong to whichever rule renews it first.
#[test]
fn a_signed_assignment_without_its_rule_is_not_renewed() {
    let rule = json!({ "name": "r", "split": { "a": 1, "b": 1 }, "persist": {
        "cookie": "kept", "maxAge": "10h", "renew": true, "signing": { "env": "KEYS" } } });
    let plan = plan(json!([rule]));
    // The same name, keys and payload in an identity's cookie are signed by version 1.
    let keys = crate::cookie::Keys::parse(&env("KEYS").unwrap()).unwrap();
    let value = crate::cookie::Signer::new(keys, "kept", None).close("a", b"h", NOW, NOW + 36_000);
    let (variant, reason, cookies) =
        visit(&plan, "h", &format!("kept={value}"), &mut at(NOW + 30_000));
    assert_eq!((variant.as_str(), reason), ("a", Reason::Persisted));
    assert_eq!(cookies, Cookies::default());
}

/// A renewal begins with the first visit, whatever the client has: no client moves on that day.
#[test]
fn a_cookie_of_before_is_renewed_at_once() {
    let (plan, _) = started(&both(&Value::Null));
    let before = "id=FXxKf7l5N54AAAAAAAAAAA; kept=b";
    let (variant, reason, cookies) = visit(&plan, "h", before, &mut at(NOW));
    assert_eq!((variant.as_str(), reason), ("b", Reason::Persisted));
    assert_eq!(set(&cookies), [("kept", "b"), ("id", "FXxKf7l5N54AAAAAAAAAAA")]);
    let without = plan_without_renewal();
    let dated = format!("id=FXxKf7l5N54AAAAAAAAAAA~{NOW:x}; kept=b~{NOW:x}");
    let (variant, reason, cookies) = visit(&without, "h", &dated, &mut at(NOW + 30 * DAY));
    assert_eq!((variant.as_str(), reason, cookies), ("b", Reason::Persisted, Cookies::default()));
}

/// The same rule on the day after its renewal was taken out.
fn plan_without_renewal() -> Plan {
    let mut rule = both(&Value::Null);
    for cookie in [&["sticky", "issue"][..], &["persist"]] {
        let field = cookie.iter().fold(&mut rule, |field, name| &mut field[*name]);
        field.as_object_mut().unwrap().remove("renew");
    }
    plan(json!([rule]))
}

#[test]
fn an_identity_is_hashed_without_its_time() {
    let rules = json!([{ "name": "r", "split": { "a": 1, "b": 1 }, "sticky": { "issue": {
        "cookie": "id", "maxAge": "30d", "renew": true } } }]);
    let plan = plan(rules);
    for id in ["FXxKf7l5N54AAAAAAAAAAA", "JSUlJSUlJSUlJSUlJSUlAQ", "AwMDAwMDAwMDAwMDAwMDBw"] {
        let hash = |value: &str| {
            let request = HeaderList::new([("cookie", format!("id={value}"))]);
            let snapshot = Snapshot::new(&plan, 0);
            crate::decide(&plan, &snapshot, &request, &mut at(NOW)).hash().unwrap()
        };
        assert_eq!(hash(id), hash(&format!("{id}~{NOW:x}")));
    }
}

#[test]
fn a_hold_renews_nothing() {
    let config = json!({ "variantHeader": "x-v", "variants": { "a": {}, "b": {} }, "hold": "a",
                         "rules": [both(&Value::Null)] });
    let plan = Plan::compile(config.to_string().as_bytes(), &env).unwrap();
    let cookie = "id=FXxKf7l5N54AAAAAAAAAAA; kept=b";
    let (variant, reason, cookies) = visit(&plan, "h", cookie, &mut at(NOW));
    assert_eq!((variant.as_str(), reason, cookies), ("a", Reason::Hold, Cookies::default()));
}

/// Each of several identities of a client has a life of its own.
#[test]
fn only_the_identities_that_are_due_are_renewed() {
    let issue = |name: &str| json!({ "issue": { "cookie": name, "maxAge": "10h", "renew": true } });
    let plan = plan(json!([
        { "name": "sliced", "layer": "l", "slice": [0, 0.000001], "to": "a", "sticky": issue("one") },
        { "name": "rest", "split": { "a": 1, "b": 1 }, "sticky": issue("two") }
    ]));
    let id = "AAAAAAAAAAAAAAAAAAAAAA";
    for (one, two, due) in [
        (0, 3_600, &["two"][..]),
        (3_600, 0, &["one"]),
        (3_600, 3_600, &["one", "two"]),
        (0, 0, &[]),
    ] {
        let cookie = format!("one={id}~{:x}; two={id}~{:x}", NOW - one, NOW - two);
        let (_, _, cookies) = visit(&plan, "h", &cookie, &mut at(NOW));
        let names: Vec<_> = set(&cookies).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, due, "{cookie}");
    }
}
