//! An engine's buckets beside the rest of a rule: keys, cookies, guards, layers, metrics.

use serde_json::{Value, json};

use crate::request::HeaderList;
use crate::testing::FixedEnvironment;
use crate::{Outcome, Plan, Reason, Snapshot, decide, shadows};

/// A plan with one rule, which also has the fields of `more`, and the variants `a`, `b` and `c`.
fn plan(split: Value, engine: Value, more: Value) -> Plan {
    let sticky = json!({ "key": [{ "header": "user" }], "engine": engine });
    let mut rule = json!({ "name": "r", "split": split, "sticky": sticky });
    rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let config = json!({
        "variantHeader": "v", "metrics": "full", "variants": { "a": {}, "b": {}, "c": {} },
        "rules": [rule]
    });
    Plan::compile(config.to_string().as_bytes(), &|_| None).unwrap()
}

/// An experiment in which user-2 is in `b`, and user-1 outside the coverage.
fn growthbook(more: Value) -> Plan {
    let engine = json!({ "growthbook": { "hashVersion": 2, "seed": "2f1c", "coverage": 0.8 } });
    plan(json!([{ "a": 0.5 }, { "b": 0.5 }]), engine, more)
}

fn headers(user: Option<&str>, cookie: &str) -> HeaderList {
    let user = user.map(|user| ("user", user.to_owned()));
    HeaderList::new(user.into_iter().chain([("cookie", cookie.to_owned())]))
}

/// The variant, and the name of the reason.
fn decided(plan: &Plan, snapshot: &Snapshot, request: &HeaderList) -> Option<(String, Reason)> {
    let decision = decide(plan, snapshot, request, &mut FixedEnvironment::default());
    Some((decision.variant()?.name.clone(), decision.reason()))
}

fn chosen(plan: &Plan, user: Option<&str>) -> Option<(String, Reason)> {
    decided(plan, &Snapshot::new(plan, 0), &headers(user, ""))
}

fn is(variant: &str, reason: Reason) -> Option<(String, Reason)> {
    Some((variant.to_owned(), reason))
}

#[test]
fn without_a_key_each_does_what_its_sdk_does() {
    let halves = |half: u32| json!([{ "a": half }, { "b": half }]);
    for (engine, split, expected) in [
        (json!({ "flagd": { "prefix": "f" } }), halves(1), None),
        (
            json!({ "growthbook": { "hashVersion": 1, "seed": "s" } }),
            json!([{ "a": 0.5 }, { "b": 0.5 }]),
            None,
        ),
        (json!({ "higress": {} }), halves(50), None),
        (json!({ "launchdarkly": { "seed": 61 } }), halves(50_000), Some("a")),
        // The hash of no text at all is 0, and that of "x" is above the half.
        (json!({ "nginx": {} }), halves(50), Some("a")),
        (json!({ "posthog": { "flag": "f" } }), halves(50), None),
        (json!({ "unleash": { "groupId": "g" } }), halves(500), None),
    ] {
        for user in [None, Some("")] {
            let plan = plan(split.clone(), engine.clone(), json!({}));
            let expected = expected.and_then(|name| is(name, Reason::Sticky));
            assert_eq!(chosen(&plan, user), expected, "{engine}");
        }
        let plan = plan(split, engine.clone(), json!({ "otherwise": "c" }));
        let expected = expected.map_or(("c", Reason::Otherwise), |name| (name, Reason::Sticky));
        assert_eq!(chosen(&plan, None), is(expected.0, expected.1), "{engine}");
    }
}

#[test]
fn a_client_who_is_left_out_goes_otherwise_or_to_the_next_rule() {
    assert_eq!(chosen(&growthbook(json!({})), Some("user-2")), is("b", Reason::Sticky));
    assert_eq!(chosen(&growthbook(json!({})), Some("user-1")), None);
    for otherwise in ["a", "c"] {
        let plan = growthbook(json!({ "otherwise": otherwise }));
        assert_eq!(chosen(&plan, Some("user-1")), is(otherwise, Reason::Otherwise));
        assert_eq!(chosen(&plan, Some("user-2")), is("b", Reason::Sticky));
    }
}

#[test]
fn the_greatest_bucket_belongs_to_the_last_variant_where_the_engine_says_so() {
    let last = |split: Value, engine: Value| {
        let plan = plan(split, engine, json!({}));
        let choice = &plan.rules[0].allocation().unwrap().split.engine().unwrap().choice;
        [choice.find(1.0), choice.find(f64::from(u32::MAX))]
    };
    let ld = json!({ "launchdarkly": { "seed": 1 } });
    assert_eq!(last(json!([{ "a": 33_333 }, { "b": 66_667 }, { "c": 0 }]), ld)[0], Some(2));
    let posthog = json!({ "posthog": { "flag": "f" } });
    assert_eq!(last(json!([{ "a": 50 }, { "b": 50 }]), posthog)[0], None);
    let nginx = || json!({ "nginx": {} });
    assert_eq!(last(json!([{ "a": 33.33 }, { "b": 66.67 }]), nginx())[1], Some(1));
    assert_eq!(last(json!([{ "a": 33.33 }, { "b": 66.66 }]), nginx())[1], None);
}

#[test]
fn a_cookie_keeps_an_assignment_and_not_the_lack_of_one() {
    let persist = json!({ "otherwise": "a", "persist": { "cookie": "kept", "maxAge": "1h" } });
    let plan = growthbook(persist);
    let snapshot = Snapshot::new(&plan, 0);
    let set = |user: &str| {
        let request = headers(Some(user), "");
        let outcome = Outcome::decide(&plan, &snapshot, &request, &mut FixedEnvironment::default());
        let headers = outcome.into_response().headers;
        headers.iter().any(|header| header.value.starts_with("kept=b;"))
    };
    assert!(set("user-2"));
    assert!(!set("user-1"));
    for user in ["user-1", "user-2"] {
        let kept = decided(&plan, &snapshot, &headers(Some(user), "kept=a"));
        assert_eq!(kept, is("a", Reason::Persisted), "{user}");
    }
}

/// The same clients of the watched variant, out of 100, are on trial each time.
#[test]
fn a_guard_takes_its_variant_away() {
    let guard = json!({ "guard": { "watch": "b", "fallback": "a", "maxErrorRate": "5%" } });
    let plan = growthbook(guard);
    let mut snapshot = Snapshot::new(&plan, 0);
    snapshot.admitted = vec![0.0];
    let request = headers(Some("user-2"), "");
    assert_eq!(decided(&plan, &snapshot, &request), is("a", Reason::Guard));
    snapshot.admitted = vec![0.1];
    let of_b = (0..600).map(|user| format!("user-{user}"));
    let of_b: Vec<_> =
        of_b.filter(|user| chosen(&plan, Some(user)) == is("b", Reason::Sticky)).collect();
    let tried = |user: &&String| {
        let request = headers(Some(user), "");
        let [first, again] = [0, 7].map(|draws| {
            let environment = &mut FixedEnvironment { draws, ..Default::default() };
            decide(&plan, &snapshot, &request, environment).reason()
        });
        assert_eq!(first, again, "{user}");
        first == Reason::Sticky
    };
    let tried = of_b.iter().filter(tried).count();
    assert!((5..=50).contains(&tried), "{tried} of {}", of_b.len());
}

#[test]
fn a_slice_of_a_layer_comes_first() {
    let plan = growthbook(json!({ "layer": "l", "slice": [0, 50], "otherwise": "c" }));
    let slice = plan.rules[0].slice().unwrap();
    for user in (0..100).map(|user| format!("user-{user}")) {
        let decided = chosen(&plan, Some(&user)).is_some();
        assert_eq!(decided, slice.holds(user.as_bytes()), "{user}");
    }
    assert_eq!(chosen(&plan, None), None);
}

#[test]
fn in_shadow_it_is_only_tried() {
    let plan = growthbook(json!({ "mode": "shadow", "otherwise": "c" }));
    assert_eq!(chosen(&plan, Some("user-2")), None);
    let snapshot = Snapshot::new(&plan, 0);
    for (user, variant) in [("user-2", "b"), ("user-1", "c")] {
        let request = headers(Some(user), "");
        let tried = shadows(&plan, &snapshot, &request, &mut FixedEnvironment::default());
        let names: Vec<_> = tried.iter().filter_map(|it| Some(&it.variant()?.name)).collect();
        assert_eq!(names, [variant]);
    }
}

#[test]
fn each_decision_is_counted_by_its_reason() {
    let plan = growthbook(json!({ "otherwise": "c" }));
    let snapshot = Snapshot::new(&plan, 0);
    let names: Vec<_> = plan.metrics().iter().map(|metric| metric.name.clone()).collect();
    for (user, name) in [
        ("user-2", "rule=.=r;.;variant=.=b;.;reason=.=sticky;.;tsplit_requests_total"),
        ("user-1", "rule=.=r;.;variant=.=c;.;reason=.=otherwise;.;tsplit_requests_total"),
    ] {
        let request = headers(Some(user), "");
        let outcome = Outcome::decide(&plan, &snapshot, &request, &mut FixedEnvironment::default());
        let mut counted = Vec::new();
        outcome.count(|index, _| counted.push(names[index as usize].clone()));
        assert_eq!(counted, [name]);
    }
    assert!(!names.iter().any(|name| name.contains("random")), "nothing is drawn: {names:?}");
}

/// The shares that gauges, `simulate` and `watch` expect.
#[test]
fn the_weights_are_shares_of_all_clients() {
    let weights = |plan: &Plan| {
        let snapshot = Snapshot::new(plan, 0);
        let weights = plan.rules[0].weights(&snapshot);
        let rounded = |share: f64| (share * 1e6).round() / 1e6;
        weights.iter().map(|(v, share)| (v.name.clone(), rounded(*share))).collect::<Vec<_>>()
    };
    let of = |shares: &[(&str, f64)]| {
        shares.iter().map(|(name, share)| ((*name).to_owned(), *share)).collect::<Vec<_>>()
    };
    assert_eq!(weights(&growthbook(json!({}))), of(&[("a", 0.4), ("b", 0.4)]));
    let plan = growthbook(json!({ "otherwise": "a" }));
    assert_eq!(weights(&plan), of(&[("a", 0.6), ("b", 0.4)]));
    let plan = growthbook(json!({ "otherwise": "c" }));
    assert_eq!(weights(&plan), of(&[("a", 0.4), ("b", 0.4), ("c", 0.2)]));
    let nobody = json!({ "unleash": { "groupId": "g", "rollout": 0 } });
    let nobody = super::tests::plan(json!([{ "a": 1000 }]), nobody, json!({}));
    assert_eq!(weights(&nobody), []);
    assert_eq!(chosen(&nobody, Some("user-2")), None);
}

/// 1,000 keys: the order of a split without an engine plays no part.
#[test]
fn a_list_without_an_engine_is_an_object() {
    let plan = |split: Value| {
        let sticky = json!({ "key": [{ "header": "user" }] });
        let rule = json!({ "name": "r", "split": split, "sticky": sticky });
        let config =
            json!({ "variantHeader": "v", "variants": { "a": {}, "b": {} }, "rules": [rule] });
        Plan::compile(config.to_string().as_bytes(), &|_| None).unwrap()
    };
    let [list, object] = [json!([{ "b": 10 }, { "a": 90 }]), json!({ "a": 90, "b": 10 })].map(plan);
    for user in (0..1_000).map(|user| format!("user-{user}")) {
        assert_eq!(chosen(&list, Some(&user)), chosen(&object, Some(&user)), "{user}");
    }
}
