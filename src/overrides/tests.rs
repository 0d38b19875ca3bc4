mod several;

use serde_json::{Value, json};

use crate::testing::FixedEnvironment;
use crate::{HeaderList, Outcome, Plan, Reason, Snapshot};

const KEY: &str = "an example key of 32 bytes......";

fn configuration(signed: bool) -> Value {
    let mut overrides = json!({ "queryParam": "split", "cookie": "force", "maxAge": "8h",
                                "variants": ["canary", "other"] });
    if signed {
        overrides["signing"] = json!({ "env": "KEYS" });
    }
    json!({ "variantHeader": "x-v", "metrics": "full",
            "variants": { "stable": {}, "canary": {}, "other": {} },
            "rules": [{ "name": "rollout", "split": { "stable": 1, "canary": 0 },
                        "sticky": { "issue": { "cookie": "id", "maxAge": "1d" } },
                        "persist": { "cookie": "kept", "maxAge": "1h" },
                        "guard": { "watch": "canary", "fallback": "stable", "maxErrorRate": "5%" },
                        "override": overrides }] })
}

fn plan(config: &Value) -> Plan {
    Plan::compile(config.to_string().as_bytes(), &|_| Some(KEY.to_owned())).unwrap()
}

/// The variant, the reason and the cookies that are set.
type Answer = (String, Reason, Vec<String>);

fn ask(plan: &Plan, path: &str, cookie: &str, now: u64) -> Answer {
    let request = HeaderList::new([(":path", path), (":authority", "h"), ("cookie", cookie)]);
    let snapshot = Snapshot::new(plan, now);
    let mut environment = FixedEnvironment { now, ..FixedEnvironment::default() };
    let outcome = Outcome::decide(plan, &snapshot, &request, &mut environment);
    let decision = *outcome.decision();
    let headers = outcome.into_response().headers.into_iter();
    let set = headers.filter(|header| header.name == "set-cookie").map(|header| header.value);
    (decision.variant().unwrap().name.clone(), decision.reason(), set.collect())
}

fn forced(variant: &str, set: &[&str]) -> Answer {
    (variant.into(), Reason::Override, set.iter().map(|it| (*it).to_owned()).collect())
}

const KEPT: &str = "force=canary; Max-Age=28800; Path=/; SameSite=Lax; HttpOnly";
const ENDED: &str = "force=; Max-Age=0; Path=/; SameSite=Lax; HttpOnly";

#[test]
fn a_link_forces_and_its_cookie_keeps() {
    let plan = plan(&configuration(false));
    assert_eq!(ask(&plan, "/a?x=1&split=canary", "kept=stable", 0), forced("canary", &[KEPT]));
    assert_eq!(ask(&plan, "/b", "force=canary; kept=stable", 0), forced("canary", &[]));
    // The link counts before the cookie, and a variant that has no weight at all may be forced.
    let other = KEPT.replace("canary", "other");
    assert_eq!(ask(&plan, "/?split=other", "force=canary", 0), forced("other", &[&other]));
    assert_eq!(ask(&plan, "/?split=nothing", "force=canary", 0), forced("canary", &[]));
}

#[test]
fn what_is_not_listed_counts_as_absent() {
    let plan = plan(&configuration(false));
    for (path, cookie) in [
        ("/?split=stable", "kept=stable"),
        ("/?split=CANARY", "kept=stable"),
        ("/?split=canary%20", "kept=stable"),
        ("/?Split=canary", "kept=stable"),
        ("/?split=no&split=canary", "kept=stable"),
        ("/#?split=canary", "kept=stable"),
        ("/", "force=stable; kept=stable"),
        ("/", "force=; kept=stable"),
    ] {
        let (variant, reason, set) = ask(&plan, path, cookie, 0);
        assert_eq!((variant.as_str(), reason), ("stable", Reason::Persisted), "{path} {cookie}");
        assert_eq!(set, [""; 0], "{path} {cookie}");
    }
}

#[test]
fn an_empty_link_ends_the_choice() {
    for signed in [false, true] {
        let plan = plan(&configuration(signed));
        for path in ["/?split=", "/?split", "/?split&split=canary"] {
            let (variant, reason, set) = ask(&plan, path, "force=canary; kept=stable", 0);
            assert_eq!((variant.as_str(), reason), ("stable", Reason::Persisted));
            assert_eq!(set, [ENDED]);
        }
        // Without an assignment the client is assigned as any other.
        let (_, reason, set) = ask(&plan, "/?split=", "force=canary", 0);
        assert_eq!((reason, set.len()), (Reason::Sticky, 3), "{set:?}");
        assert!(set[0].starts_with("id=") && set[1].starts_with("kept=stable") && set[2] == ENDED);
    }
}

#[test]
fn only_signed_values_count_where_they_are_signed() {
    let plan = plan(&configuration(true));
    let link = plan.rules()[0].overrides().unwrap().link("canary", 1_000, 4_600).unwrap();
    let path = format!("/?split={link}");
    let (variant, reason, set) = ask(&plan, &path, "", 4_599);
    assert_eq!((variant.as_str(), reason, set.len()), ("canary", Reason::Override, 1));
    let cookie = set[0].split(';').next().unwrap();
    // The session lasts as long as its cookie, and not as its link.
    assert_eq!(ask(&plan, "/", cookie, 4_599 + 28_799), forced("canary", &[]));
    let value = cookie.strip_prefix("force=").unwrap();
    for (path, cookie, now) in [
        (&*path, "", 4_600),
        (&path, "", 1_000 - 301),
        (&path.replace("canary", "other"), "", 2_000),
        ("/?split=canary", "", 2_000),
        ("/", "force=canary", 2_000),
        ("/", cookie, 4_599 + 28_800),
        // A cookie is no link, and a link no cookie.
        (&format!("/?split={value}"), "", 4_600),
        ("/", &format!("force={link}"), 2_000),
    ] {
        let (variant, reason, _) = ask(&plan, path, cookie, now);
        assert_eq!((variant.as_str(), reason), ("stable", Reason::Sticky), "{path} {cookie}");
    }
}

#[derive(serde::Deserialize)]
struct Vector {
    key: String,
    query_param: String,
    salt: String,
    variant: String,
    issued: u64,
    expires: u64,
    link: String,
}

/// Computed by the recipe with another implementation of HMAC-SHA-256.
#[test]
fn a_link_never_changes() {
    let text = include_str!("../../wasm-tests/vectors/link-v2.json");
    let mut all: Value = serde_json::from_str(text).unwrap();
    let vectors: Vec<Vector> = serde_json::from_value(all["vectors"].take()).unwrap();
    assert_eq!(vectors.len(), 8);
    for vector in vectors {
        let mut config = configuration(true);
        let (rule, variant) = (&mut config["rules"][0], vector.variant.as_str());
        rule["override"]["queryParam"] = vector.query_param.clone().into();
        rule["override"]["variants"] = json!([variant]);
        rule["sticky"]["salt"] = vector.salt.clone().into();
        config["variants"][variant] = json!({});
        let plan = Plan::compile(config.to_string().as_bytes(), &|_| Some(vector.key.clone()));
        let plan = plan.unwrap();
        let link =
            plan.rules()[0].overrides().unwrap().link(variant, vector.issued, vector.expires);
        assert_eq!(link.as_ref(), Some(&vector.link));
        let path = format!("/?{}={}", vector.query_param, vector.link);
        assert_eq!(ask(&plan, &path, "", vector.issued).1, Reason::Override, "{path}");
        assert_ne!(ask(&plan, &path, "", vector.expires).1, Reason::Override, "{path}");
    }
}

/// Neither where it belongs nor whether the flag engine knows it matters.
#[test]
fn a_client_outside_a_slice_may_force_and_end() {
    let overrides = configuration(false)["rules"][0]["override"].take();
    let config = json!({ "variantHeader": "x-v",
        "variants": { "stable": {}, "canary": {}, "other": {} },
        "rules": [{ "name": "narrow", "to": "stable", "layer": "l", "slice": [0, 0.000001],
                    "sticky": { "key": [{ "cookie": "uid" }] }, "override": overrides },
                  { "name": "rest", "to": "other" }] });
    let plan = plan(&config);
    assert_eq!(ask(&plan, "/?split=canary", "uid=7", 0), forced("canary", &[KEPT]));
    let ended = ("other".to_owned(), Reason::Pinned, vec![ENDED.to_owned()]);
    assert_eq!(ask(&plan, "/?split=", "uid=7; force=canary", 0), ended);
}

#[test]
fn a_hold_and_a_rule_in_shadow_hear_of_no_choice() {
    let mut held = configuration(false);
    held["hold"] = "stable".into();
    let mut shadow = configuration(false);
    shadow["rules"][0]["mode"] = "shadow".into();
    let live = json!({ "name": "live", "to": "stable" });
    shadow["rules"].as_array_mut().unwrap().push(live);
    for (config, expected) in [(held, Reason::Hold), (shadow, Reason::Pinned)] {
        let plan = plan(&config);
        assert!(plan.rules()[0].overrides().is_none());
        for (path, cookie) in [("/?split=canary", ""), ("/", "force=canary"), ("/?split=", "")] {
            let (variant, reason, set) = ask(&plan, path, cookie, 0);
            assert_eq!((variant.as_str(), reason), ("stable", expected), "{path}");
            assert_eq!(set, [""; 0], "{path}");
        }
        let names: Vec<_> = plan.metrics().iter().map(|metric| metric.name).collect();
        assert!(!names.iter().any(|name| name.contains("override")), "{names:?}");
    }
}

#[test]
fn a_choice_counts_once_and_its_response_nowhere() {
    let plan = plan(&configuration(false));
    let names: Vec<_> = plan.metrics().iter().map(|metric| metric.name).collect();
    let request = HeaderList::new([(":path", "/?split=canary")]);
    let (snapshot, mut environment) = (Snapshot::new(&plan, 0), FixedEnvironment::default());
    let outcome = Outcome::decide(&plan, &snapshot, &request, &mut environment);
    let mut counted = Vec::new();
    outcome.count(|index, _| counted.push(names[index as usize].clone()));
    assert_eq!(
        counted,
        ["rule=.=rollout;.;variant=.=canary;.;reason=.=override;.;tsplit_requests_total"]
    );
    let state = outcome.filter_state();
    assert!(state.contains(&("tsplit.reason", "override".into())));
    assert!(state.iter().all(|(name, _)| *name != "tsplit.first"), "{state:?}");
    assert!(outcome.into_response().observed.is_none());
    let other = |name: &&String| name.contains("variant=.=other");
    assert_eq!(names.iter().filter(other).count(), 1, "no responses of it are counted: {names:?}");
}

#[test]
fn rules_may_share_a_cookie_and_no_other_may_have_it() {
    let shared = |edit: fn(&mut Value)| {
        let mut config = configuration(false);
        let mut second = config["rules"][0].clone();
        second["name"] = "second".into();
        second["persist"]["cookie"] = "kept-2".into();
        edit(&mut second);
        config["rules"].as_array_mut().unwrap().push(second);
        match Plan::compile(config.to_string().as_bytes(), &|_| None) {
            Ok(_) => String::new(),
            Err(errors) => errors.to_string(),
        }
    };
    assert_eq!(shared(|_| {}), "");
    for (edit, error) in [
        (
            (|rule| rule["override"]["maxAge"] = "1h".into()) as fn(&mut Value),
            "rules[1].override: Forbidden: must have the cookie of rules[0].override, which has its name",
        ),
        (
            |rule| rule["override"]["cookie"] = "kept".into(),
            "rules[1].override: Forbidden: its cookie is taken by rules[0].persist",
        ),
        (
            |rule| rule["override"]["cookie"] = "id".into(),
            "rules[1].override: Forbidden: its cookie is taken by rules[0].sticky.issue",
        ),
        (
            |rule| rule["persist"]["cookie"] = "force".into(),
            "rules[1].persist: Forbidden: its cookie is taken by rules[0].override",
        ),
    ] {
        assert_eq!(shared(edit), error);
    }
}
