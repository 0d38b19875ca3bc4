//! The facts that access logs have for analysts: the unit, the first response, and what may be analysed.

use super::*;
use crate::testing::Entropy;

const KEY: &str = "the key of units: one for all tests";

fn plan_with(more: Value, rules: Value) -> Plan {
    let mut config = json!({ "variantHeader": "x-v", "metrics": "full", "unit": { "env": "UNIT" },
                             "variants": { "a": {}, "b": {} }, "rules": rules });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let env = |name: &str| if name == "UNIT" { Some(KEY.to_owned()) } else { env(name) };
    Plan::compile(config.to_string().as_bytes(), &env).unwrap()
}

/// Unit, first and analysis of a request with these headers; `-` where there is none.
fn told(plan: &Plan, headers: &[(&str, &str)]) -> [String; 3] {
    let request = HeaderList::new(headers.iter().copied());
    let environment =
        &mut FixedEnvironment { entropy: Entropy::Fixed([7; 16]), ..FixedEnvironment::default() };
    let snapshot = Snapshot::new(plan, 0);
    let outcome = Outcome::decide(plan, &snapshot, &request, environment);
    let state = outcome.filter_state();
    ["tsplit.unit", "tsplit.first", "tsplit.analysis"].map(|name| {
        let mut found = state.iter().filter(|(known, _)| *known == name);
        let value = found.next().map_or("-".to_owned(), |(_, value)| value.to_string());
        assert!(found.next().is_none(), "{name} twice");
        value
    })
}

fn unit(identity: &str) -> String {
    crate::unit::UnitKey(crate::mac::keyed(KEY.as_bytes()).unwrap()).unit(identity.as_bytes())
}

/// The identity of the bytes that the environment gives.
const ISSUED: &str = "BwcHBwcHBwcHBwcHBwcHBw";

#[test]
fn the_unit_is_of_the_identity_alone_whatever_rule_and_reason_there_are() {
    let issue = json!({ "cookie": "id", "maxAge": "30d" });
    let key = json!([{ "header": "x-user" }]);
    let persist = json!({ "cookie": "kept", "maxAge": "1h" });
    let split = json!({ "a": 1, "b": 1 });
    let user = ("x-user", "7");
    let (by_user, by_issue) = (unit("7"), unit(ISSUED));
    let back = format!("id={ISSUED}");
    for (rule, headers, expected) in [
        // Told apart by a key, at two rules.
        (
            json!({ "name": "r", "split": split, "sticky": { "key": key } }),
            vec![user],
            [&*by_user, "-", "1"],
        ),
        (
            json!({ "name": "other", "split": { "b": 1 }, "sticky": { "key": key, "salt": "s" } }),
            vec![user],
            [&*by_user, "-", "1"],
        ),
        // Not told apart.
        (json!({ "name": "r", "split": split, "sticky": { "key": key } }), vec![], ["-", "-", "1"]),
        (json!({ "name": "r", "split": split }), vec![user], ["-", "-", "1"]),
        (json!({ "name": "r", "to": "a" }), vec![user], ["-", "-", "1"]),
        // A pin that takes a slice of a layer knows the client.
        (
            json!({ "name": "r", "to": "a", "layer": "l", "slice": [0, 100], "sticky": { "key": key } }),
            vec![user],
            [&*by_user, "-", "1"],
        ),
        // An identity is issued, and comes back.
        (
            json!({ "name": "r", "split": split, "sticky": { "issue": issue } }),
            vec![],
            [&*by_issue, "1", "1"],
        ),
        (
            json!({ "name": "r", "split": split, "sticky": { "issue": issue } }),
            vec![("cookie", &*back)],
            [&*by_issue, "-", "1"],
        ),
        // An assignment is made, and kept.
        (
            json!({ "name": "r", "split": split, "sticky": { "key": key }, "persist": persist }),
            vec![user],
            [&*by_user, "1", "1"],
        ),
        (
            json!({ "name": "r", "split": split, "sticky": { "key": key }, "persist": persist }),
            vec![user, ("cookie", "kept=b")],
            [&*by_user, "-", "1"],
        ),
        (json!({ "name": "r", "split": split, "persist": persist }), vec![user], ["-", "1", "1"]),
        // Who keeps an assignment is issued no identity, and so has no unit without one.
        (
            json!({ "name": "r", "split": split, "sticky": { "issue": issue }, "persist": persist }),
            vec![("cookie", "kept=b")],
            ["-", "-", "1"],
        ),
        // A page that is decided anew is not the first.
        (
            json!({ "name": "r", "split": split, "sticky": { "key": key }, "persist":
                    { "cookie": "kept", "maxAge": "1h", "reassign": "navigation" } }),
            vec![
                user,
                ("cookie", "kept=b"),
                (":method", "GET"),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "document"),
            ],
            [&*by_user, "-", "1"],
        ),
        // The route has the weights.
        (
            json!({ "name": "r", "split": "route", "sticky": { "key": key } }),
            vec![user],
            [&*by_user, "-", "1"],
        ),
        // No rule.
        (
            json!({ "name": "r", "match": [{ "path": { "exact": "/no" } }], "to": "a" }),
            vec![user],
            ["-", "-", "0"],
        ),
    ] {
        let plan = plan_with(json!({ "pointHeader": "x-p" }), json!([rule]));
        assert_eq!(told(&plan, &headers), expected, "{rule} {headers:?}");
    }
}

#[test]
fn what_no_client_was_split_by_is_not_for_analysis() {
    let key = json!([{ "header": "x-user" }]);
    let user = [("x-user", "7")];
    let rule = json!({ "name": "r", "split": { "a": 1, "b": 1 },
                       "sticky": { "key": key, "issue": { "cookie": "id", "maxAge": "30d" } } });
    let held = plan_with(json!({ "hold": "a" }), json!([rule]));
    assert_eq!(told(&held, &user), ["-", "-", "0"]);
    // No client gets the identity that a plan in shadow draws.
    let shadow = plan_with(json!({ "mode": "shadow" }), json!([rule]));
    assert_eq!(told(&shadow, &user), [&unit("7"), "-", "0"]);
    assert_eq!(told(&shadow, &[]), ["-", "-", "0"]);
    let split = json!([{ "a": 0.5 }, { "b": 0.5 }]);
    let engine = json!({ "growthbook": { "hashVersion": 2, "seed": "s", "coverage": 0.0 } });
    let left_out = json!({ "name": "r", "split": split, "otherwise": "a",
                           "sticky": { "key": key, "engine": engine } });
    assert_eq!(told(&plan_with(json!({}), json!([left_out])), &user), [&unit("7"), "-", "0"]);
}

#[test]
fn the_page_names_every_reason_that_is_not_for_analysis() {
    let page = include_str!("../../configuration.md");
    let row = page.lines().find(|line| line.starts_with("| `wasm.tsplit.analysis`")).unwrap();
    for reason in Reason::ALL {
        let is_named = row.contains(&format!("`{}`", reason.name()));
        assert_eq!(is_named, !reason.is_analysed(), "{reason:?}");
    }
}

#[test]
fn the_generation_is_the_one_that_validate_prints() {
    let plan = plan_with(json!({}), json!([{ "name": "r", "to": "a" }]));
    let snapshot = Snapshot::new(&plan, 0);
    let environment = &mut FixedEnvironment::default();
    let outcome = Outcome::decide(&plan, &snapshot, &HeaderList::default(), environment);
    let printed = plan.to_string();
    let generation = printed.rsplit("generation ").next().unwrap();
    assert!(outcome.filter_state().contains(&("tsplit.generation", generation.into())));
}

/// An identity that a rule before issued for its layer says nothing of a rule that has none.
#[test]
fn an_identity_that_another_rule_issued_is_not_this_rules_first() {
    let issue = json!({ "issue": { "cookie": "id", "maxAge": "30d" } });
    let rules = json!([
        { "name": "sliced", "layer": "l", "slice": [0, 0.000001], "to": "a", "sticky": issue },
        { "name": "drawn", "split": { "a": 1 } }
    ]);
    assert_eq!(told(&plan_with(json!({}), rules), &[]), ["-", "-", "1"]);
    // Nor is it the identity of a rule that issues by another cookie and was not asked.
    let other = json!({ "issue": { "cookie": "id-2", "maxAge": "30d" } });
    let forced = json!({ "queryParam": "split", "cookie": "force", "maxAge": "1h",
                         "variants": ["b"] });
    let rules = json!([
        { "name": "sliced", "layer": "l", "slice": [0, 0.000001], "to": "a", "sticky": issue },
        { "name": "drawn", "split": { "a": 1 }, "sticky": other, "override": forced }
    ]);
    let plan = plan_with(json!({}), rules);
    assert_eq!(told(&plan, &[(":path", "/?split=b")]), ["-", "-", "0"]);
    assert_eq!(told(&plan, &[]), [&unit(ISSUED), "1", "1"]);
}

#[test]
fn a_decision_has_no_state_that_is_not_asked_for_and_no_shadows_without_any() {
    let state = |level: &str| {
        let config = json!({ "variantHeader": "x-v", "metrics": level, "variants": { "a": {} },
                             "rules": [{ "name": "r", "to": "a" }] });
        let plan = Plan::compile(config.to_string().as_bytes(), &env).unwrap();
        let (snapshot, request) = (Snapshot::new(&plan, 0), HeaderList::default());
        let environment = &mut FixedEnvironment::default();
        let outcome = Outcome::decide(&plan, &snapshot, &request, environment);
        outcome.filter_state().into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!((state("off"), state("counts")), (vec![], vec![]));
    let names = ["rule", "variant", "reason", "generation", "analysis"];
    assert_eq!(state("full"), names.map(|name| format!("tsplit.{name}")));
}
