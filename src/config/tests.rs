//! Configurations that are refused with all of their errors, or read without being compiled.

use serde::Deserialize;

use super::Config;
use crate::{Plan, limits};

#[derive(Deserialize)]
struct Refused {
    name: String,
    text: Option<String>,
    config: Option<Box<serde_json::value::RawValue>>,
    errors: Vec<String>,
}

fn env(name: &str) -> Option<String> {
    let key = "k".repeat(limits::SIGNING_KEY_BYTES);
    match name {
        "SHORT" => Some(format!("{key},short")),
        "SPLIT_COOKIE_KEYS" => Some(format!("{key},{key}")),
        _ => None,
    }
}

#[test]
fn refusals() {
    let cases = include_str!("../../wasm-tests/cases/refused.json");
    for case in serde_json::from_str::<Vec<Refused>>(cases).unwrap() {
        let config = case.text.or(case.config.map(|config| config.get().to_owned())).unwrap();
        let errors = Plan::compile(config.as_bytes(), &env).expect_err(&case.name).to_string();
        assert_eq!(errors.lines().collect::<Vec<_>>(), case.errors, "{}", case.name);
    }
}

#[test]
fn what_refers_to_another_field_is_the_compilers() {
    let parse =
        |rules: &str| Config::parse(format!(r#"{{"variants":{{}},"rules":{rules}}}"#).as_bytes());
    let config = parse(r#"[{"name":"r","to":"gone"}]"#).unwrap();
    assert_eq!(config.rules[0].name, "r");
    let errors = parse(r#"[{"name":"r r","to":"gone"}]"#).unwrap_err().to_string();
    assert!(errors.starts_with("rules[0].name: Invalid value: \"r r\""), "{errors}");
}

#[test]
fn a_schema_for_editors_is_passed_over() {
    for schema in [r#""traffic-split.schema.json""#, "7", "{}"] {
        let config =
            format!(r#"{{"$schema":{schema},"variantHeader":"x-v","variants":{{}},"rules":[]}}"#);
        assert!(Config::parse(config.as_bytes()).is_ok(), "{schema}");
    }
    let inside = r#"{"variantHeader":"x-v","variants":{"a":{"$schema":"x"}},"rules":[]}"#;
    assert!(Config::parse(inside.as_bytes()).is_err());
}

#[test]
fn not_text_and_too_large() {
    for (config, expected) in [
        (b"\xff{}".to_vec(), "configuration: Invalid value: not JSON"),
        (b"{\"a\":\"\xff\"}".to_vec(), "configuration: Invalid value: not JSON"),
        (b"[".repeat(100_000), "configuration: Invalid value: not JSON (recursion limit"),
        (b" ".repeat(limits::CONFIG_BYTES - 1), "configuration: Required value"),
        (b"1".repeat(limits::CONFIG_BYTES + 1), "configuration: Too long"),
        (
            format!(r#"{{"clusterHeader":"{}"}}"#, "x".repeat(limits::TEXT_BYTES + 1)).into_bytes(),
            "clusterHeader: Too long",
        ),
    ] {
        let errors = Plan::compile(&config, &|_| None).unwrap_err().to_string();
        assert!(errors.starts_with(expected), "{errors}");
    }
}
