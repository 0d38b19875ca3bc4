//! A refused update in a real Envoy, by the alert on it.

use super::{manifest, wait_for};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use wasm_tests::bootstrap::{self, Listener};
use wasm_tests::envoy::{self, Envoy, Setup};
use wasm_tests::find;
use wasm_tests::prometheus::Programs;
use wasm_tests::upstream;
use wasm_tests::wait::eventually;

fn listeners(to: &str) -> Result<Value> {
    let configuration = json!({
        "clusterHeader": "x-split-cluster", "variants": {"stable": {"cluster": "stable"}},
        "rules": [{"name": "r", "to": to}]
    });
    Ok(bootstrap::discovered(&[Listener::new("updated", &configuration.to_string())?]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_update_fires_its_alert() -> Result<()> {
    let Some(programs) = Programs::find()? else { return Ok(()) };
    let upstreams = upstream::start(["default", "stable"]).await?;
    let folder = envoy::folder()?;
    let path = folder.path().join("listeners.json");
    std::fs::write(&path, listeners("stable")?.to_string())?;
    let bootstrap = bootstrap::dynamic(&path, &upstreams);
    let setup = Setup { bootstrap, concurrency: 1, listeners: 1, folder: Some(folder) };
    let envoy = Envoy::start(&find::launcher()?, setup).await?;

    let mut config: Value = serde_saphyr::from_str(&manifest("prometheus.yaml")?)?;
    config["global"] = json!({"scrape_interval": "1s", "evaluation_interval": "1s"});
    let target = json!({"targets": [envoy.admin()], "labels": {"app": "shop"}});
    config["scrape_configs"][0]["static_configs"] = json!([target]);
    let rules = manifest("rules.yaml")?;
    let prometheus = programs.start(&config.to_string(), &[("rules.yaml", &rules)]).await?;
    let rejected = "envoy_update_rejected{resource=\"listener_manager_lds\"}";
    // `increase` needs the counter of before.
    eventually("two scrapes", async || {
        let scrapes = prometheus.query(&format!("count_over_time({rejected}[1m])")).await?;
        let seen = scrapes.iter().flat_map(|it| &it.values).any(|(_, count)| *count >= 2.0);
        ensure!(seen, "{scrapes:?}");
        Ok(())
    })
    .await?;
    wait_for(&prometheus, &[]).await?;
    ensure!(!envoy.update(&path, &listeners("nobody")?).await?, "taken");
    wait_for(&prometheus, &[["TrafficSplitUpdateRejected", "shop", "", ""]]).await
}
