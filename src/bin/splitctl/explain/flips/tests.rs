//! Requests that show a reason, and requests that show none.

use traffic_split::HeaderList;

use super::super::explained::Explained;
use crate::diff::tests::checked;
use crate::routes::Routes;

/// The time of the requests, in seconds since 1970: 2026-11-30T08:26:40Z.
const NOW: u64 = 1_796_027_200;

fn told(rule: &str, headers: &[(&str, &str)]) -> Vec<String> {
    let yaml = format!("variantHeader: v\nvariants: {{ a: {{}}, b: {{}} }}\nrules: [ {rule} ]");
    let request = HeaderList::new(headers.iter().map(|(name, value)| (*name, *value)));
    Explained::new(&checked(&yaml, NOW), &request, &Routes::default()).flips
}

fn rule(sticky: &str) -> String {
    format!("{{ name: r, split: {{ a: 1, b: 1 }}, sticky: {{ salt: s, {sticky} }} }}")
}

fn kept(signing: &str, drain: bool) -> String {
    let a = if drain { 1 } else { 0 };
    format!(
        "{{ name: r, split: {{ a: {a}, b: 1 }}, sticky: {{ salt: s, key: [ {{ header: x-user }} ] }}, \
         persist: {{ cookie: kept, maxAge: 1h30m, drain: {drain}{signing} }} }}"
    )
}

#[track_caller]
fn assert_says(rule: &str, headers: &[(&str, &str)], words: &str) {
    let told = told(rule, headers);
    assert!(told.iter().any(|it| it.contains(words)), "{words}: {told:#?}");
}

#[test]
fn a_reason_is_told_where_the_request_shows_it() {
    let login = rule("key: [ { header: x-user }, { cookie: uid } ]");
    let issue = rule("key: [ { header: x-user } ], issue: { cookie: id, maxAge: 1d }");
    let json = rule("key: [ { cookie: s, json: user.id } ]");
    let ignore = rule("key: [ { header: x-user } ], ignore: [undefined]");
    let cookie = rule("key: [ { cookie: uid } ]");
    let param = rule("key: [ { queryParam: uid }, { cookie: uid } ]");
    let unsalted = "{ name: r, split: { a: 1, b: 1 }, sticky: { key: [ { header: x-user } ] } }";
    let slice = format!(
        "{{ name: h, to: a, layer: l, slice: [0, 5], sticky: {{ key: [ {{ cookie: \
                         uid }} ] }} }}, {cookie}"
    );
    for (rule, headers, words) in [
        (
            login.as_str(),
            &[("cookie", "uid=7")][..],
            "since it has no header x-user: once the client has one, as after a login",
        ),
        (&login, &[("x-user", "7")], "told by header x-user, which stands before cookie uid"),
        (&param, &[(":path", "/?uid=7")], "told by query parameter uid, which stands before"),
        (&issue, &[("x-user", "7")], "header x-user, which stands before cookie id"),
        (&issue, &[], "a client that loses cookie id"),
        (&issue, &[("cookie", "id=mine")], "it has no identity that the filter issued"),
        (&json, &[("cookie", "s={}")], "cookie s is there, and has no user.id in cookie s"),
        (
            &ignore,
            &[("x-user", "undefined")],
            "header x-user is \"undefined\", which `ignore` lists",
        ),
        (&ignore, &[("x-user", "\"\"")], "header x-user is empty"),
        (unsalted, &[("x-user", "7")], "its name \"r\" is the salt"),
        (
            &cookie,
            &[],
            "the request has no key (cookie uid), and each request without one is drawn anew",
        ),
        (
            "{ name: r, split: { a: 1, b: 1 } }",
            &[],
            "the split is not sticky: each request is drawn",
        ),
        (&slice, &[], "the rule h leaves a client without a key to other rules"),
        (&cookie, &[("cookie", "UID=7")], "cookie UID is there, and not cookie uid"),
        (
            &param,
            &[(":path", "/?Uid=7")],
            "query parameter Uid is there, and not query parameter uid",
        ),
        (
            &cookie,
            &[("cookie", "uid=7; uid=8")],
            "cookie uid is there 2 times with different values",
        ),
    ] {
        assert_says(rule, headers, words);
    }
    let trusted = rule("key: [ { header: x-user, trusted: true }, { cookie: uid } ]");
    for (rule, headers) in [
        (&trusted, &[("x-user", "7"), ("cookie", "uid=7")][..]),
        (&cookie, &[("cookie", "uid=7; UID=8; uid=7")]),
    ] {
        assert_eq!(told(rule, headers), [""; 0]);
    }
}

#[test]
fn a_variant_under_guard_may_be_taken_away() {
    let rule = "{ name: r, split: { a: 0, b: 1 }, sticky: { salt: s, key: [ { header: x } ] }, \
                guard: { watch: b, fallback: a, maxErrorRate: 5% } }";
    assert_eq!(
        told(rule, &[("x", "7")]),
        ["where the guard of b trips, its clients go to a until it is closed again"]
    );
}

#[test]
fn a_ramp_moves_a_client_by_its_end() {
    let ramp = |start: &str| {
        let rule =
            "{ name: r, split: { a: 1, b: 0 }, sticky: { salt: s, key: [ { header: x } ] }, ";
        format!("{rule} ramp: {{ variant: b, to: 100, start: {start}, duration: 2h }} }}")
    };
    let running = told(&ramp("2026-11-30T08:26:00Z"), &[("x", "7")]);
    assert_eq!(running, ["the ramp moves the client to b by 2026-11-30T10:26:00Z"]);
    assert_eq!(told(&ramp("2026-11-29T09:00:00Z"), &[("x", "7")]), [""; 0]);
}

#[test]
fn an_assignment_that_is_kept_ends() {
    let rule = kept("", true);
    let ends = "cookie kept keeps the assignment until 1h30m after it was set (maxAge); then ";
    // The key 2 is b's.
    for (cookie, user, then) in [
        ("kept=a", Some("2"), "its key chooses, which gives b by these weights"),
        ("kept=b", Some("2"), "its key chooses, which gives b as well while these weights stand"),
        ("kept=b", None, "the client has no key, and is drawn anew"),
    ] {
        let user = user.map(|user| ("x-user", user));
        let headers: Vec<_> = user.into_iter().chain([("cookie", cookie)]).collect();
        assert_eq!(told(&rule, &headers), [format!("{ends}{then}")]);
    }
    assert_says(&rule, &[], "cookie kept keeps the draw until 1h30m after it was set (maxAge)");
}

#[test]
fn an_assignment_that_does_not_count_says_why() {
    let signed = ", signing: { env: SPLIT_TEST_KEYS }";
    let at = |issued: u64, expires: u64| format!("kept=b.{issued:x}.{expires:x}.2.mac");
    let user = ("x-user", "7");
    for (rule, cookie, words) in [
        (kept("", true), "kept=c".to_owned(), "it has \"c\", which is no variant of the split"),
        (kept("", false), "kept=a".into(), "it has a, whose weight is 0, and `drain: false`"),
        (kept("", true), format!("kept={}", "b".repeat(257)), "it is 257 bytes; it may have 256"),
        (kept("", true), "KEPT=b".into(), "cookie KEPT is there, and not cookie kept"),
        (kept("", true), "kept=c; kept=d".into(), "cookie kept is there 2 times"),
        (kept(signed, true), "kept=b".into(), "it is not signed as the filter signs"),
        (kept(signed, true), at(NOW - 9, NOW - 1), "it expired at 2026-11-30T08:26:39Z"),
        (kept(signed, true), at(NOW + 301, NOW + 400), "it was issued at 2026-11-30T08:31:41Z"),
        (
            kept(signed, true),
            at(NOW, NOW + 1),
            "cannot be verified here, where SPLIT_TEST_KEYS is not",
        ),
    ] {
        assert_says(&rule, &[user, ("cookie", &cookie)], words);
    }
}

#[test]
fn rules_for_other_paths_of_a_host_draw_apart_without_a_common_salt() {
    let rules = |salts: [&str; 2], second: &str| {
        let rule = |name: &str, salt: &str, entry: &str| {
            format!(
                "{{ name: {name}, match: [ {{ {entry} }} ], split: {{ a: 1, b: 1 }}, sticky: {{ {salt} \
                 key: [ {{ header: x }} ] }} }}"
            )
        };
        let [one, two] = salts;
        let host = "authority: { exact: shop.example }, ";
        let first = rule("cart", one, &format!("{host}path: {{ prefix: /cart }}"));
        format!("{first}, {}", rule("search", two, &format!("{second}path: {{ prefix: /search }}")))
    };
    let host = "authority: { exact: shop.example }, ";
    let say = |rules: &str, key: &str| {
        let headers = [("x", key), (":authority", "shop.example"), (":path", "/cart/1")];
        told(rules, &headers).into_iter().find(|it| it.contains("the rule search"))
    };
    let apart = rules(["", ""], host);
    let keys: Vec<_> = (0..20).map(|number| number.to_string()).collect();
    let told = keys.iter().filter_map(|key| say(&apart, key)).collect::<Vec<_>>();
    assert!(told.len() > 2 && told.len() < 18, "{}", told.len());
    assert!(
        told[0].starts_with("the rule search takes other paths of this host and has another salt")
    );
    for alike in [
        rules(["salt: s,", "salt: s,"], host),
        rules(["", ""], "authority: { exact: other.example }, "),
    ] {
        assert!(keys.iter().all(|key| say(&alike, key).is_none()), "{alike}");
    }
}

/// The end of an assignment is named, and a value with a time counts by what is before it.
#[test]
fn an_assignment_ends_as_its_cookie_says() {
    for (fields, end) in [
        ("maxAge: 1h30m", "until 1h30m after it was set (maxAge); then"),
        ("maxAge: 1h30m, renew: true", "until 1h30m after it was last set (maxAge, renew); then"),
        ("maxAge: session", "until the browser ends its session (maxAge); then"),
        ("maxAge: 1h, reassign: navigation", "until the browser navigates (reassign); then"),
    ] {
        let rule = format!(
            "{{ name: r, split: {{ a: 1, b: 1 }}, persist: {{ cookie: kept, {fields} }} }}"
        );
        for value in ["kept=a", "kept=a~6b0e8c90"] {
            assert_says(&rule, &[("cookie", value)], end);
        }
        assert_says(&rule, &[("cookie", "kept=c~6b0e8c90")], "has \"c\", which is no variant");
    }
}
