//! Forced variants of several rules, and the bounds that all of them share.

use super::*;
use crate::decide::{decide, shadows};
use crate::limits;
use crate::request::{Ignored, Request};

/// A rule that no client is in the slice of, with an override of this cookie.
fn narrow(name: &str, cookie: &str, more: &Value) -> Value {
    let mut rule = json!({ "name": name, "to": "stable", "layer": "l",
        "sticky": { "key": [{ "cookie": "uid" }] },
        "override": { "queryParam": "split", "cookie": cookie, "maxAge": "8h",
                      "variants": ["canary"] } });
    let number: f64 = name.trim_start_matches(char::is_alphabetic).parse().unwrap();
    rule["slice"] = json!([number / 1e6, (number + 0.5) / 1e6]);
    let overrides = rule["override"].as_object_mut().unwrap();
    overrides.extend(more.as_object().unwrap().clone());
    rule
}

/// These rules, and one for everybody else.
fn plan_of(mut rules: Vec<Value>) -> Plan {
    rules.push(json!({ "name": "rest", "to": "other" }));
    plan(&json!({ "variantHeader": "x-v", "rules": rules,
                  "variants": { "stable": {}, "canary": {}, "other": {} } }))
}

#[test]
fn an_empty_link_ends_the_choices_of_all_rules_that_it_meets() {
    let mut rules = vec![
        narrow("r0", "force-0", &json!({})),
        narrow("r1", "force-1", &json!({})),
        narrow("r2", "force-2", &json!({ "queryParam": "other" })),
        narrow("r3", "force-3", &json!({})),
    ];
    rules[1]["match"] = json!([{ "path": { "exact": "/one" } }]);
    let plan = plan_of(rules);
    let ended = |path: &str| {
        let (variant, _, set) = ask(&plan, path, "uid=7; force-1=canary", 0);
        let names: Vec<_> =
            set.iter().map(|set| set.replace(&ENDED["force".len()..], "")).collect();
        (variant, names.join(" "))
    };
    assert_eq!(ended("/?split="), ("other".into(), "force-0 force-3".into()));
    assert_eq!(ended("/one?split="), ("other".into(), "force-0 force-1 force-3".into()));
    assert_eq!(ended("/?other&split"), ("other".into(), "force-0 force-2 force-3".into()));
}

#[test]
fn a_choice_is_renewed_while_its_user_is_active() {
    let signing = json!({ "renew": true, "signing": { "env": "KEYS" } });
    for more in [json!({ "renew": true }), signing] {
        let plan = plan_of(vec![narrow("r0", "force", &more)]);
        let link = plan.rules()[0].overrides().unwrap().link("canary", 0, 9_999_999).unwrap();
        let (_, _, set) = ask(&plan, &format!("/?split={link}"), "", 1_000_000);
        let cookie = set[0].split(';').next().unwrap();
        assert_eq!(ask(&plan, "/", cookie, 1_000_000 + 2_879), forced("canary", &[]), "{more}");
        let (variant, reason, set) = ask(&plan, "/", cookie, 1_000_000 + 2_880);
        assert_eq!((variant.as_str(), reason, set.len()), ("canary", Reason::Override, 1));
        let renewed = set[0].split(';').next().unwrap();
        assert_ne!(renewed, cookie);
        let later = 1_000_000 + 2_880 + 2_879;
        assert_eq!(ask(&plan, "/", renewed, later), forced("canary", &[]), "{more}");
    }
}

/// A client may have every rule verify a link and cookies of its own.
#[test]
fn the_values_that_are_verified_for_a_request_are_bounded() {
    let signing = json!({ "signing": { "env": "KEYS" } });
    let most = limits::SIGNED_VALUES_OF_REQUEST;
    let rules = (0..=most).map(|number| narrow(&format!("r{number}"), "force", &signing));
    let plan = plan_of(rules.collect());
    let link = |rule: usize| plan.rules()[rule].overrides().unwrap().link("canary", 0, 9).unwrap();
    let reason = |path: &str, cookie: &str| ask(&plan, path, cookie, 1).1;
    assert_eq!(reason(&format!("/?split={}", link(most - 1)), ""), Reason::Override);
    assert_eq!(reason(&format!("/?split={}", link(most)), ""), Reason::Pinned);
    // A value that is too long for any signature is not verified, and costs nothing.
    let (_, _, set) = ask(&plan, &format!("/?split={}", link(most - 1)), "", 1);
    let cookie = set[0].split(';').next().unwrap();
    let long = |bytes: usize| reason(&format!("/?split={}", "x".repeat(bytes)), cookie);
    assert_eq!(long(limits::SIGNED_BYTES + 1), Reason::Override);
    assert_eq!(long(limits::SIGNED_BYTES), Reason::Pinned);
}

#[test]
fn a_link_that_does_not_verify_is_noted() {
    let signing = json!({ "signing": { "env": "KEYS" } });
    for (more, path, noted) in [
        (&signing, "/?split=canary", true),
        (&signing, "/?split=", false),
        (&signing, "/", false),
        (&json!({}), "/?split=nothing", false),
    ] {
        let plan = plan_of(vec![narrow("r0", "force", more)]);
        let request = HeaderList::new([(":path", path)]);
        decide(&plan, &Snapshot::new(&plan, 0), &request, &mut FixedEnvironment::default());
        let noted = if noted { vec![Ignored::Signature] } else { Vec::new() };
        assert_eq!(request.ignored().iter().collect::<Vec<_>>(), noted, "{more} {path}");
    }
}

#[test]
fn a_rule_in_shadow_is_counted_by_what_it_would_choose_for_others() {
    let mut config = configuration(false);
    config["rules"][0]["mode"] = "shadow".into();
    let plan = plan(&config);
    for (path, cookie) in [("/?split=canary", ""), ("/", "force=canary")] {
        let request = HeaderList::new([(":path", path), ("cookie", cookie)]);
        let (snapshot, environment) = (Snapshot::new(&plan, 0), &mut FixedEnvironment::default());
        let decisions = shadows(&plan, &snapshot, &request, environment);
        let [decision] = decisions.as_slice() else { panic!("{decisions:?}") };
        let named = decision.variant().map(|variant| variant.name.as_str());
        assert_eq!((named, decision.reason()), (Some("stable"), Reason::Sticky), "{path} {cookie}");
    }
}
