//! Dry runs: a rule, or all of them, evaluated and counted, and nothing done.

use anyhow::Result;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use wasm_tests::client::{Client, Protocol};
use wasm_tests::message::Request;
use wasm_tests::scene::Scene;

fn configuration() -> Value {
    json!({
        "clusterHeader": "x-split-cluster",
        "variantHeader": "x-split-variant",
        "debugHeader": "x-split-debug",
        "metrics": "full",
        "variants": {"stable": {"cluster": "stable"}, "canary": {"cluster": "canary"}},
        "rules": [
            {
                "name": "try",
                "mode": "shadow",
                "match": [{"path": {"prefix": "/reviews"}}],
                "split": {"stable": 0, "canary": 1},
                "sticky": {"issue": {"cookie": "tried-id", "maxAge": "1h"}},
                "persist": {"cookie": "tried", "maxAge": "1h"}
            },
            { "name": "same", "mode": "shadow", "to": "stable" },
            {
                "name": "rollout",
                "match": [{"path": {"prefix": "/reviews"}}],
                "split": {"stable": 1, "canary": 0},
                "sticky": {"key": [{"header": "x-user-id"}]},
                // In shadow there is nothing for it to watch.
                "guard": {"watch": "canary", "fallback": "stable", "maxErrorRate": "5%"}
            }
        ]
    })
}

/// The counters that are not 0.
async fn counts(scene: &Scene) -> Result<BTreeMap<String, f64>> {
    let metrics = scene.envoy.prometheus().await?.into_iter();
    Ok(metrics.filter(|(name, value)| name.contains("_total") && *value != 0.0).collect())
}

fn named<const N: usize>(counts: [(&str, f64); N]) -> BTreeMap<String, f64> {
    counts.map(|(name, count)| (name.to_owned(), count)).into()
}

/// The fields of each request's line in the access log.
fn logged(log: &str) -> Vec<[Value; 4]> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.map(|line| ["rule", "variant", "reason", "shadow"].map(|key| line[key].clone())).collect()
}

#[tokio::test]
async fn a_rule_is_counted_and_passed_over() -> Result<()> {
    let scene = Scene::logged(&configuration(), 2).await?;
    let mut client = Client::connect(Protocol::Http1, scene.address).await?;
    for user in 0..5 {
        let request = Request::get("/reviews/1").with("x-user-id", user.to_string().as_str());
        let reply = client.send(&request).await?;
        assert_eq!(reply.upstream(), Some("stable"));
        assert_eq!(reply.seen()?.all("x-split-variant"), [b"stable"]);
        assert_eq!(reply.cookies(), [""; 0], "nothing is issued");
        let debug = reply.header("x-split-debug");
        assert_eq!(debug, Some("rule=rollout; variant=stable; reason=sticky"));
    }
    assert_eq!(client.send(&Request::get("/")).await?.upstream(), Some("default"));
    let expected = named([
        ("tsplit_requests_total{rule=\"try\",variant=\"canary\",reason=\"shadow\"}", 5.0),
        ("tsplit_requests_total{rule=\"same\",variant=\"stable\",reason=\"shadow\"}", 6.0),
        ("tsplit_requests_total{rule=\"rollout\",variant=\"stable\",reason=\"sticky\"}", 5.0),
        ("tsplit_responses_total{rule=\"rollout\",variant=\"stable\",class=\"2xx\"}", 5.0),
        // The one that no rule took would have gone to a variant.
        ("tsplit_shadow_changed_total{rule=\"same\",variant=\"stable\"}", 1.0),
        ("tsplit_shadow_changed_total{rule=\"try\",variant=\"canary\"}", 5.0),
        ("tsplit_unmatched_total", 1.0),
    ]);
    assert_eq!(counts(&scene).await?, expected);
    let log = logged(&scene.envoy.stop()?);
    let taken = ["rollout", "stable", "sticky", "try=canary,same=stable"].map(Value::from);
    let left = ["-", "-", "unmatched", "same=stable"].map(Value::from);
    assert_eq!(log, [vec![taken; 5], vec![left]].concat());
    Ok(())
}

#[tokio::test]
async fn a_whole_plugin_writes_nothing() -> Result<()> {
    let mut configuration = configuration();
    configuration["mode"] = json!("shadow");
    configuration["rules"][2]["sticky"]["issue"] = json!({"cookie": "id", "maxAge": "1h"});
    configuration["rules"][2]["persist"] = json!({"cookie": "kept", "maxAge": "1h"});
    let scene = Scene::logged(&configuration, 2).await?;
    let mut client = Client::connect(Protocol::Http1, scene.address).await?;
    for _ in 0..4 {
        // Its own route decides, and not the client.
        let forged = Request::get("/reviews/1").with("x-split-cluster", "canary");
        let request = forged.with("x-split-variant", "canary").with("x-user-id", "7");
        let reply = client.send(&request).await?;
        assert_eq!(reply.upstream(), Some("default"));
        let seen = reply.seen()?;
        let routing = ["x-split-cluster", "x-split-variant", "cookie"].map(|name| seen.all(name));
        assert_eq!(routing, [Vec::<&[u8]>::new(), vec![], vec![]]);
        assert_eq!(seen.all("x-user-id"), [b"7"], "everything else arrives as it was sent");
        assert_eq!(reply.cookies(), [""; 0]);
        let debug = reply.header("x-split-debug");
        assert_eq!(debug, Some("rule=rollout; variant=stable; reason=shadow"));
    }
    let expected = named([
        ("tsplit_requests_total{rule=\"try\",variant=\"canary\",reason=\"shadow\"}", 4.0),
        ("tsplit_requests_total{rule=\"same\",variant=\"stable\",reason=\"shadow\"}", 4.0),
        ("tsplit_requests_total{rule=\"rollout\",variant=\"stable\",reason=\"shadow\"}", 4.0),
        ("tsplit_shadow_changed_total{rule=\"rollout\",variant=\"stable\"}", 4.0),
        ("tsplit_shadow_changed_total{rule=\"try\",variant=\"canary\"}", 4.0),
    ]);
    assert_eq!(counts(&scene).await?, expected);
    let taken = ["rollout", "stable", "shadow", "try=canary,same=stable"].map(Value::from);
    assert_eq!(logged(&scene.envoy.stop()?), vec![taken; 4]);
    Ok(())
}
