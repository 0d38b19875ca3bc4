//! Decisions: the rule, its variant, and the reason.

use serde_json::{Value, json};

use super::*;
use crate::request::HeaderList;
use crate::testing::FixedEnvironment;

/// A plan of two variants and these rules.
fn plan(rules: Value) -> Plan {
    let config =
        json!({ "variantHeader": "x-v", "variants": { "a": {}, "b": {} }, "rules": rules });
    Plan::compile(config.to_string().as_bytes(), &|_| None).unwrap()
}

/// The variant that a client with these cookies gets, and why.
fn decided(plan: &Plan, cookie: &str, environment: &mut FixedEnvironment) -> (String, Reason) {
    let request = HeaderList::new([("cookie", cookie)]);
    let snapshot = Snapshot::new(plan, 0);
    let decision = decide(plan, &snapshot, &request, environment);
    (decision.variant().unwrap().name.clone(), decision.reason())
}

fn layered(slices: &[(f64, f64)]) -> Plan {
    let rule = |(i, (start, end)): (usize, &(f64, f64))| {
        json!({ "name": format!("r{i}"), "layer": "l", "slice": [start, end], "to": "a",
                "sticky": { "key": [{ "cookie": "uid" }],
                            "issue": { "cookie": "id", "maxAge": "30d" } } })
    };
    plan(slices.iter().enumerate().map(rule).collect())
}

/// 100,000 keys, 5 standard errors.
#[test]
fn slices_of_a_layer_take_their_share_and_never_the_same_client() {
    let slices = [(0.0, 30.0), (30.0, 30.5), (70.0, 100.0)];
    let together = layered(&slices);
    let apart = slices.map(|slice| layered(&[slice]));
    let mut counts = [0_u32; 3];
    for i in 0..100_000 {
        let request = HeaderList::new([("cookie", format!("uid=user-{i}"))]);
        let rule = |plan: &Plan| {
            decide(plan, &Snapshot::new(plan, 0), &request, &mut FixedEnvironment::default())
                .rule()
                .map(str::to_owned)
        };
        let taken: Vec<usize> = (0..3).filter(|s| rule(&apart[*s]).is_some()).collect();
        assert!(taken.len() <= 1);
        assert_eq!(rule(&together), taken.first().map(|s| format!("r{s}")));
        taken.iter().for_each(|s| counts[*s] += 1);
    }
    for (count, (start, end)) in counts.iter().zip(slices) {
        let (n, p) = (100_000.0, (end - start) / 100.0);
        let off = (f64::from(*count) - n * p).abs();
        assert!(off <= 5.0 * f64::sqrt(n * p * (1.0 - p)), "{counts:?}");
    }
}

#[test]
fn one_salt_in_two_services_gives_one_variant() {
    let service = |rule: &str, salt: &str| {
        plan(json!([{ "name": rule, "split": { "a": 1, "b": 1 },
                      "sticky": { "key": [{ "cookie": "uid" }], "salt": salt } }]))
    };
    let variants = |plan: Plan| -> Vec<String> {
        let uid = |i| format!("uid={i}");
        (0..64).map(|i| decided(&plan, &uid(i), &mut FixedEnvironment::default()).0).collect()
    };
    let cart = variants(service("cart", "summer"));
    assert_eq!(cart, variants(service("search", "summer")));
    assert_ne!(cart, variants(service("search", "winter")));
}

#[test]
fn nothing_is_hashed_for_a_client_without_a_key() {
    let plan = plan(json!([{ "name": "r", "split": { "a": 1, "b": 1 },
                             "sticky": { "key": [{ "cookie": "uid" }] } }]));
    let environment = &mut FixedEnvironment::default();
    let mut variants: Vec<_> = (0..64).map(|_| decided(&plan, "uid=", environment)).collect();
    assert!(variants.iter().all(|(_, reason)| *reason == Reason::Random));
    variants.dedup_by(|x, y| x.0 == y.0);
    assert!(variants.len() > 10, "drawn for each request");
}

#[test]
fn a_rule_in_shadow_decides_nothing() {
    let plan = plan(json!([
        { "name": "tried", "mode": "shadow", "split": { "a": 1, "b": 1 },
          "persist": { "cookie": "kept", "maxAge": "1h" },
          "sticky": { "issue": { "cookie": "id", "maxAge": "1h" } } },
        { "name": "live", "to": "a" }
    ]));
    let (request, snapshot) = (HeaderList::new([("x", "y")]), Snapshot::new(&plan, 0));
    let environment = &mut FixedEnvironment::default();
    let decision = decide(&plan, &snapshot, &request, environment);
    assert_eq!((decision.rule(), decision.reason()), (Some("live"), Reason::Pinned));
    assert_eq!(decision.issued.id, None);
    let shadow = |environment: &mut FixedEnvironment| {
        let shadows = shadows(&plan, &snapshot, &request, environment);
        assert_eq!(shadows.len(), 1);
        shadows[0].variant().unwrap().name.clone()
    };
    let seen: std::collections::BTreeSet<_> = (0..64).map(|_| shadow(environment)).collect();
    assert_eq!(seen.len(), 2, "a client without an identity is drawn");
}

/// A plan whose rule sends everyone to `b`, which a guard watches.
fn guarded(mut rule: Value) -> Plan {
    rule["name"] = "r".into();
    rule["split"] = json!({ "a": 0, "b": 1 });
    rule["guard"] = json!({ "watch": "b", "fallback": "a", "maxErrorRate": "5%" });
    plan(json!([rule]))
}

/// The clients, of 10,000, that reach the watched variant while its guard is half-open. Each says who
/// it is in `x-user`, and sends this cookie.
fn on_trial(plan: &Plan, cookie: &str, environment: &mut FixedEnvironment) -> Vec<u32> {
    let mut snapshot = Snapshot::new(plan, 0);
    snapshot.admitted = vec![0.1];
    let tried = |i: &u32| {
        let headers = [("x-user", format!("user-{i}")), ("cookie", cookie.to_owned())];
        let request = HeaderList::new(headers);
        let decision = decide(plan, &snapshot, &request, environment);
        let variant = decision.variant().unwrap().name.as_str();
        assert_eq!(variant == "a", decision.reason() == Reason::Guard);
        variant == "b"
    };
    let tried: Vec<u32> = (0..10_000).filter(tried).collect();
    // A tenth, to 5 standard errors.
    let (n, p) = (10_000.0, 0.1);
    assert!((tried.len() as f64 - n * p).abs() <= 5.0 * f64::sqrt(n * p * (1.0 - p)));
    tried
}

#[test]
fn a_trial_is_of_the_same_clients_by_their_key() {
    let sticky = json!({ "key": [{ "header": "x-user" }] });
    let plain = guarded(json!({ "sticky": sticky }));
    let kept =
        guarded(json!({ "sticky": sticky, "persist": { "cookie": "kept", "maxAge": "1h" } }));
    let first = on_trial(&plain, "", &mut FixedEnvironment::default());
    assert_eq!(
        on_trial(&plain, "", &mut FixedEnvironment { draws: 7, ..Default::default() }),
        first,
        "nothing is drawn"
    );
    assert_eq!(
        on_trial(&kept, "kept=b", &mut FixedEnvironment { draws: 9, ..Default::default() }),
        first,
        "nor if kept"
    );
}

#[test]
fn a_trial_draws_where_there_is_no_key() {
    let plan = guarded(json!({}));
    let mut environment = FixedEnvironment::default();
    let first = on_trial(&plan, "", &mut environment);
    assert_ne!(on_trial(&plan, "", &mut environment), first);
}

#[test]
fn a_client_that_a_guard_redirects_keeps_its_variant() {
    let plan = guarded(json!({ "persist": { "cookie": "kept", "maxAge": "1h" },
        "sticky": { "issue": { "cookie": "id", "maxAge": "1h" } } }));
    let mut snapshot = Snapshot::new(&plan, 0);
    snapshot.admitted = vec![0.0];
    let handed_out = |cookie: &str| {
        let request = HeaderList::new([("cookie", cookie)]);
        let decision = decide(&plan, &snapshot, &request, &mut FixedEnvironment::default());
        assert_eq!(decision.reason(), Reason::Guard);
        (decision.issued.id.is_some(), decision.keep.is_some())
    };
    assert_eq!(handed_out(""), (true, false), "its fallback is not kept");
    assert_eq!(handed_out("kept=b"), (false, false), "nothing is issued where a cookie keeps it");
}

/// The hash is that of the recipe: the first of `wasm-tests/vectors/split-v1.json`.
#[test]
fn a_decision_tells_the_hash_that_chose() {
    let sticky = json!({ "key": [{ "header": "x-user" }], "salt": "rollout" });
    let persist = json!({ "cookie": "kept", "maxAge": "1h" });
    let plan = plan(json!([{ "name": "r", "split": { "a": 1, "b": 1 },
                             "sticky": sticky, "persist": persist }]));
    let snapshot = Snapshot::new(&plan, 0);
    for (header, value, reason, hash) in [
        ("x-user", "user-0", Reason::Sticky, Some(0x3a26_a354_a4cd_7380)),
        ("cookie", "kept=a", Reason::Persisted, None),
        ("x-other", "user-0", Reason::Random, None),
    ] {
        let request = HeaderList::new([(header, value)]);
        let decision = decide(&plan, &snapshot, &request, &mut FixedEnvironment::default());
        assert_eq!((decision.reason(), decision.hash()), (reason, hash), "{header}: {value}");
    }
}
