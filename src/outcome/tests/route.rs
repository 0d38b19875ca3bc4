//! Rules whose weights the route has: the point that each client gets, and what is counted.

use super::*;

use crate::point::{FIRST, LAST};

/// A plan of one rule by the route, with these fields besides its own.
fn by_route(rule: Value, beside: Value) -> Plan {
    let mut whole =
        json!({ "name": "r", "split": "route", "sticky": { "key": [{ "cookie": "uid" }] } });
    merge(&mut whole, rule);
    let mut config = json!({ "pointHeader": "x-p", "rules": [whole] });
    merge(&mut config, beside);
    Plan::compile(config.to_string().as_bytes(), &env).unwrap()
}

/// Sets fields; null takes one away.
fn merge(whole: &mut Value, fields: Value) {
    for (name, value) in fields.as_object().unwrap() {
        whole[name] = value.clone();
    }
    whole.as_object_mut().unwrap().retain(|_, value| !value.is_null());
}

/// The routing headers that a request with these cookies ends up with, and the outcome itself.
fn asked<'p>(
    plan: &'p Plan,
    snapshot: &'p Snapshot,
    cookie: &str,
) -> (Vec<(String, Option<String>)>, Outcome<'p>) {
    let request = HeaderList::new([(":authority", "h"), ("x-p", "99"), ("cookie", cookie)]);
    let outcome = Outcome::decide(plan, snapshot, &request, &mut FixedEnvironment::default());
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let routing = outcome.request_headers().filter(|change| change.name != "cookie");
    let headers = routing.map(|change| (change.name.to_owned(), change.value.map(text))).collect();
    (headers, outcome)
}

fn point(plan: &Plan, cookie: &str) -> (Option<u64>, Reason) {
    let snapshot = Snapshot::new(plan, 0);
    let (headers, outcome) = asked(plan, &snapshot, cookie);
    let (name, value) = headers.last().unwrap();
    assert_eq!(name, "x-p", "it is written or removed");
    let written = value.as_ref().map(|value| value.parse().unwrap());
    assert_eq!(written, outcome.decision().point());
    (written, outcome.decision().reason())
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vector {
    salt: String,
    key: Option<String>,
    key_hex: Option<String>,
    hash: String,
    point: String,
}

/// Computed by the recipe with another implementation of XXH64.
#[test]
fn points_never_change() {
    #[derive(serde::Deserialize)]
    struct Vectors {
        vectors: Vec<Vector>,
    }
    let text = include_str!("../../../wasm-tests/vectors/point-v1.json");
    let vectors = serde_json::from_str::<Vectors>(text).unwrap().vectors;
    assert_eq!(vectors.len(), 60);
    for Vector { salt, key, key_hex, hash, point } in vectors {
        let sticky = json!({ "key": [{ "header": "x-user" }], "salt": salt });
        let plan = by_route(json!({ "sticky": sticky }), json!({}));
        let snapshot = Snapshot::new(&plan, 0);
        let byte = |at| u8::from_str_radix(&key_hex.as_ref().unwrap()[at..at + 2], 16).unwrap();
        let raw = || (0..key_hex.as_ref().unwrap().len()).step_by(2).map(byte).collect();
        let key: Vec<u8> = key.map(String::into_bytes).unwrap_or_else(raw);
        let request = HeaderList::new([("x-user", key.clone())]);
        let outcome = Outcome::decide(&plan, &snapshot, &request, &mut FixedEnvironment::default());
        let decision = outcome.decision();
        assert_eq!(decision.point().unwrap().to_string(), point, "{salt} {key:?}");
        assert_eq!(format!("{:016x}", decision.hash().unwrap()), hash);
        assert_eq!(plan.rules()[0].point(&snapshot, &key), Ok(decision.point()));
    }
}

#[test]
fn a_client_without_a_key_is_left_to_envoy() {
    let plan = by_route(json!({}), json!({}));
    assert_eq!(point(&plan, "other=1"), (None, Reason::Random));
    let (known, reason) = point(&plan, "uid=7");
    assert!(known.is_some() && reason == Reason::Sticky);
}

#[test]
fn an_issued_identity_has_its_point_at_once() {
    let issue =
        json!({ "issue": { "cookie": "id", "maxAge": "1d", "signing": { "env": "KEYS" } } });
    let plan = by_route(json!({ "sticky": issue }), json!({}));
    let snapshot = Snapshot::new(&plan, 0);
    let (first, outcome) = asked(&plan, &snapshot, "");
    let pair = sent_back(outcome.cookies.as_ref().unwrap());
    assert!(first[0].1.is_some());
    assert_eq!(asked(&plan, &snapshot, &pair).0, first);
}

/// The cookie holds the point itself, so that a new key moves nobody; nor does a new salt, unless the
/// cookie is signed, which binds it to the salt.
#[test]
fn a_point_is_kept() {
    for signing in [Value::Null, json!({ "env": "KEYS" })] {
        let mut persist = json!({ "cookie": "kept", "maxAge": "1h" });
        merge(&mut persist, json!({ "signing": signing }));
        for sticky in [Value::Null, json!({ "key": [{ "cookie": "uid" }], "salt": "one" })] {
            let plan = by_route(json!({ "sticky": sticky, "persist": persist }), json!({}));
            let snapshot = Snapshot::new(&plan, 0);
            let (first, outcome) = asked(&plan, &snapshot, "uid=7");
            let drawn = outcome.decision().point().unwrap();
            let pair = sent_back(outcome.cookies.as_ref().unwrap());
            assert!(pair.starts_with(&format!("kept={drawn}")));
            let salted = |salt: &str| {
                let sticky = json!({ "key": [{ "cookie": "other" }], "salt": salt });
                by_route(json!({ "sticky": sticky, "persist": persist }), json!({}))
            };
            let anew = point(&salted("two"), &pair).1 != Reason::Persisted;
            assert_eq!(anew, !signing.is_null());
            let later = salted(if sticky.is_null() { "r" } else { "one" });
            let (again, outcome) = (asked(&later, &snapshot, &pair).0, point(&later, &pair));
            assert_eq!((again, outcome), (first, (Some(drawn), Reason::Persisted)));
            for wrong in ["kept=007", "kept=+7", "kept=", "kept=18446744073709551616", "kept=r"] {
                assert_ne!(point(&later, &format!("uid=7; {wrong}")).1, Reason::Persisted);
            }
            let believed = point(&later, "uid=7; kept=7");
            assert_eq!(believed.1 == Reason::Persisted, signing.is_null());
        }
    }
}

#[test]
fn a_pin_chooses_an_entry() {
    let variants =
        json!({ "a": { "point": "first" }, "b": { "point": "last" }, "c": { "point": 42 } });
    for (to, expected) in [("a", FIRST), ("b", LAST), ("c", 42)] {
        let pin = json!({ "split": null, "sticky": null, "to": to });
        let plan = by_route(pin, json!({ "variants": variants }));
        assert_eq!(point(&plan, "uid=7"), (Some(expected), Reason::Pinned));
        let snapshot = Snapshot::new(&plan, 0);
        assert_eq!(plan.rules()[0].point(&snapshot, b"7"), Ok(Some(expected)));
    }
}

/// Weights in the rule, over a route that has weights as well.
#[test]
fn a_variant_of_a_split_has_its_point() {
    let variants = json!({ "a": { "point": 0 }, "b": { "point": "last" } });
    let split =
        json!({ "split": { "a": 0, "b": 1 }, "persist": { "cookie": "kept", "maxAge": "1h" } });
    let plan = by_route(split, json!({ "variants": variants }));
    assert_eq!(point(&plan, "uid=7"), (Some(LAST), Reason::Sticky));
    let snapshot = Snapshot::new(&plan, 0);
    let (_, outcome) = asked(&plan, &snapshot, "uid=7");
    assert_eq!(sent_back(outcome.cookies.as_ref().unwrap()), "kept=b", "the variant is kept");
}

/// A route that chooses by another header would not get to its weights.
#[test]
fn the_other_routing_headers_are_removed() {
    let names = json!({ "clusterHeader": "x-c", "variantHeader": "x-v",
                        "variants": { "a": { "cluster": "v1", "point": 7 } } });
    let plan = by_route(json!({}), names);
    let snapshot = Snapshot::new(&plan, 0);
    let (headers, _) = asked(&plan, &snapshot, "uid=7");
    let names: Vec<_> = headers.iter().map(|(name, value)| (&**name, value.is_some())).collect();
    assert_eq!(names, [("x-c", false), ("x-v", false), ("x-p", true)]);
}

#[test]
fn a_slice_of_a_layer_leaves_the_others_to_later_rules() {
    let plan = by_route(json!({ "layer": "l", "slice": [0, 50] }), json!({}));
    let taken = (0..1000).filter(|i| point(&plan, &format!("uid={i}")).1 == Reason::Sticky).count();
    assert!((400..600).contains(&taken), "{taken}");
    let rule = &plan.rules()[0];
    let snapshot = Snapshot::new(&plan, 0);
    let outside = (0..1000).filter(|i: &u32| {
        rule.point(&snapshot, i.to_string().as_bytes()) == Err(crate::Unassigned::OutsideSlice)
    });
    assert_eq!(outside.count(), 1000 - taken);
}

fn guarded(fallback: Value) -> Plan {
    let guard = json!({ "watch": "canary", "fallback": "stable", "maxErrorRate": "5%" });
    let variants =
        json!({ "stable": fallback, "canary": { "cluster": "v2" }, "next": { "cluster": "v3" } });
    by_route(json!({ "guard": guard }), json!({ "variants": variants }))
}

/// 10,000 clients, 5 standard errors: nobody knows here whom the route would give to the canary, so
/// all go to where the fallback is, and a tenth of them on trial.
#[test]
fn a_guard_sends_all_clients_to_the_first_entry() {
    for (fallback, to) in
        [(json!({ "cluster": "v1" }), FIRST), (json!({ "cluster": "v1", "point": 30 }), 30)]
    {
        let plan = guarded(fallback);
        let mut snapshot = Snapshot::new(&plan, 0);
        let points = |snapshot: &Snapshot| -> Vec<(u64, Reason)> {
            let of = |i| {
                let request = HeaderList::new([("cookie", format!("uid={i}"))]);
                let environment = &mut FixedEnvironment::default();
                let outcome = Outcome::decide(&plan, snapshot, &request, environment);
                (outcome.decision().point().unwrap(), outcome.decision().reason())
            };
            (0..10_000).map(of).collect()
        };
        let own = points(&snapshot);
        assert!(own.iter().all(|(_, reason)| *reason == Reason::Sticky));
        snapshot.admitted = vec![0.0];
        assert!(points(&snapshot).iter().all(|found| *found == (to, Reason::Guard)));
        snapshot.admitted = vec![0.1];
        let trial = points(&snapshot);
        let tried: Vec<_> = (0..10_000).filter(|i| trial[*i].1 == Reason::Sticky).collect();
        assert!(tried.iter().all(|i| trial[*i] == own[*i]), "on trial with their own points");
        assert!(trial.iter().all(|(point, reason)| *reason == Reason::Sticky || *point == to));
        let (n, p) = (10_000.0, 0.1);
        let off = (tried.len() as f64 - n * p).abs();
        assert!(off <= 5.0 * f64::sqrt(n * p * (1.0 - p)), "{}", tried.len());
    }
}

/// The clusters of which a rule's responses are told apart, and those of other variants.
#[test]
fn a_response_belongs_to_the_variant_of_its_cluster() {
    let named = |metrics: &str, cluster: Option<&str>| -> (Option<String>, bool) {
        let guard = json!({ "watch": "canary", "fallback": "stable", "maxErrorRate": "5%" });
        let variants = json!({ "stable": { "cluster": "v1" }, "canary": { "cluster": "v2" },
                               "next": { "cluster": "v3" }, "same": { "cluster": "v2" }, "none": {} });
        let plan = by_route(
            json!({ "guard": guard }),
            json!({ "variants": variants, "metrics": metrics }),
        );
        let snapshot = Snapshot::new(&plan, 0);
        let (_, outcome) = asked(&plan, &snapshot, "uid=7");
        let observed = outcome.into_response().observed.unwrap();
        let answered = observed.answered(|| cluster.map(|name| name.as_bytes().to_vec()));
        let name = answered.variant.as_ref().map(|variant| variant.name.clone());
        (name, answered.guard.is_some())
    };
    for (metrics, cluster, variant, guarded) in [
        ("counts", Some("v1"), Some("stable"), true),
        ("counts", Some("v2"), Some("canary"), true),
        ("counts", Some("v3"), None, true),
        ("full", Some("v2"), Some("canary"), true),
        ("full", Some("v3"), Some("next"), false),
        ("full", Some("v4"), None, true),
        ("full", None, None, true),
    ] {
        let found = named(metrics, cluster);
        assert_eq!(found, (variant.map(str::to_owned), guarded), "{metrics} {cluster:?}");
    }
}

#[test]
fn no_cluster_is_asked_for_where_nothing_depends_on_it() {
    for (metrics, variants, observed) in
        [("counts", json!({ "a": { "cluster": "v1" } }), false), ("full", json!({ "a": {} }), true)]
    {
        let plan = by_route(json!({}), json!({ "metrics": metrics, "variants": variants }));
        let snapshot = Snapshot::new(&plan, 0);
        let (_, outcome) = asked(&plan, &snapshot, "uid=7");
        let found = outcome.into_response().observed;
        assert_eq!(found.is_some(), observed);
        let target = found.as_ref().map(|target| target.answered(|| panic!("not asked")));
        assert!(target.is_none_or(|target| target.variant.is_none()));
    }
}

/// A label that is absent cannot be the name of a variant.
#[test]
fn counters_have_no_variant_where_the_route_chooses() {
    let plan = by_route(json!({ "persist": { "cookie": "kept", "maxAge": "1h" } }), json!({}));
    let snapshot = Snapshot::new(&plan, 0);
    let (_, outcome) = asked(&plan, &snapshot, "uid=7");
    let sticky = "rule=.=r;.;reason=.=sticky;.;tsplit_requests_total";
    assert_eq!(counted(&plan, &outcome), [sticky]);
    let of_rule: Vec<_> = plan.metrics().iter().filter(|m| m.name.contains("rule=")).collect();
    let reasons = ["sticky", "persisted", "random"];
    let names =
        reasons.map(|reason| format!("rule=.=r;.;reason=.={reason};.;tsplit_requests_total"));
    assert_eq!(of_rule.iter().map(|metric| metric.name.clone()).collect::<Vec<_>>(), names);
}

#[test]
fn a_rule_in_shadow_is_counted_and_writes_nothing() {
    let plan =
        by_route(json!({ "mode": "shadow" }), json!({ "metrics": "full", "debugHeader": "x-d" }));
    let snapshot = Snapshot::new(&plan, 0);
    let (headers, outcome) = asked(&plan, &snapshot, "uid=7");
    assert_eq!(headers, [("x-p".to_owned(), None)]);
    let shadow = "rule=.=r;.;reason=.=shadow;.;tsplit_requests_total";
    let changed = "rule=.=r;.;tsplit_shadow_changed_total";
    assert_eq!(counted(&plan, &outcome), ["tsplit_unmatched_total", shadow, changed]);
    assert!(outcome.filter_state().contains(&("tsplit.shadow", "r=-".into())));
    assert_eq!(outcome.into_response().headers[0].value, "rule=-; variant=-; reason=unmatched");
    let all = by_route(json!({}), json!({ "mode": "shadow", "debugHeader": "x-d" }));
    let (headers, outcome) = asked(&all, &snapshot, "uid=7");
    assert_eq!(headers, [("x-p".to_owned(), None)], "a client chooses no point");
    let point = outcome.decision().point().unwrap();
    let value = format!("rule=r; variant=-; reason=shadow; point={point}");
    assert_eq!(outcome.into_response().headers[0].value, value);
}

/// Rules times variants are bounded: each pair is seven metrics.
#[test]
fn too_many_pairs_are_refused() {
    let refused = |rules: usize, clusters: usize, metrics: &str| {
        let rule = |i| {
            json!({ "name": format!("r{i}"), "split": "route",
                               "sticky": { "key": [{ "cookie": "uid" }] } })
        };
        let variant = |i| (format!("v{i}"), json!({ "cluster": format!("c{i}") }));
        let variants: serde_json::Map<_, _> = (0..clusters).map(variant).collect();
        let rules: Vec<_> = (0..rules).map(rule).collect();
        let config = json!({ "pointHeader": "x-p", "metrics": metrics, "variants": variants, "rules": rules });
        Plan::compile(config.to_string().as_bytes(), &env).err().map(|errors| errors.to_string())
    };
    assert_eq!(refused(64, 256, "full"), None);
    assert_eq!(refused(65, 256, "counts"), None);
    let expected = "rules[64].split: Forbidden: more than 16384 pairs of such a rule and a cluster of \
                    variants; use `metrics: counts`";
    assert_eq!(refused(65, 256, "full").as_deref(), Some(expected));
}
