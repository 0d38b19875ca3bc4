//! Clients that come back: what they were issued, what was kept, and what is not believed.

use serde_json::{Value, json};

use super::*;
use crate::limits;
use crate::request::HeaderList;
use crate::testing::FixedEnvironment;

mod assigned;
mod named;
mod navigation;
mod renewal;
mod route;
mod state;

const DAY: u64 = 86_400;

fn env(name: &str) -> Option<String> {
    match name {
        "KEYS" => Some("a".repeat(32)),
        "ROTATED" => Some(format!("{}, {}", "b".repeat(32), "a".repeat(32))),
        "OTHER" => Some("c".repeat(32)),
        _ => None,
    }
}

/// A plan of two variants and these rules.
fn plan(rules: Value) -> Plan {
    let config =
        json!({ "variantHeader": "x-v", "variants": { "a": {}, "b": {} }, "rules": rules });
    Plan::compile(config.to_string().as_bytes(), &env).unwrap()
}

fn issuing(env: &str) -> Value {
    json!([{ "name": "r", "split": { "a": 1, "b": 1 },
             "sticky": { "issue": { "cookie": "id", "maxAge": "30d", "signing": { "env": env } } } }])
}

/// A visit to `host` with these cookies; the decision's variant and reason, and the cookies set.
fn visit(
    plan: &Plan,
    host: &str,
    cookie: &str,
    environment: &mut FixedEnvironment,
) -> (String, Reason, Cookies) {
    let request = HeaderList::new([(":authority", host.to_owned()), ("cookie", cookie.to_owned())]);
    let snapshot = Snapshot::new(plan, 0);
    let outcome = Outcome::decide(plan, &snapshot, &request, environment);
    let decision = outcome.decision();
    let variant = decision.variant().map(|variant| variant.name.clone()).unwrap_or_default();
    (variant, decision.reason(), outcome.cookies.unwrap())
}

/// `name=value` as the client sends it back.
fn sent_back(cookies: &Cookies) -> String {
    cookies.response[0].split(';').next().unwrap().to_owned()
}

#[test]
fn an_issued_identity_is_hashed_at_once_and_when_it_comes_back() {
    let plan = plan(issuing("KEYS"));
    let mut environment =
        FixedEnvironment { now: 1_000_000, draws: 0, ..FixedEnvironment::default() };
    for _ in 0..100 {
        let (variant, reason, cookies) = visit(&plan, "h", "x=1; id=bad", &mut environment);
        let pair = sent_back(&cookies);
        assert_eq!(cookies.request.unwrap(), format!("x=1; {pair}").into_bytes());
        let again = visit(&plan, "h:443", &format!("x=1; {pair}"), &mut environment);
        assert_eq!(again, (variant, reason, Cookies::default()));
    }
}

#[test]
fn attributes_follow_the_value() {
    let rules = json!([{ "name": "r", "split": { "a": 1 }, "sticky": { "issue": {
        "cookie": "__Secure-id", "maxAge": "1h", "path": "/shop", "domain": "Example.com",
        "sameSite": "None", "secure": true, "httpOnly": false, "partitioned": true } } }]);
    let (_, _, cookies) = visit(&plan(rules), "h", "", &mut FixedEnvironment::default());
    assert_eq!(
        cookies.response,
        ["__Secure-id=FXxKf7l5N54AAAAAAAAAAA; Max-Age=3600; Path=/shop; Domain=example.com; \
          SameSite=None; Secure; Partitioned"]
    );
}

#[test]
fn what_does_not_verify_is_reissued() {
    let mine = plan(issuing("KEYS"));
    let mut environment =
        FixedEnvironment { now: 1_000_000, draws: 0, ..FixedEnvironment::default() };
    let (_, _, cookies) = visit(&mine, "h", "", &mut environment);
    let pair = sent_back(&cookies);
    let believed = |plan: &Plan, host: &str, pair: &str, now: u64| {
        visit(
            plan,
            host,
            pair,
            &mut FixedEnvironment { now, draws: 9, ..FixedEnvironment::default() },
        )
        .2
        .response
        .is_empty()
    };
    let now = environment.now;
    assert!(believed(&mine, "h", &pair, now));
    assert!(believed(&mine, "H:8080", &pair, now), "hosts are compared in either case");
    assert!(believed(&plan(issuing("ROTATED")), "h", &pair, now), "older keys verify");
    assert!(!believed(&plan(issuing("OTHER")), "h", &pair, now));
    assert!(!believed(&mine, "other", &pair, now), "bound to the host");
    assert!(!believed(&mine, "h", &pair.replace("id=", "jd="), now), "bound to the name");
    assert!(believed(&mine, "h", &pair, now + 30 * DAY - 1));
    assert!(!believed(&mine, "h", &pair, now + 30 * DAY), "expired");
    assert!(believed(&mine, "h", &pair, now - limits::CLOCK_SKEW));
    assert!(!believed(&mine, "h", &pair, now - limits::CLOCK_SKEW - 1), "from the future");
    let both = format!("id=forged; {pair}");
    assert!(believed(&mine, "h", &both, now), "the first valid one counts");
    let among = |forged: usize| "id=forged; ".repeat(forged) + &pair;
    assert!(believed(&mine, "h", &among(limits::SIGNED_VALUES - 1), now), "the last one looked at");
    assert!(!believed(&mine, "h", &among(limits::SIGNED_VALUES), now), "one too many before it");
    for (bytes, expected) in [(limits::HOST_BYTES, true), (limits::HOST_BYTES + 1, false)] {
        let host = "h".repeat(bytes);
        let (_, _, cookies) = visit(
            &mine,
            &host,
            "",
            &mut FixedEnvironment { now, draws: 0, ..FixedEnvironment::default() },
        );
        assert_eq!(
            believed(&mine, &host, &sent_back(&cookies), now),
            expected,
            "a host of {bytes}"
        );
    }
    for at in 3..pair.len() {
        let mut altered = pair.clone().into_bytes();
        altered[at] ^= 1;
        let altered = String::from_utf8(altered).unwrap();
        assert!(!believed(&mine, "h", &altered, now), "{altered}");
    }
    for (form, expected) in [
        ("id=FXxKf7l5N54AAAAAAAAAAA", true),
        ("id=FXxKf7l5N54AAAAAAAAAAB", false),
        ("id=FXxKf7l5N54AAAAAAAAAA", false),
        ("id=FXxKf7l5N54AAAAAAAAAAA=", false),
        ("id=user-7", false),
        ("id=", false),
    ] {
        let unsigned = json!([{ "name": "r", "split": { "a": 1 },
            "sticky": { "issue": { "cookie": "id", "maxAge": "30d" } } }]);
        assert_eq!(believed(&plan(unsigned), "h", form, now), expected, "{form}");
    }
}

fn persisting(weights: Value, signing: Value, drain: bool) -> Plan {
    let mut persist = json!({ "cookie": "kept", "maxAge": "1h", "drain": drain });
    if !signing.is_null() {
        persist["signing"] = signing;
    }
    plan(json!([{ "name": "r", "split": weights, "persist": persist }]))
}

#[test]
fn an_assignment_is_kept_until_it_expires() {
    let keys = json!({ "env": "KEYS" });
    for signing in [Value::Null, keys.clone()] {
        let (environment, now) =
            (&mut FixedEnvironment { now: DAY, draws: 0, ..FixedEnvironment::default() }, DAY);
        let all_a = persisting(json!({ "a": 1 }), signing.clone(), true);
        let (variant, reason, cookies) = visit(&all_a, "h", "", environment);
        assert_eq!((variant.as_str(), reason), ("a", Reason::Random));
        assert!(cookies.request.is_none() && cookies.response[0].starts_with("kept=a"));
        let pair = sent_back(&cookies);
        for (weights, drain, expected) in [
            (json!({ "a": 1, "b": 1e6 }), true, ("a", Reason::Persisted)),
            (json!({ "a": 0, "b": 1 }), true, ("a", Reason::Persisted)),
            (json!({ "a": 0, "b": 1 }), false, ("b", Reason::Random)),
            (json!({ "b": 1 }), true, ("b", Reason::Random)),
        ] {
            let later = persisting(weights, signing.clone(), drain);
            let (variant, reason, cookies) = visit(&later, "h", &pair, environment);
            assert_eq!((variant.as_str(), reason), expected);
            assert_eq!(cookies.response.is_empty(), reason == Reason::Persisted);
        }
        let all_b = persisting(json!({ "a": 0, "b": 1 }), signing.clone(), true);
        let expired = visit(
            &all_b,
            "h",
            &pair,
            &mut FixedEnvironment { now: now + 3600, draws: 0, ..FixedEnvironment::default() },
        );
        assert_eq!(expired.0, if signing.is_null() { "a" } else { "b" });
    }
    for forged in ["kept=a", "kept=b", "kept=", "kept=a.0.ffffffff.AAAA"] {
        let signed = persisting(json!({ "a": 0, "b": 1 }), keys.clone(), true);
        assert_eq!(visit(&signed, "h", forged, &mut FixedEnvironment::default()).1, Reason::Random);
    }
}

/// Same cookie, same keys, same variants: only the salt tells one experiment from another.
#[test]
fn a_signed_assignment_belongs_to_its_rule() {
    let rule = |name: &str, salt: Option<&str>, weights: Value| {
        let sticky = salt.map(|salt| json!({ "key": [{ "cookie": "uid" }], "salt": salt }));
        let persist = json!({ "cookie": "kept", "maxAge": "1h", "signing": { "env": "KEYS" } });
        let mut rule = json!({ "name": name, "split": weights, "persist": persist });
        rule.as_object_mut().unwrap().extend(sticky.map(|sticky| ("sticky".to_owned(), sticky)));
        plan(json!([rule]))
    };
    let environment = &mut FixedEnvironment { now: DAY, ..FixedEnvironment::default() };
    let (_, _, cookies) = visit(&rule("r", None, json!({ "a": 1 })), "h", "", environment);
    let pair = sent_back(&cookies);
    for (name, salt, expected) in [
        ("r", None, Reason::Persisted),
        ("renamed", Some("r"), Reason::Persisted),
        ("r", Some("s"), Reason::Random),
        ("s", None, Reason::Random),
    ] {
        let later = rule(name, salt, json!({ "a": 1, "b": 1e6 }));
        assert_eq!(visit(&later, "h", &pair, environment).1, expected, "{name} {salt:?}");
    }
}

fn layered(slices: &[(f64, f64)]) -> Plan {
    let rule = |(i, (start, end)): (usize, &(f64, f64))| {
        json!({ "name": format!("r{i}"), "layer": "l", "slice": [start, end], "to": "a",
                "sticky": { "key": [{ "cookie": "uid" }],
                            "issue": { "cookie": "id", "maxAge": "30d" } } })
    };
    plan(slices.iter().enumerate().map(rule).collect())
}

#[test]
fn a_client_outside_every_slice_keeps_its_identity() {
    let plan = layered(&[(0.0, 1.0), (50.0, 51.0)]);
    let mut environment = FixedEnvironment::default();
    let (variant, reason, cookies) = visit(&plan, "h", "", &mut environment);
    assert_eq!((variant.as_str(), reason), ("", Reason::Unmatched));
    assert_eq!(cookies.response.len(), 1, "one identity for both rules");
    let again = visit(&plan, "h", &sent_back(&cookies), &mut environment);
    assert_eq!(again.2, Cookies::default());
}

#[test]
fn a_plan_in_shadow_writes_nothing() {
    let config = json!({ "mode": "shadow", "variantHeader": "x-v", "variants": { "a": {} },
        "rules": [{ "name": "r", "split": { "a": 1 },
                    "sticky": { "issue": { "cookie": "id", "maxAge": "1h" } } }] });
    let plan = Plan::compile(config.to_string().as_bytes(), &env).unwrap();
    let (request, snapshot) = (HeaderList::new([("x-v", "a")]), Snapshot::new(&plan, 0));
    let outcome = Outcome::decide(&plan, &snapshot, &request, &mut FixedEnvironment::default());
    assert_eq!(outcome.decision().rule(), Some("r"));
    let changes: Vec<_> = outcome.request_headers().map(|c| (c.name, c.value)).collect();
    assert_eq!(changes, [("x-v", None)], "a client's own value routes nothing");
    assert!(outcome.into_response().is_empty());
}

/// The names of the counters that an outcome increments.
fn counted(plan: &Plan, outcome: &Outcome<'_>) -> Vec<String> {
    let names: Vec<_> = plan.metrics().iter().map(|metric| metric.name.clone()).collect();
    let mut counted = Vec::new();
    outcome.count(|index, _| counted.push(names[index as usize].clone()));
    counted
}

#[test]
fn an_outcome_says_what_is_counted() {
    let rules = json!([
        { "name": "tried", "mode": "shadow", "to": "b" },
        { "name": "live", "match": [{ "headers": { "x": { "exact": "1" } } }], "to": "a" }
    ]);
    let plan = plan(rules.clone());
    let snapshot = Snapshot::new(&plan, 0);
    let count = |value: &str| {
        let request = HeaderList::new([("x", value)]);
        let environment = &mut FixedEnvironment::default();
        counted(&plan, &Outcome::decide(&plan, &snapshot, &request, environment))
    };
    let tried = [
        "rule=.=tried;.;variant=.=b;.;reason=.=shadow;.;tsplit_requests_total",
        "rule=.=tried;.;variant=.=b;.;tsplit_shadow_changed_total",
    ];
    let live = "rule=.=live;.;variant=.=a;.;reason=.=pinned;.;tsplit_requests_total";
    assert_eq!(count("1"), [&[live], &tried[..]].concat());
    assert_eq!(count("2"), [&["tsplit_unmatched_total"], &tried[..]].concat());
    let too_long = "1".repeat(limits::VALUE_BYTES + 1);
    assert_eq!(
        count(&too_long),
        [&["what=.=value;.;tsplit_absent_total", "tsplit_unmatched_total"], &tried[..]].concat()
    );
    let config = json!({ "mode": "shadow", "variantHeader": "x-v", "metrics": "full",
                         "debugHeader": "x-d", "variants": { "a": {}, "b": {} }, "rules": rules });
    let plan = Plan::compile(config.to_string().as_bytes(), &env).unwrap();
    let (request, snapshot) = (HeaderList::new([("x", "1")]), Snapshot::new(&plan, 0));
    let outcome = Outcome::decide(&plan, &snapshot, &request, &mut FixedEnvironment::default());
    let live = [
        "rule=.=live;.;variant=.=a;.;reason=.=shadow;.;tsplit_requests_total",
        "rule=.=live;.;variant=.=a;.;tsplit_shadow_changed_total",
    ];
    assert_eq!(counted(&plan, &outcome), [live, tried].concat());
    let generation = plan.generation().to_string();
    let state = [
        ("rule", "live"),
        ("variant", "a"),
        ("reason", "shadow"),
        ("generation", &generation),
        ("analysis", "0"),
        ("shadow", "tried=b"),
    ];
    let named = outcome.filter_state();
    let named: Vec<_> = named.iter().map(|(n, value)| (&n["tsplit.".len()..], &**value)).collect();
    assert_eq!(named, state);
    let response = outcome.into_response();
    assert!(response.observed.is_none(), "what is only counted has no response of its own");
    let value = "rule=live; variant=a; reason=shadow".to_owned();
    assert_eq!(
        response.headers,
        [ResponseHeader { name: "x-d".into(), value, kind: HeaderKind::Explanation }]
    );
}

/// A rule in shadow changes nothing but its own counters.
#[test]
fn what_is_ignored_for_a_rule_in_shadow_alone_is_not_counted() {
    let too_long = "1".repeat(limits::VALUE_BYTES + 1);
    let matches = json!([{ "headers": { "x": { "exact": "1" } } }]);
    for (mode, expected) in [
        ("shadow", &["tsplit_unmatched_total"][..]),
        ("enforce", &["what=.=value;.;tsplit_absent_total", "tsplit_unmatched_total"]),
    ] {
        let plan = plan(json!([{ "name": "r", "mode": mode, "match": matches, "to": "a" }]));
        let (request, snapshot) = (HeaderList::new([("x", &*too_long)]), Snapshot::new(&plan, 0));
        let outcome = Outcome::decide(&plan, &snapshot, &request, &mut FixedEnvironment::default());
        assert_eq!(counted(&plan, &outcome), expected, "{mode}");
    }
}

/// A plan with both routing headers, in which `/a` is pinned.
fn pinning(mode: &str) -> Plan {
    let config = json!({ "mode": mode, "clusterHeader": "x-c", "variantHeader": "x-v",
        "variants": { "a": { "cluster": "to-a" } },
        "rules": [{ "name": "r", "match": [{ "path": { "exact": "/a" } }], "to": "a" },
                  { "name": "tried", "mode": "shadow", "to": "a" }] });
    Plan::compile(config.to_string().as_bytes(), &env).unwrap()
}

/// A request to this path with both routing headers, of which an earlier filter wrote these.
fn routed(path: &str, variant: &str, earlier: &[&str]) -> HeaderList {
    let cluster = format!("to-{variant}");
    let mut request = HeaderList::new([(":path", path), ("x-v", variant), ("x-c", &cluster)]);
    request.written_earlier = earlier.iter().map(|name| (*name).to_owned()).collect();
    request
}

#[test]
fn what_an_earlier_filter_wrote_stands_unless_a_rule_matches() {
    let removed = [("x-c", None), ("x-v", None)];
    let written = [("x-c", Some(&b"to-a"[..])), ("x-v", Some(&b"a"[..]))];
    for (mode, path, earlier, expected) in [
        ("enforce", "/", &["x-c", "x-v"][..], &[][..]),
        ("enforce", "/", &["x-v"], &removed[..1]),
        ("enforce", "/", &["x-c"], &removed[1..]),
        ("enforce", "/", &[], &removed),
        ("enforce", "/a", &["x-c", "x-v"], &written),
        ("enforce", "/a", &[], &written),
        ("shadow", "/a", &["x-c", "x-v"], &[]),
        ("shadow", "/a", &["x-v"], &removed[..1]),
        ("shadow", "/a", &[], &removed),
        ("shadow", "/", &[], &removed),
    ] {
        let (plan, request) = (pinning(mode), routed(path, "b", earlier));
        let snapshot = Snapshot::new(&plan, 0);
        let outcome = Outcome::decide(&plan, &snapshot, &request, &mut FixedEnvironment::default());
        let changes: Vec<_> = outcome.request_headers().map(|c| (c.name, c.value)).collect();
        assert_eq!(changes, expected, "{mode} {path} {earlier:?}");
    }
}

/// A rule in shadow is compared with where the request really goes.
#[test]
fn a_dry_run_changes_nothing_where_an_earlier_filter_decides_alike() {
    let both = &["x-c", "x-v"][..];
    for (mode, variant, earlier, changed) in [
        ("enforce", "a", both, 0),
        ("enforce", "b", both, 1),
        ("enforce", "a", &["x-v"], 0),
        // A client's values are removed.
        ("enforce", "a", &[], 1),
        ("shadow", "a", both, 0),
        ("shadow", "b", both, 1),
        ("shadow", "a", &[], 1),
    ] {
        let (plan, request) = (pinning(mode), routed("/", variant, earlier));
        let snapshot = Snapshot::new(&plan, 0);
        let outcome = Outcome::decide(&plan, &snapshot, &request, &mut FixedEnvironment::default());
        let counted = counted(&plan, &outcome);
        let counted = counted.iter().filter(|name| name.ends_with("tsplit_shadow_changed_total"));
        assert_eq!(counted.count(), changed, "{mode} {variant} {earlier:?}");
    }
}

/// A later filter in the chain may decide otherwise.
#[test]
fn only_what_is_carried_out_waits_to_be_counted() {
    for (mode, path, waiting) in [("enforce", "/a", 1), ("enforce", "/", 0), ("shadow", "/a", 0)] {
        let (plan, request) = (pinning(mode), HeaderList::new([(":path", path)]));
        let snapshot = Snapshot::new(&plan, 0);
        let outcome = Outcome::decide(&plan, &snapshot, &request, &mut FixedEnvironment::default());
        let mut due = Vec::new();
        outcome.count(|_, when| due.push(when));
        let waits = due.iter().filter(|due| **due == Due::OnceItStands).count();
        assert_eq!((outcome.is_carried_out(), waits), (waiting > 0, waiting), "{mode} {path}");
    }
}
