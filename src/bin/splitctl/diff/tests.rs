//! Whole configurations against each other: each share is within 5 standard errors of what is due.

use clap::Parser;
use serde_json::Value;

use super::*;
use crate::check::{Checked, check};
use crate::{document, plugin};

mod each;
mod told;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    diff: Diff,
}

const KEYS: u64 = 100_000;
const HEAD: &str = "variantHeader: v\nvariants: { a: {}, b: {}, c: {} }\nrules:\n";

/// A configuration at a time, in seconds since 1970.
pub fn checked(yaml: &str, now: u64) -> Checked {
    let plugins = plugin::find(&document::parse(yaml).unwrap(), yaml);
    let mistakes = |mistakes: Vec<crate::check::Mistake>| -> Vec<_> {
        mistakes.iter().map(|it| it.display("f")).collect()
    };
    check(&plugins[0]).map_err(mistakes).unwrap().when(now)
}

/// The answer about two whole configurations.
pub fn compare_at(old: &str, new: &str, arguments: &[&str], now: u64) -> Report {
    let arguments = ["diff", "-f", "old", "-f", "new"].iter().chain(arguments);
    let diff = Command::try_parse_from(arguments).unwrap().diff;
    let (old, new) = (checked(old, now), checked(new, now));
    let routes = Routes::default();
    let by_cluster = variants::is_by_cluster(&old.config, &new.config);
    let sides = [&old, &new].map(|it| Side::new(it, &routes, by_cluster).unwrap());
    let [before, after] = &sides;
    diff.compare([before, after], &Source::Sequence(KEYS)).unwrap()
}

fn compared(old: &str, new: &str, arguments: &[&str]) -> Report {
    compare_at(old, new, arguments, 0)
}

/// The answer about two lists of rules.
pub fn rules(old: &str, new: &str, arguments: &[&str]) -> Report {
    compared(&format!("{HEAD}{old}"), &format!("{HEAD}{new}"), arguments)
}

pub fn assert_moves(report: &Report, share: f64) {
    let error = (share * (1.0 - share) / KEYS as f64).sqrt();
    let moved = report.moved;
    assert!((moved - share).abs() <= 5.0 * error, "{moved} {share} {:?}", report.hints);
}

pub fn assert_says(report: &Report, words: &str) {
    assert!(report.hints.iter().any(|hint| hint.contains(words)), "{words}: {:#?}", report.hints);
}

const ROLLOUT: &str =
    "- { name: r, split: { a: 90, b: 10 }, sticky: { key: [ { cookie: u } ] } }\n";
const HOLDOUT: &str =
    "- { name: holdout, to: a, layer: l, slice: [0, 5], sticky: { key: [ { cookie: u } ] } }\n";

#[test]
fn a_wider_holdout_moves_the_clients_who_enter_it() {
    // The clients of the holdout go to c, where the split sends nobody.
    let holdout = |end: u32| HOLDOUT.replace("to: a", "to: c").replace('5', &end.to_string());
    let (old, new) = (format!("{}{ROLLOUT}", holdout(5)), format!("{}{ROLLOUT}", holdout(10)));
    let report = rules(&old, &new, &[]);
    assert_moves(&report, 0.05);
    assert_says(
        &report,
        "slice [0, 10] of the layer l, before [0, 5]: 5.00 % of the clients enter it.",
    );
    let rule = &report.requests[0].rules[0];
    assert_eq!((rule.from.as_deref(), rule.to.as_deref()), (Some("r"), Some("holdout")));
}

#[test]
fn a_holdout_that_moves_as_a_whole_moves_twice_its_size() {
    let (old, new) = (HOLDOUT.replace("to: a", "to: c"), HOLDOUT.replace("[0, 5]", "[0, 35]"));
    let report = rules(
        &format!("{}{ROLLOUT}", old.replace("[0, 5]", "[0, 30]")),
        &format!("{}{ROLLOUT}", new.replace("to: a", "to: c").replace("[0, 35]", "[30, 60]")),
        &[],
    );
    assert_moves(&report, 0.6);
    assert_eq!(report.hints.len(), 1, "{:?}", report.hints);
    assert_says(&report, "30.00 % of the clients leave it, 30.00 % of the clients enter it.");
}

#[test]
fn a_narrowed_match_moves_those_it_no_longer_takes() {
    for (old, new, request) in [
        ("path: { prefix: /a }", "path: { prefix: /a/b }", "GET /a"),
        ("headers: { g: { in: [x, z] } }", "headers: { g: { in: [x] } }", "GET /, g: z"),
        (
            "path: { prefix: /a }",
            "path: { prefix: /a }, headers: { g: { present: true } }",
            "GET /a",
        ),
        ("path: { prefix: / }", "path: { prefix: /pay, not: true }", "GET /pay"),
        ("sourceIp: [10.0.0.0/8]", "sourceIp: [10.0.0.0/16]", "GET /, from 10.255.255.255"),
        ("path: { regex: '/[a-z]+' }", "path: { regex: '/[a-y]+' }", ""),
    ] {
        let rule = |matches: &str| {
            format!("- {{ name: pin, match: [ {{ {matches} }} ], to: c }}\n{ROLLOUT}")
        };
        let report = rules(&rule(old), &rule(new), &[]);
        assert_says(&report, "The `match` of the rule pin is not the same");
        let moved = report.requests.iter().find(|it| it.moved > 0.0);
        let names = moved.map(|it| it.requests.join(" "));
        assert!(
            request.is_empty() || names.as_ref().is_some_and(|it| it.contains(request)),
            "{old} {names:?}"
        );
        if request.is_empty() {
            assert_says(&report, "Describe one with --request");
        } else {
            assert_eq!(report.moved, 1.0, "{old}");
        }
    }
}

#[test]
fn a_renamed_rule_draws_anew_unless_it_keeps_its_salt() {
    let renamed = ROLLOUT.replace("name: r", "name: web");
    let report = rules(ROLLOUT, &renamed, &[]);
    assert_moves(&report, 0.18);
    assert_says(&report, "The rule r is called web now, and its name is its salt");
    assert_says(&report, "0.00 % of the clients move instead of 1");
    assert_says(&report, "salt: r");
    let salted = renamed.replace("sticky: {", "sticky: { salt: r,");
    assert_eq!(rules(ROLLOUT, &salted, &[]).moved, 0.0);
    // Of two that may be it, the one that is told.
    let other = renamed.replace("{ a: 90, b: 10 }", "{ a: 90, c: 10 }");
    assert_says(&rules(ROLLOUT, &other, &[]), "The rule r is gone");
    assert_says(&rules(ROLLOUT, &other, &["--rule", "r=web"]), "The rule r is called web now");
}

#[test]
fn keys_in_another_order_draw_their_clients_anew() {
    let keys = |keys: &str| ROLLOUT.replace("{ cookie: u }", keys);
    let (two, turned) =
        (keys("{ cookie: u }, { header: x }"), keys("{ header: x }, { cookie: u }"));
    let report = rules(&two, &turned, &[]);
    assert_moves(&report, 0.18);
    assert_says(
        &report,
        "The order of keys of the rule r is header x, then cookie u, before cookie u, then header x",
    );
    assert_eq!(rules(&two, &two, &[]).moved, 0.0);
    // A client who has only the cookie stays.
    assert_eq!(rules(&two, &turned, &["--request", "/ | cookie: u={key}"]).moved, 0.0);
    assert_moves(&rules(ROLLOUT, &keys("{ cookie: w }"), &[]), 0.18);
}

#[test]
fn another_cookie_for_identities_draws_new_clients_anew() {
    let issue = |issue: &str| ROLLOUT.replace("] } }", &format!("], issue: {issue} }} }}"));
    let old = issue("{ cookie: id, maxAge: 1d }");
    let report = rules(&old, &issue("{ cookie: other, maxAge: 1d }"), &[]);
    assert_moves(&report, 0.18);
    assert_says(
        &report,
        "in the cookie other, before in id: clients without a key are issued a new identity",
    );
    let moving = report.requests.iter().find(|it| it.moved > 0.0).unwrap();
    assert_eq!(moving.requests, ["GET /, without a key"]);
    let signed = issue("{ cookie: id, maxAge: 1d, signing: { env: KEYS } }");
    assert_moves(&rules(&old, &signed, &[]), 0.18);
    assert_eq!(rules(&signed, &signed, &[]).moved, 0.0);
    assert_eq!(rules(&old, &issue("{ cookie: id, maxAge: 2d }"), &[]).moved, 0.0);
}

#[test]
fn where_a_client_is_is_the_cluster() {
    let config = |variants: &str, split: &str| {
        format!(
            "clusterHeader: c\nvariants: {variants}\nrules:\n{}",
            ROLLOUT.replace("{ a: 90, b: 10 }", split)
        )
    };
    let old = config("{ a: { cluster: v1 }, b: { cluster: v2 } }", "{ a: 90, b: 10 }");
    for (variants, split, moved, words) in [
        (
            "{ a: { cluster: v2 }, b: { cluster: v1 } }",
            "{ a: 90, b: 10 }",
            1.0,
            "The variant a is the cluster v2, before v1.",
        ),
        (
            "{ a: { cluster: v1 }, b: { cluster: v3 } }",
            "{ a: 90, b: 10 }",
            0.1,
            "The variant b is the cluster v3, before v2.",
        ),
        (
            "{ a: { cluster: v1 }, beta: { cluster: v2 } }",
            "{ a: 90, beta: 10 }",
            0.165,
            "The variant b is called beta now",
        ),
    ] {
        let report = compared(&old, &config(variants, split), &[]);
        // A split draws by the names of its variants, and only a history lets clients follow one.
        assert_moves(&report, moved);
        assert_says(&report, words);
    }
    let pin = |name: &str| {
        format!(
            "clusterHeader: c\nvariants: {{ {name}: {{ cluster: v1 }} }}\nrules: [ {{ name: p, to: {name} }} ]"
        )
    };
    assert_eq!(compared(&pin("a"), &pin("b"), &[]).moved, 0.0);
    assert_eq!(
        compared(
            &pin("a").replace("clusterHeader", "variantHeader").replace("{ cluster: v1 }", "{}"),
            &pin("b").replace("clusterHeader", "variantHeader").replace("{ cluster: v1 }", "{}"),
            &[]
        )
        .moved,
        1.0
    );
}

#[test]
fn a_kept_assignment_is_counted_where_it_is_asked_for() {
    let persist = |split: &str, persist: &str| {
        format!(
            "- {{ name: r, split: {split}, sticky: {{ key: [ {{ cookie: u }} ] }}, persist: {persist} }}\n"
        )
    };
    const KEPT: &str = "{ cookie: kept, maxAge: 1h }";
    let old = persist("{ a: 90, b: 10 }", KEPT);
    let new = persist("{ a: 50, b: 50 }", KEPT);
    assert_moves(&rules(&old, &new, &[]), 0.4);
    assert_says(&rules(&old, &new, &[]), "--persisted counts clients who do");
    assert_eq!(rules(&old, &new, &["--persisted"]).moved, 0.0);
    let back = |kept: &str| rules(&old, &persist("{ a: 1, b: 0 }", kept), &["--persisted"]);
    assert_eq!(back(KEPT).moved, 0.0);
    assert_moves(&back("{ cookie: kept, maxAge: 1h, drain: false }"), 0.1);
    let renamed = back("{ cookie: other, maxAge: 1h }");
    assert_moves(&renamed, 0.1);
    assert_says(&renamed, "are assigned anew by the rule r: the new rule reads no such cookie");
}

#[test]
fn a_share_that_is_exceeded_is_no_good() {
    let more = ROLLOUT.replace("{ a: 90, b: 10 }", "{ a: 80, b: 20 }");
    assert!(rules(ROLLOUT, &more, &["--max-moved", "11%"]).is_good());
    assert!(!rules(ROLLOUT, &more, &["--max-moved", "5%"]).is_good());
    assert!(rules(ROLLOUT, ROLLOUT, &["--max-moved", "0%"]).is_good());
}

#[test]
fn earlier_rules_and_shadow_are_followed() {
    let pin = "- { name: pin, match: [ { headers: { g: { exact: x } } } ], to: c }\n";
    let report = rules(&format!("{pin}{ROLLOUT}"), &format!("{ROLLOUT}{pin}"), &[]);
    assert_eq!(report.moved, 1.0);
    assert_says(&report, "The rule r stands before pin now; it stood behind it.");
    let shadow = pin.replace("to: c", "to: c, mode: shadow");
    let report = rules(&format!("{pin}{ROLLOUT}"), &format!("{shadow}{ROLLOUT}"), &[]);
    assert_eq!(report.moved, 1.0);
    assert_says(&report, "The rule pin is in shadow: the rules after it decide.");
    let shadow = format!("mode: shadow\n{HEAD}{ROLLOUT}");
    assert_eq!(compared(&format!("{HEAD}{ROLLOUT}"), &shadow, &[]).moved, 1.0);
}

#[test]
fn the_answer_keeps_the_fields_that_it_had() {
    let more = ROLLOUT.replace("{ a: 90, b: 10 }", "{ a: 80, b: 20 }");
    let json: Value = serde_json::to_value(rules(ROLLOUT, &more, &[])).unwrap();
    assert_eq!((json["rule"].as_str(), json["keys"].as_u64()), (Some("r"), Some(KEYS)));
    assert_eq!(json["moved"], json["matrix"]["a"]["b"]);
    assert_eq!(json["minimum"], json["moved"]);
    assert_eq!(json["requests"][0]["requests"][0], "GET /");
}

#[test]
fn a_hold_decides_whatever_the_rules_say() {
    let shadow = "- { name: tried, mode: shadow, match: [ { path: { prefix: /s } } ], to: c }\n";
    let open = format!("{HEAD}{shadow}{HOLDOUT}{ROLLOUT}");
    let held = |to: &str| format!("hold: {to}\n{open}");
    let report = compared(&open, &held("a"), &[]);
    // Those of the canary outside the holdout.
    assert_moves(&report, 0.095);
    assert_says(&report, "The new configuration holds everyone at a");
    assert_eq!(report.hints.len(), 1, "{:?}", report.hints);
    assert_moves(&compared(&held("a"), &open, &["--persisted"]), 0.095);
    assert_eq!(compared(&held("a"), &held("a"), &[]).moved, 0.0);
    assert_eq!(compared(&held("a"), &held("c"), &[]).moved, 1.0);
    // Under a hold, shadow is none.
    let report = compared(&held("a"), &format!("mode: shadow\n{}", held("a")), &[]);
    assert_eq!(report.moved, 0.0);
}
