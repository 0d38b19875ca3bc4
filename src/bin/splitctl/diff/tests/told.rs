//! Clients whom more than a key tells from others.

use super::{assert_moves, rules};

#[test]
fn a_forced_client_and_a_kept_one_stay_where_others_move() {
    let rule = |split: &str| {
        format!(
            "- {{ name: r, split: {split}, sticky: {{ key: [ {{ cookie: u }} ] }}, persist: {{ cookie: kept, \
             maxAge: 1h }}, override: {{ queryParam: q, cookie: f, maxAge: 1h, variants: [b] }} }}\n"
        )
    };
    let (old, new) = (rule("{ a: 90, b: 10 }"), rule("{ a: 50, b: 50 }"));
    let requests = ["/", "/?q=b", "/ | cookie: f=b", "/ | cookie: kept=a"];
    let arguments: Vec<_> = requests.iter().flat_map(|it| ["--request", it]).collect();
    let moved = |old: &str, new: &str| -> Vec<f64> {
        rules(old, new, &arguments).requests.iter().map(|it| it.moved).collect()
    };
    let [first, rest @ ..] = &moved(&old, &new)[..] else { panic!() };
    assert!((first - 0.4).abs() < 0.01 && rest == [0.0; 3], "{first} {rest:?}");
    // Without the override, who was forced goes where the key leads.
    let without =
        old.replace(", override: { queryParam: q, cookie: f, maxAge: 1h, variants: [b] }", "");
    let moved = moved(&old, &without);
    assert!(
        matches!(moved[..], [0.0, a, b, 0.0] if [a, b].iter().all(|it| (it - 0.9).abs() < 0.01)),
        "{moved:?}"
    );
}

#[test]
fn a_rule_that_draws_for_each_client_is_not_taken_for_one() {
    // New clients, whom the old configuration gave nothing.
    let pin = "- { name: r, to: a }\n";
    let issuing = "- { name: r, split: { a: 90, b: 10 }, sticky: { key: [ { cookie: u } ], issue: \
                   { cookie: id, maxAge: 1d } } }\n";
    let report = rules(pin, issuing, &["--request", "/ | cookie: other=1"]);
    let new = report
        .requests
        .iter()
        .find(|it| it.requests.iter().any(|it| it.contains("without")))
        .unwrap();
    assert!((new.moved - 0.1).abs() < 0.01, "{}", new.moved);
    let drawing = "- { name: r, split: { a: 90, b: 10 } }\n";
    assert_moves(&rules(pin, drawing, &[]), 0.1);
}
