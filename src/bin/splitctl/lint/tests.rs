//! The cases of `wasm-tests/splitctl/lints.yaml`, each warned of as it says and of nothing else.

use std::collections::BTreeSet;

use traffic_split::config::parse_time;

use super::table::TABLE;
use super::{Circumstances, of};
use crate::check::check;
use crate::document::{self, Node, Value};
use crate::plugin;

const CASES: &str = include_str!("../../../../wasm-tests/splitctl/lints.yaml");
/// The lints that need several resources, which transcripts show.
const ACROSS: &str = include_str!("../../../../wasm-tests/splitctl/lints.txt");

fn configuration(case: &Node) -> Node {
    if let Some(config) = case.get("config") {
        return config.clone();
    }
    let mut config = document::parse(
        "{ variantHeader: x-split-variant, variants: { stable: {}, canary: {} }, rules: [] }",
    )
    .unwrap()
    .remove(0);
    let last = document::parse("{ name: the-rest, split: { stable: 9, canary: 1 } }").unwrap();
    let rules = case.get("rules").unwrap().elements().iter().chain(&last).cloned().collect();
    let Value::Object(fields) = &mut config.value else { panic!() };
    fields[2].1.value = Value::List(rules);
    config
}

fn found(case: &Node) -> Vec<String> {
    let config = configuration(case);
    let plugins = plugin::find(std::slice::from_ref(&config), "");
    let mistakes = |found: Vec<crate::check::Mistake>| -> Vec<String> {
        found.into_iter().map(|mistake| mistake.display("")).collect()
    };
    let name = case.get("name").and_then(Node::text).unwrap();
    let checked = check(&plugins[0]).map_err(mistakes).unwrap_or_else(|e| panic!("{name}: {e:?}"));
    let at = case.get("at").and_then(Node::text).map_or(0, |at| parse_time(at).unwrap());
    let rate = match case.get("rate").map(|rate| &rate.value) {
        Some(Value::Number(rate)) => Some(*rate),
        _ => None,
    };
    let circumstances = Circumstances { rate, is_plain: case.get("plain").is_some() };
    let found = of(&checked.when(at), circumstances).into_iter();
    let mut found: Vec<_> = found.map(|it| format!("{} {}", it.lint.name(), it.path)).collect();
    found.sort();
    found
}

fn cases() -> Vec<Node> {
    document::parse(CASES).unwrap()[0].elements().to_vec()
}

fn expected(case: &Node) -> Vec<String> {
    let warns = case.get("warns").map_or(&[][..], Node::elements).iter();
    let mut expected: Vec<_> = warns.map(|warning| warning.text().unwrap().to_owned()).collect();
    expected.sort();
    expected
}

#[test]
fn every_case_is_warned_of_as_it_says() {
    let mut wrong = Vec::new();
    for case in cases() {
        let name = case.get("name").and_then(Node::text).unwrap();
        let (found, expected) = (found(&case), expected(&case));
        if found != expected {
            wrong.push(format!("{name}: {found:#?}, not {expected:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_lint_has_a_case() {
    let mut missing: BTreeSet<_> = TABLE.iter().map(|(_, name, _)| *name).collect();
    for case in cases() {
        missing
            .retain(|name| !expected(&case).iter().any(|it| it.starts_with(&format!("{name} "))));
    }
    missing.retain(|name| !ACROSS.contains(&format!("[{name}]")));
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_lint_has_one_line_in_the_table() {
    for (lint, name, remedy) in TABLE {
        assert_eq!((lint.name(), lint.remedy()), (name, remedy));
        assert!(!remedy.ends_with('.') && !remedy.contains('\n'), "{name}");
    }
}
