//! Clients that come back: what they were issued, what was kept, and what is not believed.

use serde_json::{Value, json};

use super::*;
use crate::environment::tests::Fixed;
use crate::limits;
use crate::request::tests::Given;
use crate::{Cookies, cookies};

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
    environment: &mut Fixed,
) -> (String, Reason, Cookies) {
    let request = Given::new([(":authority", host.to_owned()), ("cookie", cookie.to_owned())]);
    let snapshot = Snapshot::new(plan, 0);
    let decision = decide(plan, &snapshot, &request, environment);
    let cookies = cookies(plan, &decision, &request, environment);
    let variant = decision.variant().map(|variant| variant.name.clone()).unwrap_or_default();
    (variant, decision.reason(), cookies)
}

/// `name=value` as the client sends it back.
fn sent_back(cookies: &Cookies) -> String {
    cookies.response[0].split(';').next().unwrap().to_owned()
}

#[test]
fn an_issued_identity_is_hashed_at_once_and_when_it_comes_back() {
    let plan = plan(issuing("KEYS"));
    let mut environment = Fixed { now: 1_000_000, draws: 0 };
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
    let (_, _, cookies) = visit(&plan(rules), "h", "", &mut Fixed::default());
    assert_eq!(
        cookies.response,
        ["__Secure-id=FXxKf7l5N54AAAAAAAAAAA; Max-Age=3600; Path=/shop; Domain=example.com; \
          SameSite=None; Secure; Partitioned"]
    );
}

#[test]
fn what_does_not_verify_is_reissued() {
    let mine = plan(issuing("KEYS"));
    let mut environment = Fixed { now: 1_000_000, draws: 0 };
    let (_, _, cookies) = visit(&mine, "h", "", &mut environment);
    let pair = sent_back(&cookies);
    let believed = |plan: &Plan, host: &str, pair: &str, now: u64| {
        visit(plan, host, pair, &mut Fixed { now, draws: 9 }).2.response.is_empty()
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
        let (_, _, cookies) = visit(&mine, &host, "", &mut Fixed { now, draws: 0 });
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
        let (environment, now) = (&mut Fixed { now: DAY, draws: 0 }, DAY);
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
        let expired = visit(&all_b, "h", &pair, &mut Fixed { now: now + 3600, draws: 0 });
        assert_eq!(expired.0, if signing.is_null() { "a" } else { "b" });
    }
    for forged in ["kept=a", "kept=b", "kept=", "kept=a.0.ffffffff.AAAA"] {
        let signed = persisting(json!({ "a": 0, "b": 1 }), keys.clone(), true);
        assert_eq!(visit(&signed, "h", forged, &mut Fixed::default()).1, Reason::Random);
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

/// 100,000 keys, 5 standard errors.
#[test]
fn slices_of_a_layer_take_their_share_and_never_the_same_client() {
    let slices = [(0.0, 30.0), (30.0, 30.5), (70.0, 100.0)];
    let together = layered(&slices);
    let apart = slices.map(|slice| layered(&[slice]));
    let mut counts = [0_u32; 3];
    for i in 0..100_000 {
        let request = Given::new([("cookie", format!("uid=user-{i}"))]);
        let rule = |plan: &Plan| {
            decide(plan, &Snapshot::new(plan, 0), &request, &mut Fixed::default())
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
fn a_client_outside_every_slice_keeps_its_identity() {
    let plan = layered(&[(0.0, 1.0), (50.0, 51.0)]);
    let mut environment = Fixed::default();
    let (variant, reason, cookies) = visit(&plan, "h", "", &mut environment);
    assert_eq!((variant.as_str(), reason), ("", Reason::Unmatched));
    assert_eq!(cookies.response.len(), 1, "one identity for both rules");
    let again = visit(&plan, "h", &sent_back(&cookies), &mut environment);
    assert_eq!(again.2, Cookies::default());
}

#[test]
fn one_salt_in_two_services_gives_one_variant() {
    let service = |rule: &str, salt: &str| {
        plan(json!([{ "name": rule, "split": { "a": 1, "b": 1 },
                      "sticky": { "key": [{ "cookie": "uid" }], "salt": salt } }]))
    };
    let variants = |plan: Plan| -> Vec<String> {
        let uid = |i| format!("uid={i}");
        (0..64).map(|i| visit(&plan, "h", &uid(i), &mut Fixed::default()).0).collect()
    };
    let cart = variants(service("cart", "summer"));
    assert_eq!(cart, variants(service("search", "summer")));
    assert_ne!(cart, variants(service("search", "winter")));
}

#[test]
fn nothing_is_hashed_for_a_client_without_a_key() {
    let plan = plan(json!([{ "name": "r", "split": { "a": 1, "b": 1 },
                             "sticky": { "key": [{ "cookie": "uid" }] } }]));
    let environment = &mut Fixed::default();
    let mut variants: Vec<_> = (0..64).map(|_| visit(&plan, "h", "uid=", environment)).collect();
    assert!(variants.iter().all(|(_, reason, _)| *reason == Reason::Random));
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
    let (request, snapshot) = (Given::new([("x", "y")]), Snapshot::new(&plan, 0));
    let environment = &mut Fixed::default();
    let decision = decide(&plan, &snapshot, &request, environment);
    assert_eq!((decision.rule(), decision.reason()), (Some("live"), Reason::Pinned));
    assert_eq!(cookies(&plan, &decision, &request, environment), Cookies::default());
    let shadow = |environment: &mut Fixed| {
        let shadows: Vec<_> = shadows(&plan, &snapshot, &request, environment).collect();
        assert_eq!(shadows.len(), 1);
        shadows[0].variant().unwrap().name.clone()
    };
    let seen: std::collections::BTreeSet<_> = (0..64).map(|_| shadow(environment)).collect();
    assert_eq!(seen.len(), 2, "a client without an identity is drawn");
}

#[test]
fn a_plan_in_shadow_rewrites_nothing() {
    let config = json!({ "mode": "shadow", "variantHeader": "x-v", "variants": { "a": {} },
        "rules": [{ "name": "r", "split": { "a": 1 },
                    "sticky": { "issue": { "cookie": "id", "maxAge": "1h" } } }] });
    let plan = Plan::compile(config.to_string().as_bytes(), &env).unwrap();
    let (request, snapshot) = (Given::new([("x-v", "a")]), Snapshot::new(&plan, 0));
    let decision = decide(&plan, &snapshot, &request, &mut Fixed::default());
    assert_eq!(decision.rule(), Some("r"));
    assert_eq!(crate::effects(&plan, &decision).count(), 0);
    let cookies = cookies(&plan, &decision, &request, &mut Fixed::default());
    assert_eq!(cookies, Cookies::default());
}
