use super::*;
use crate::diff::tests::{assert_moves, assert_says, compare_at, rules};

fn rule(split: &str, more: &str) -> String {
    format!("- {{ name: r, split: {split}, sticky: {{ key: [ {{ cookie: u }} ] }}{more} }}\n")
}

#[test]
fn earlier_weights_that_are_missing_are_told() {
    let report = rules(&rule("{a: 50, b: 30, c: 20}", ""), &rule("{a: 40, b: 30, c: 30}", ""), &[]);
    assert_moves(&report, 0.1274);
    assert_says(&report, "\n\n  history: [ {a: 50, b: 30, c: 20} ]");
    let with = rules(
        &rule("{a: 50, b: 30, c: 20}", ""),
        &rule("{a: 40, b: 30, c: 30}", ", history: [ {a: 50, b: 30, c: 20} ]"),
        &[],
    );
    assert_moves(&with, 0.1);
    assert_eq!(with.hints.len(), 1, "{:?}", with.hints);
}

#[test]
fn a_change_that_moves_the_fewest_needs_no_history() {
    let report = rules(&rule("{a: 34, b: 33, c: 33}", ""), &rule("{a: 0, b: 50, c: 50}", ""), &[]);
    assert_moves(&report, 0.34);
    assert_eq!(report.moved, report.minimum);
    assert_eq!(report.hints.len(), 1, "{:?}", report.hints);
}

#[test]
fn a_history_that_is_dropped_sends_clients_back() {
    for (old, new, share) in [
        ("{a: 50, b: 30, c: 20}", "{a: 40, b: 30, c: 30}", 0.192),
        ("{a: 90, b: 10}", "{a: 50, b: 50}", 0.44),
    ] {
        let before = rule(new, &format!(", history: [ {old} ]"));
        let report = rules(&before, &rule(new, ""), &[]);
        assert_moves(&report, share);
        assert_says(&report, "The history of the rule r is gone");
        assert_says(
            &report,
            "It may go once one variant has everything. With it, 0.00 % of the clients",
        );
        assert_says(&report, &format!("history: [ {old} ]"));
    }
    // One variant has everything: nobody moves.
    let report =
        rules(&rule("{a: 0, b: 1}", ", history: [ {a: 9, b: 1} ]"), &rule("{a: 0, b: 1}", ""), &[]);
    assert_eq!(report.moved, 0.0);
    assert_eq!(report.hints, [""; 0]);
}

#[test]
fn two_variants_never_need_a_history() {
    let report = rules(&rule("{a: 90, b: 10}", ""), &rule("{a: 50, b: 50}", ""), &[]);
    assert_moves(&report, 0.4);
    assert_eq!(report.hints.len(), 1, "{:?}", report.hints);
    let report = rules(
        &rule("{a: 90, b: 10}", ""),
        &rule("{a: 50, b: 50}", ", history: [ {a: 90, b: 10} ]"),
        &[],
    );
    assert_moves(&report, 0.4);
    assert_says(&report, "Two variants never need a history");
}

/// A split of three variants that changes at each step; the 33rd weights have no room for all of them.
#[test]
fn of_a_full_history_the_newest_is_left_out() {
    let weights =
        |step: usize| format!("{{a: {}, b: {}, c: {}}}", 50 - step % 2, 30, 20 + step % 2);
    let history = |from: usize, to: usize| {
        let steps: Vec<_> = (from..to).map(weights).collect();
        format!(", history: [ {} ]", steps.join(", "))
    };
    let old = rule(&weights(limits::HISTORY), &history(0, limits::HISTORY));
    let oldest = rule(&weights(limits::HISTORY + 1), &history(1, limits::HISTORY + 1));
    let report = rules(&old, &oldest, &[]);
    assert!(report.moved > 0.1, "{}", report.moved);
    assert_says(
        &report,
        "A history has at most 32 entries. If the rule r leaves out the newest, {a: 50, b: 30, c: 20}",
    );
    let newest = rule(&weights(limits::HISTORY + 1), &history(0, limits::HISTORY));
    assert!(rules(&old, &newest, &[]).moved < 0.011);
}

const RAMP: &str = ", ramp: { variant: c, to: 50, start: 2026-12-01T09:00:00Z, duration: 24h }";
/// 2026-12-03T09:00:00Z, a day after the ramp.
const AFTER: u64 = 1_796_115_600 + 2 * 86_400;

fn after(old: &str, new: &str) -> crate::diff::report::Report {
    let head = "variantHeader: v\nvariants: { a: {}, b: {}, c: {} }\nrules:\n";
    compare_at(&format!("{head}{old}"), &format!("{head}{new}"), &[], AFTER)
}

#[test]
fn a_history_begins_with_the_weights_at_the_end_of_a_ramp() {
    let old = rule("{a: 60, b: 40, c: 0}", RAMP);
    assert_says(
        &after(&old, &old),
        "its end weights move nobody, and a later history begins with them",
    );
    assert_says(&after(&old, &old), "split: {a: 30, b: 20, c: 50}");
    assert_eq!(after(&old, &rule("{a: 30, b: 20, c: 50}", "")).moved, 0.0);
    // Left out with the weights of its start: half of the clients.
    let gone = after(&old, &rule("{a: 60, b: 40, c: 0}", ""));
    assert_moves(&gone, 0.5);
    assert_says(
        &gone,
        "The ramp of the rule r is over, and without it the weights are those of its start",
    );
    assert_says(&gone, "0.00 % of the clients move instead of ");
    // A history from the start of the ramp moves many of them; from its end, the fewest.
    let start = after(&old, &rule("{a: 20, b: 30, c: 50}", ", history: [ {a: 60, b: 40, c: 0} ]"));
    assert!(start.moved > 0.2, "{}", start.moved);
    assert_says(&start, "history: [ {a: 30, b: 20, c: 50} ]");
}

#[test]
fn a_text_is_written_as_a_string() {
    for (text, written) in
        [("a", "a"), ("on", "\"on\""), ("7", "\"7\""), ("a b", "\"a b\""), ("a-1.b", "a-1.b")]
    {
        assert_eq!(quoted(text), written);
    }
    let weight = |variant: &str, weight| Weight { variant: variant.into(), weight };
    assert_eq!(weights(&[weight("a", 99.9), weight("on", 0.1)]), "{a: 99.9, \"on\": 0.1}");
}
