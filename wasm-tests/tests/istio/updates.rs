//! Updates of the rules while requests come in.

use crate::steer::{self, reaches, stable_user};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::time::Duration;
use wasm_tests::istio::place::Place;
use wasm_tests::traffic::{ENVOY, Traffic};
use wasm_tests::wait::eventually;

const UPDATES: usize = 100;

#[tokio::test]
async fn with_a_variant_header() -> Result<()> {
    stays("updates", "istio/variant-header").await
}

#[tokio::test]
async fn with_a_cluster_header() -> Result<()> {
    stays("updates-cluster", "istio/cluster-header").await
}

#[tokio::test]
async fn in_bookinfo() -> Result<()> {
    stays("updates-bookinfo", "bookinfo").await
}

/// A bad update is refused and the old rules serve on; a hundred good ones fail no request.
async fn stays(namespace: &'static str, folder: &str) -> Result<()> {
    let place = Place::new(namespace).await?;
    place.kubectl(&["apply", "-k", &place.folder.path(folder)])?;
    let plan = steer::plan(&place, folder)?;
    let (proxy, address) = place.sidecar("productpage").await?;
    proxy.plugin(|_| true).await?;
    let stable = stable_user(&place.request(), &plan)?;
    let tester = stable.clone().with("x-user-group", "beta");
    reaches(address, &tester, "v3").await?;

    rollout(&place, &json!({"stable": 90, "canary": -5}))?;
    // Istio's own selection of Envoy's statistics leaves out the count of refused updates.
    let rejected = format!("rejected: Unable to create Wasm plugin {namespace}.traffic-split");
    let messages = ["rules[1].split.canary: Invalid value: -5: must be at least 0", &rejected];
    eventually("the refusal", async || {
        let log = proxy.log();
        messages.iter().try_for_each(|message| {
            ensure!(log.contains(message), "no `{message}` in {log}");
            Ok(())
        })
    })
    .await?;
    // What served before serves on.
    steer::steers(address, &place.request(), &plan).await?;

    // A pause between requests leaves the machine's cores to the mesh.
    let user = stable.clone();
    let traffic =
        Traffic::start(address, 2, Duration::from_millis(2), 1, move |_| user.clone()).await?;
    for n in 0..UPDATES {
        // Weights that no other update has, so that each is seen to arrive.
        let split = json!({"stable": 1000 + n, "canary": 0});
        rollout(&place, &split)?;
        proxy.plugin(|plugin| has(plugin, 1000 + n)).await?;
    }
    let visits = traffic.stop().await?;
    let requests = visits.len();
    assert!(requests > UPDATES, "only {requests} requests during {UPDATES} updates");
    let failed = visits.iter().find(|visit| visit.upstream == ENVOY);
    assert!(failed.is_none(), "{failed:?}");
    reaches(address, &stable, "v1").await?;
    reaches(address, &tester, "v3").await?;
    println!("{folder}: {UPDATES} updates, {requests} requests, none failed");
    Ok(())
}

fn rollout(place: &Place, split: &Value) -> Result<()> {
    let patch = json!([
        {"op": "replace", "path": "/spec/pluginConfig/rules/1/split", "value": split}
    ]);
    let patch = patch.to_string();
    place.kubectl(&["patch", "wasmplugin", "traffic-split", "--type=json", "-p", &patch])?;
    Ok(())
}

fn has(plugin: &Value, weight: usize) -> bool {
    let configuration = plugin["config"]["configuration"]["value"].as_str().unwrap_or_default();
    let configuration: Value = serde_json::from_str(configuration).unwrap_or_default();
    configuration["rules"][1]["split"]["stable"].as_f64() == Some(weight as f64)
}
