//! The counter of new users.

use super::*;

/// The counter of new users that this request adds to, if it does.
fn assigned(plan: &Plan, host: &str, cookie: &str) -> Option<String> {
    let request = HeaderList::new([(":authority", host.to_owned()), ("cookie", cookie.to_owned())]);
    let snapshot = Snapshot::new(plan, 0);
    let outcome = Outcome::decide(plan, &snapshot, &request, &mut FixedEnvironment::default());
    counted(plan, &outcome).into_iter().find(|name| name.ends_with("tsplit_assigned_total"))
}

fn split(more: Value) -> Value {
    let mut rule = json!({ "name": "r", "split": { "a": 1 } });
    rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    rule
}

#[test]
fn a_user_is_new_who_is_handed_an_assignment_or_an_identity() {
    let issue = json!({ "sticky": { "key": [{ "cookie": "uid" }],
                                    "issue": { "cookie": "id", "maxAge": "30d" } } });
    let kept = json!({ "cookie": "kept", "maxAge": "1h" });
    let persist = json!({ "sticky": { "key": [{ "cookie": "uid" }] }, "persist": kept });
    let shadow = json!({ "mode": "shadow", "persist": kept });
    for (more, cookie, expected) in [
        (&issue, "", true),
        (&issue, "uid=7", false),
        (&issue, "id=AAAAAAAAAAAAAAAAAAAAAA", false),
        (&persist, "", true),
        (&persist, "uid=7", true),
        (&persist, "uid=7; kept=a", false),
        (&persist, "uid=7; kept=gone", true),
        (&shadow, "", false),
        (&json!({ "sticky": { "key": [{ "cookie": "uid" }] } }), "uid=7", false),
    ] {
        let plan = plan(json!([split(more.clone())]));
        let expected = expected.then_some("rule=.=r;.;variant=.=a;.;tsplit_assigned_total");
        assert_eq!(assigned(&plan, "h", cookie).as_deref(), expected, "{more} {cookie}");
        let mut names = plan.metrics().iter().map(|metric| metric.name);
        let has = names.any(|name| name.ends_with("tsplit_assigned_total"));
        assert!(!has || *more != shadow, "a rule in shadow assigns nobody");
    }
    // The guard's fallback is nobody's assignment, also where its client is issued an identity.
    let guarded = json!({ "name": "r", "split": { "a": 0, "b": 1 },
        "sticky": { "issue": { "cookie": "id", "maxAge": "30d" } },
        "guard": { "watch": "b", "fallback": "a", "maxErrorRate": "5%" } });
    let plan = plan(json!([guarded]));
    let mut open = Snapshot::new(&plan, 0);
    open.admitted[0] = 0.0;
    let outcome =
        Outcome::decide(&plan, &open, &HeaderList::default(), &mut FixedEnvironment::default());
    assert_eq!(outcome.decision().reason(), Reason::Guard);
    let names = counted(&plan, &outcome);
    assert!(!names.iter().any(|name| name.ends_with("tsplit_assigned_total")), "{names:?}");
    let off = json!({ "variantHeader": "x-v", "metrics": "off", "variants": { "a": {} },
                      "rules": [split(issue)] });
    let off = Plan::compile(off.to_string().as_bytes(), &env).unwrap();
    assert_eq!(assigned(&off, "h", ""), None);
}
