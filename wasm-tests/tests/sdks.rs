//! The buckets of flag engines beside the engines themselves: the SDKs as released, and nginx. Every
//! key has to get the same variant from both.

use anyhow::Result;
use serde_json::{Value, json};
use wasm_tests::message::Request;
use wasm_tests::native;
use wasm_tests::sdk::{self, Answers, Flag};

/// 2,200 keys as applications have them, and a client without one.
fn keys() -> Vec<Option<String>> {
    let hash = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let key = |n: u64| match n % 5 {
        0 => format!("user-{n}"),
        1 => format!("{:016x}{:016x}", hash(n), hash(hash(n))),
        2 => n.to_string(),
        3 => format!("someone.{n}@example.com"),
        _ => format!("{:08X}-0000-4000-8000-{:012X}", n, hash(n) >> 16),
    };
    (0..2200).map(|n| Some(key(n))).chain([None]).collect()
}

fn flag(engine: &'static str, settings: Value, split: &[(&'static str, f64)]) -> Flag {
    Flag { engine, settings, split: split.to_vec() }
}

fn ours(flag: &Flag, keys: &[Option<String>]) -> Result<Answers> {
    let plan = native::plan(&flag.configuration().to_string())?;
    let request = |key: &Option<String>| {
        let request = Request::get("/");
        key.iter().fold(request, |request, key| request.with("x-user-id", key.as_str()))
    };
    Ok(keys.iter().map(|key| native::variant(&plan, &request(key))).collect())
}

/// The keys that get another variant from the filter than from the engine. Every variant has to be
/// among the answers, or the comparison would show nothing.
fn differences(flag: &Flag, theirs: &Answers, keys: &[Option<String>]) -> Result<Vec<String>> {
    let ours = ours(flag, keys)?;
    assert_eq!(ours.len(), theirs.len(), "{flag:?}");
    for (name, weight) in &flag.split {
        let found = theirs.iter().any(|answer| answer.as_deref() == Some(name));
        assert_eq!(found, *weight > 0.0, "{name} of {flag:?}");
    }
    let each = keys.iter().zip(ours.iter().zip(theirs));
    let differ = each.filter(|(_, (ours, theirs))| ours != theirs);
    Ok(differ.map(|(key, pair)| format!("{} {key:?}: {pair:?}", flag.settings)).collect())
}

fn agree(flags: [Flag; 3]) -> Result<()> {
    let Some(python) = sdk::python()? else { return Ok(()) };
    let keys = keys();
    for flag in &flags {
        let differ = differences(flag, &flag.ask(&python, &keys)?, &keys)?;
        assert!(differ.is_empty(), "{} differ:\n{}", differ.len(), differ.join("\n"));
    }
    Ok(())
}

#[test]
fn growthbook() -> Result<()> {
    let halves = [("control", 0.5), ("treatment", 0.5)];
    agree([
        flag(
            "growthbook",
            json!({"hashVersion": 1, "seed": "pricing"}),
            &[("a", 0.34), ("b", 0.33), ("c", 0.33)],
        ),
        flag(
            "growthbook",
            json!({"hashVersion": 2, "seed": "2f1c", "coverage": 0.8, "namespace": ["layer", 0.1, 0.7]}),
            &halves,
        ),
        flag(
            "growthbook",
            json!({"hashVersion": 2, "seed": "ranges", "ranges": [[0, 0.1], [0.5, 1]]}),
            &halves,
        ),
    ])
}

#[test]
fn unleash() -> Result<()> {
    agree([
        flag(
            "unleash",
            json!({"groupId": "checkout", "rollout": 35}),
            &[("a", 500.0), ("b", 500.0)],
        ),
        flag("unleash", json!({"groupId": "f.1"}), &[("a", 334.0), ("b", 333.0), ("c", 333.0)]),
        flag("unleash", json!({"groupId": "z", "rollout": 1}), &[("a", 1000.0), ("b", 0.0)]),
    ])
}

#[test]
fn launchdarkly() -> Result<()> {
    agree([
        flag(
            "launchdarkly",
            json!({"flag": "checkout", "salt": "5f1e0c"}),
            &[("a", 90_000.0), ("b", 10_000.0)],
        ),
        flag(
            "launchdarkly",
            json!({"seed": 61}),
            &[("a", 33_333.0), ("b", 33_333.0), ("c", 33_334.0)],
        ),
        flag(
            "launchdarkly",
            json!({"flag": "f", "salt": "2024"}),
            &[("a", 0.0), ("b", 99_000.0), ("c", 1_000.0)],
        ),
    ])
}

#[test]
fn flagd() -> Result<()> {
    agree([
        flag("flagd", json!({"prefix": "checkout"}), &[("on", 10.0), ("off", 90.0)]),
        flag("flagd", json!({"prefix": "f"}), &[("a", 1.0), ("b", 1.0), ("c", 1.0)]),
        flag("flagd", json!({"prefix": "large"}), &[("a", 1_000_000.0), ("b", 7.0e5), ("c", 0.0)]),
    ])
}

#[test]
fn posthog() -> Result<()> {
    agree([
        flag(
            "posthog",
            json!({"flag": "checkout", "rollout": 55}),
            &[("control", 50.0), ("test", 50.0)],
        ),
        flag("posthog", json!({"flag": "f2"}), &[("a", 33.3), ("b", 33.3), ("c", 33.4)]),
        flag("posthog", json!({"flag": "f3", "rollout": 12.5}), &[("a", 20.0), ("b", 80.0)]),
    ])
}

#[tokio::test]
async fn nginx() -> Result<()> {
    let flags = [
        flag("nginx", json!({"suffix": "exp1"}), &[("v2", 0.5), ("v3", 10.0), ("v1", 89.5)]),
        flag("nginx", json!({"prefix": "checkout-"}), &[("a", 33.33), ("b", 33.33), ("c", 33.34)]),
        flag("nginx", json!({}), &[("a", 40.0), ("b", 29.99)]),
    ];
    let keys = keys();
    let Some(theirs) = sdk::nginx(&flags, &keys).await? else { return Ok(()) };
    for (flag, theirs) in flags.iter().zip(&theirs) {
        let differ = differences(flag, theirs, &keys)?;
        assert!(differ.is_empty(), "{} differ:\n{}", differ.len(), differ.join("\n"));
    }
    Ok(())
}
