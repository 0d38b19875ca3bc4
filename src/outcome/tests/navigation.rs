//! Pages whose parts stay with them: a client with an assignment is decided anew when its browser
//! navigates, and by no other request.

use super::*;

/// The headers of a navigation, those of a part of a page, and those of a browser that sends neither.
const PAGE: &[(&str, &str)] = &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
const PART: &[(&str, &str)] = &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "script")];
const OLD: &[(&str, &str)] = &[];

/// The variant, the reason, and the payload of the cookie that is set.
type Answer = (String, Reason, Option<String>);

fn asked(plan: &Plan, snapshot: &Snapshot, headers: &[(&str, &str)], cookie: &str) -> Answer {
    let fixed = [(":method", "GET"), (":authority", "h"), ("cookie", cookie)];
    let request = HeaderList::new(fixed.into_iter().chain(headers.iter().copied()));
    let environment = &mut FixedEnvironment { now: DAY, ..FixedEnvironment::default() };
    let outcome = Outcome::decide(plan, snapshot, &request, environment);
    let (decision, cookies) = (outcome.decision(), outcome.cookies.as_ref().unwrap());
    let set = cookies.response.iter().find_map(|set| set.strip_prefix("kept="));
    let payload = set.map(|set| set.split([';', '.', '~']).next().unwrap().to_owned());
    (decision.payload().unwrap(), decision.reason(), payload)
}

fn snapshot_of(plan: &Plan) -> Snapshot {
    Snapshot::new(plan, 0)
}

fn ask(rule: Value, headers: &[(&str, &str)], cookie: &str) -> Answer {
    let plan = plan(json!([rule]));
    asked(&plan, &Snapshot::new(&plan, 0), headers, cookie)
}

/// A rule that keeps assignments by page.
fn by_page(split: Value, persist: Value) -> Value {
    let mut whole = json!({ "cookie": "kept", "maxAge": "1h", "reassign": "navigation" });
    whole.as_object_mut().unwrap().extend(persist.as_object().unwrap().clone());
    json!({ "name": "r", "split": split, "persist": whole })
}

fn answer(variant: &str, reason: Reason, set: Option<&str>) -> Answer {
    (variant.into(), reason, set.map(str::to_owned))
}

#[test]
fn a_page_is_decided_anew_and_its_parts_follow_it() {
    let drawn = |set| answer("b", Reason::Random, set);
    let kept = answer("a", Reason::Persisted, None);
    for (split, persist, headers, cookie, expected) in [
        // Everyone goes to b by now, and a client was at a.
        (json!({ "a": 0, "b": 1 }), json!({}), PAGE, "kept=a", drawn(Some("b"))),
        (json!({ "a": 0, "b": 1 }), json!({}), PART, "kept=a", kept.clone()),
        (json!({ "a": 0, "b": 1 }), json!({}), OLD, "kept=a", kept.clone()),
        (json!({ "a": 0, "b": 1 }), json!({}), &PAGE[..1], "kept=a", kept.clone()),
        (json!({ "a": 0, "b": 1 }), json!({}), &PAGE[1..], "kept=a", kept.clone()),
        // A page has the whole life of its cookie; a session has one that does not end.
        (json!({ "a": 0, "b": 1 }), json!({}), PAGE, "kept=b", drawn(Some("b"))),
        (json!({ "a": 0, "b": 1 }), json!({ "maxAge": "session" }), PAGE, "kept=b", drawn(None)),
        (
            json!({ "a": 0, "b": 1 }),
            json!({ "maxAge": "session" }),
            PAGE,
            "kept=a",
            drawn(Some("b")),
        ),
        // Whoever has no assignment gets one.
        (json!({ "a": 0, "b": 1 }), json!({}), PAGE, "", drawn(Some("b"))),
        (json!({ "a": 0, "b": 1 }), json!({}), PART, "", drawn(Some("b"))),
        // The parts stay until the variant is gone, or counts as gone.
        (json!({ "b": 1 }), json!({}), PART, "kept=a", drawn(Some("b"))),
        (json!({ "a": 0, "b": 1 }), json!({ "drain": false }), PART, "kept=a", drawn(Some("b"))),
        // Beside renewal: parts renew as well.
        (
            json!({ "a": 1, "b": 0 }),
            json!({ "renew": true }),
            PART,
            "kept=a",
            answer("a", Reason::Persisted, Some("a")),
        ),
    ] {
        let rule = by_page(split, persist);
        assert_eq!(ask(rule.clone(), headers, cookie), expected, "{rule} {headers:?} {cookie}");
    }
}

/// Without the field, a navigation is a request like any other.
#[test]
fn by_default_an_assignment_is_kept_until_the_cookie_ends() {
    let mut rule = by_page(json!({ "a": 0, "b": 1 }), json!({}));
    rule["persist"].as_object_mut().unwrap().remove("reassign");
    let kept = answer("a", Reason::Persisted, None);
    assert_eq!(ask(rule, PAGE, "kept=a"), kept);
}

/// The fallback of a guard completes the pages that it has shown: the parts of a page come from it also
/// once the guard closes. Other clients come back at once, as ever.
#[test]
fn a_page_of_the_fallback_is_whole() {
    let mut rule = by_page(json!({ "a": 0, "b": 1, "c": 0 }), json!({}));
    rule["guard"] = json!({ "watch": "b", "fallback": "c", "maxErrorRate": "5%" });
    let config = json!({ "variantHeader": "x-v", "variants": { "a": {}, "b": {}, "c": {} },
                         "rules": [rule] });
    let plan = Plan::compile(config.to_string().as_bytes(), &env).unwrap();
    let mut snapshot = Snapshot::new(&plan, 0);
    snapshot.admitted[0] = 0.0;
    for (headers, cookie, expected) in [
        (PAGE, "kept=a", answer("c", Reason::Guard, Some("c"))),
        (PAGE, "kept=b", answer("c", Reason::Guard, Some("c"))),
        (PAGE, "", answer("c", Reason::Guard, Some("c"))),
        (PART, "kept=c", answer("c", Reason::Persisted, None)),
        (PART, "kept=a", answer("a", Reason::Persisted, None)),
        // The page is of b, and b fails.
        (PART, "kept=b", answer("c", Reason::Guard, None)),
        (OLD, "kept=b", answer("c", Reason::Guard, None)),
        (OLD, "", answer("c", Reason::Guard, None)),
    ] {
        assert_eq!(asked(&plan, &snapshot, headers, cookie), expected, "{headers:?} {cookie}");
    }
    let closed = Snapshot::new(&plan, 0);
    let whole = answer("c", Reason::Persisted, None);
    assert_eq!(asked(&plan, &closed, PART, "kept=c"), whole);
    let next = answer("b", Reason::Random, Some("b"));
    assert_eq!(asked(&plan, &closed, PAGE, "kept=c"), next);
}

/// Neither chance nor a key has such a page for its client: nobody is to analyse its parts, and an
/// assignment is made once the guard closes.
#[test]
fn the_parts_of_a_page_of_the_fallback_are_not_for_analysis() {
    let mut rule = by_page(json!({ "b": 1, "c": 0 }), json!({ "maxAge": "session" }));
    rule["guard"] = json!({ "watch": "b", "fallback": "c", "maxErrorRate": "5%" });
    let config = json!({ "variantHeader": "x-v", "variants": { "b": {}, "c": {} },
                         "metrics": "full", "rules": [rule] });
    let plan = Plan::compile(config.to_string().as_bytes(), &env).unwrap();
    let closed = Snapshot::new(&plan, 0);
    let mut open = Snapshot::new(&plan, 0);
    open.admitted[0] = 0.0;
    for (snapshot, headers, cookie, set, first, analysis) in [
        (&open, PAGE, "", Some("c~"), false, "0"),
        (&open, PART, "kept=c~", None, false, "0"),
        (&closed, PART, "kept=c~", None, false, "0"),
        (&open, PAGE, "kept=c~", None, false, "0"),
        // Chance has another page for its client, or the same variant on its own.
        (&closed, PAGE, "kept=c~", Some("b"), true, "1"),
        (&closed, PAGE, "kept=b~", Some("b"), true, "1"),
        (&closed, PAGE, "kept=b", None, false, "1"),
        (&open, PAGE, "kept=c", Some("c~"), false, "0"),
        (&open, PART, "kept=c", None, false, "1"),
        // Two signs are none of ours.
        (&closed, PART, "kept=c~~", Some("b"), true, "1"),
    ] {
        let fixed = [(":method", "GET"), ("cookie", cookie)];
        let request = HeaderList::new(fixed.into_iter().chain(headers.iter().copied()));
        let outcome = Outcome::decide(&plan, snapshot, &request, &mut FixedEnvironment::default());
        let cookies = &outcome.cookies.as_ref().unwrap().response;
        let sent = cookies.iter().find_map(|set| set.strip_prefix("kept=")?.split(';').next());
        let state = outcome.filter_state();
        let told = |name: &str| state.iter().find(|(known, _)| *known == name);
        let told = |name| told(name).map(|(_, value)| &**value);
        let answer = (sent, told("tsplit.first").is_some(), told("tsplit.analysis"));
        assert_eq!(answer, (set, first, Some(analysis)), "{headers:?} {cookie}");
    }
}

/// With a time, with a signature, and where the rule keeps no pages any more.
#[test]
fn a_page_of_the_fallback_keeps_its_sign() {
    let guard = json!({ "watch": "b", "fallback": "a", "maxErrorRate": "5%" });
    let rule = |persist: Value| {
        let mut rule = by_page(json!({ "a": 0.1, "b": 1 }), persist);
        rule["guard"] = guard.clone();
        rule
    };
    let visit = |rule: &Value, open: bool, headers: &[(&str, &str)], cookie: &str, now: u64| {
        let plan = plan(json!([rule]));
        let mut snapshot = Snapshot::new(&plan, 0);
        snapshot.admitted[0] = if open { 0.0 } else { 1.0 };
        let fixed = [(":method", "GET"), (":authority", "h"), ("cookie", cookie)];
        let request = HeaderList::new(fixed.into_iter().chain(headers.iter().copied()));
        let environment = &mut FixedEnvironment { now, ..FixedEnvironment::default() };
        let outcome = Outcome::decide(&plan, &snapshot, &request, environment);
        let set = &outcome.cookies.as_ref().unwrap().response;
        let pair = set.first().map(|set| set.split(';').next().unwrap().to_owned());
        (outcome.decision().for_page, outcome.decision().reason(), pair)
    };
    let signing = json!({ "renew": true, "signing": { "env": "KEYS" } });
    for persist in [json!({ "renew": true }), signing] {
        let rule = rule(persist);
        let (for_page, _, set) = visit(&rule, true, PAGE, "", DAY);
        let cookie = set.unwrap();
        assert!(for_page && cookie.starts_with("kept=a~"), "{cookie}");
        let kept = (true, Reason::Persisted, None);
        assert_eq!(visit(&rule, false, PART, &cookie, DAY + 359), kept);
        let (for_page, reason, set) = visit(&rule, false, PART, &cookie, DAY + 360);
        assert_eq!((for_page, reason), (true, Reason::Persisted));
        let renewed = set.unwrap();
        assert!(renewed.starts_with("kept=a~") && renewed != cookie, "{renewed}");
    }
    let mut without = rule(json!({}));
    without["persist"].as_object_mut().unwrap().remove("reassign");
    let anew = (false, Reason::Random, Some("kept=b".to_owned()));
    assert_eq!(visit(&without, false, PART, "kept=a~", DAY), anew);
}

/// A page of a client whom an engine leaves out is of `otherwise`, and so are its parts.
#[test]
fn a_page_beside_an_engine_is_whole() {
    let mut rule = by_page(json!([{ "a": 0.5 }, { "b": 0.5 }]), json!({}));
    rule["otherwise"] = json!("c");
    rule["sticky"] = json!({ "key": [{ "header": "x-user" }],
        "engine": { "growthbook": { "hashVersion": 2, "seed": "s", "coverage": 0 } } });
    let variants = json!({ "a": {}, "b": {}, "c": {} });
    let config = |rule: &Value| {
        json!({ "variantHeader": "x-v", "variants": variants, "rules": [rule] }).to_string()
    };
    let plan = Plan::compile(config(&rule).as_bytes(), &env).unwrap();
    let snapshot = Snapshot::new(&plan, 0);
    for (headers, cookie, expected) in [
        (PAGE, "kept=a", answer("c", Reason::Otherwise, Some("c"))),
        (PART, "kept=c~", answer("c", Reason::Persisted, None)),
        (PART, "kept=a", answer("a", Reason::Persisted, None)),
        (OLD, "", answer("c", Reason::Otherwise, None)),
    ] {
        let headers = [headers, &[("x-user", "7")]].concat();
        assert_eq!(asked(&plan, &snapshot, &headers, cookie), expected, "{headers:?} {cookie}");
    }
    // A session is set anew where a client comes to take part, or leaves, and not for the same page.
    rule["persist"]["maxAge"] = json!("session");
    let left = Plan::compile(config(&rule).as_bytes(), &env).unwrap();
    rule["sticky"]["engine"]["growthbook"]["coverage"] = json!(1);
    let all = Plan::compile(config(&rule).as_bytes(), &env).unwrap();
    let user = [PAGE, &[("x-user", "7")]].concat();
    let own = asked(&all, &snapshot_of(&all), &user, "").0;
    let other = if own == "a" { "kept=b" } else { "kept=a" };
    for (plan, cookie, set) in [
        (&left, "kept=c~", None),
        (&left, "kept=c", Some("c")),
        (&left, "kept=a", Some("c")),
        (&all, &*format!("kept={own}"), None),
        (&all, &format!("kept={own}~"), Some(&*own)),
        (&all, other, Some(&own)),
    ] {
        let answer = asked(plan, &snapshot_of(plan), &user, cookie);
        assert_eq!(answer.2.as_deref(), set, "{cookie}");
    }
    let request = HeaderList::new([("cookie", "kept=c~")]);
    let outcome = Outcome::decide(&plan, &snapshot, &request, &mut FixedEnvironment::default());
    let expected = "rule=.=r;.;variant=.=c;.;reason=.=persisted;.;tsplit_requests_total";
    assert_eq!(counted(&plan, &outcome), [expected]);
    assert!(outcome.decision().for_page, "nobody is to analyse who takes no part");
    rule.as_object_mut().unwrap().remove("otherwise");
    let errors = Plan::compile(config(&rule).as_bytes(), &env).unwrap_err().to_string();
    assert_eq!(
        errors,
        "rules[0].otherwise: Required value: name the variant of the pages of clients whom the \
         engine leaves out: `reassign` needs it"
    );
}

/// With the weights in the route, the point is what a page keeps.
#[test]
fn a_page_keeps_its_point() {
    let config = json!({ "pointHeader": "x-p", "rules": [{ "name": "r", "split": "route",
        "sticky": { "key": [{ "header": "x-user" }] },
        "persist": { "cookie": "kept", "maxAge": "session", "reassign": "navigation" } }] });
    let plan = Plan::compile(config.to_string().as_bytes(), &env).unwrap();
    let snapshot = Snapshot::new(&plan, 0);
    let user = |headers: &[(&'static str, &'static str)]| [headers, &[("x-user", "7")]].concat();
    let anew = asked(&plan, &snapshot, &user(PAGE), "kept=5");
    assert_eq!((anew.1, anew.2.as_ref()), (Reason::Sticky, Some(&anew.0)));
    let same = asked(&plan, &snapshot, &user(PAGE), &format!("kept={}", anew.0));
    assert_eq!(same, answer(&anew.0, Reason::Sticky, None));
    assert_eq!(
        asked(&plan, &snapshot, &user(PART), "kept=5"),
        answer("5", Reason::Persisted, None)
    );
    let of_the_fallback = asked(&plan, &snapshot, &user(PART), "kept=5~");
    assert_eq!(of_the_fallback, answer("5", Reason::Persisted, None));
}

/// A key without a change of weights: a client that navigates stays where it is.
#[test]
fn a_client_with_a_key_moves_only_as_the_weights_do() {
    let rule = |canary: u32| {
        let mut rule = by_page(json!({ "a": 100 - canary, "b": canary }), json!({}));
        rule["sticky"] = json!({ "key": [{ "header": "x-user" }] });
        rule
    };
    let [before, after] = [10, 20].map(|canary| plan(json!([rule(canary)])));
    let mut moved = 0;
    for user in 0..1000 {
        let name = user.to_string();
        let at = |plan: &Plan, headers: &[(&'static str, &'static str)], cookie: &str| {
            let mut headers: Vec<(&str, &str)> = headers.to_vec();
            headers.push(("x-user", &name));
            asked(plan, &Snapshot::new(plan, 0), &headers, cookie).0
        };
        let first = at(&before, PAGE, "");
        let cookie = format!("kept={first}");
        assert_eq!(at(&before, PAGE, &cookie), first);
        assert_eq!(at(&after, PART, &cookie), first);
        moved += u32::from(at(&after, PAGE, &cookie) != first);
    }
    // 10 % of 1,000, and three standard errors: 3 x 9.5.
    assert!((72..=128).contains(&moved), "{moved}");
}

/// The caches in front learn by which headers a page differs from its parts.
#[test]
fn a_cache_is_told_of_the_headers() {
    let varied = |rule: Value| {
        let config = json!({ "variantHeader": "x-v", "variants": { "a": {}, "b": {} },
                             "vary": true, "rules": [rule] });
        Plan::compile(config.to_string().as_bytes(), &env).unwrap().caching.vary
    };
    let mut rule = by_page(json!({ "a": 1, "b": 1 }), json!({}));
    let expected = ["cookie", "sec-fetch-dest", "sec-fetch-mode", "sec-purpose"];
    assert_eq!(varied(rule.clone()), expected);
    rule["persist"].as_object_mut().unwrap().remove("reassign");
    assert_eq!(varied(rule), expected[..1]);
}
