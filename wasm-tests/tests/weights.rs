//! The gauge `tsplit_weight_ppm`: what the weights ask for, as they stand now.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};
use traffic_split::config::format_time;
use wasm_tests::updated::Updated;
use wasm_tests::wait::eventually;

fn configuration(rules: Value) -> Value {
    json!({
        "clusterHeader": "x-split-cluster",
        "variantHeader": "x-split-variant",
        "variants": {"a": {"cluster": "to"}, "b": {"cluster": "to"}, "c": {"cluster": "to"}},
        "rules": rules
    })
}

async fn weights(envoy: &Updated, rule: &str) -> Result<Vec<Option<f64>>> {
    let metrics = envoy.envoy().prometheus().await?;
    let weight = |variant: &&str| {
        let name = format!("tsplit_weight_ppm{{rule=\"{rule}\",variant=\"{variant}\"}}");
        metrics.get(&name).copied()
    };
    Ok(["a", "b", "c"].iter().map(weight).collect())
}

#[tokio::test]
async fn the_gauge_follows_the_configuration_and_the_ramp() -> Result<()> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    let ramp = json!({"variant": "b", "to": 100, "start": format_time(now), "duration": "1h"});
    let before = configuration(json!([
        {"name": "fixed", "split": {"a": 2, "b": 1, "c": 0}},
        {"name": "ramped", "split": {"a": 1, "b": 0}, "ramp": ramp},
        {"name": "pinned", "to": "a"}
    ]));
    let mut envoy = Updated::start(&before, &[], &["to"]).await?;
    assert_eq!(weights(&envoy, "fixed").await?, [Some(666_667.0), Some(333_333.0), Some(0.0)]);
    assert_eq!(weights(&envoy, "pinned").await?, [None, None, None]);
    // By a 3,600th each second.
    let mut seen = Vec::new();
    eventually("three weights of the ramp", async || {
        let weights = weights(&envoy, "ramped").await?;
        let [Some(a), Some(b), None] = weights[..] else { panic!("{weights:?}") };
        let seconds = b * 3_600.0 / 1e6;
        // The two are set one after the other: a tick may lie between them.
        assert!(
            (a + b - 1e6).abs() <= 2.0 * 1e6 / 3_600.0 && (seconds - seconds.round()).abs() < 0.01,
            "{weights:?}"
        );
        if !seen.contains(&b) {
            seen.push(b);
        }
        ensure!(seen.len() == 3, "the ramp stands still: {seen:?}");
        Ok(())
    })
    .await?;
    assert!(seen.is_sorted(), "{seen:?}");

    let after = configuration(json!([
        {"name": "fixed", "split": {"a": 1, "c": 1}},
        {"name": "ramped", "split": {"a": 1, "b": 1}}
    ]));
    envoy.update(&after, &[]).await?;
    // While the earlier listener drains, its ramp no longer speaks.
    for _ in 0..30 {
        let fixed = weights(&envoy, "fixed").await?;
        assert_eq!(fixed, [Some(500_000.0), Some(0.0), Some(500_000.0)]);
        let ramped = weights(&envoy, "ramped").await?;
        assert_eq!(ramped, [Some(500_000.0), Some(500_000.0), None]);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}
