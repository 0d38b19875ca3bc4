//! A refused update in a real Envoy, by the alert on it.

use super::{manifest, wait_for};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use wasm_tests::bootstrap::{self, Listener};
use wasm_tests::envoy::{self, Envoy, Setup};
use wasm_tests::find;
use wasm_tests::manifest as envoy_manifest;
use wasm_tests::prometheus::Programs;
use wasm_tests::upstream::{self, Upstream};
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

    let edge = edge([&upstreams["default"], &upstreams["stable"]]).await?;

    let mut config: Value = serde_saphyr::from_str(&manifest("prometheus.yaml")?)?;
    config["global"] = json!({"scrape_interval": "1s", "evaluation_interval": "1s"});
    let target = |envoy: &Envoy, app| json!({"targets": [envoy.admin()], "labels": {"app": app}});
    config["scrape_configs"][0]["static_configs"] =
        json!([target(&envoy, "shop"), target(&edge, "edge")]);
    let rules = manifest("rules.yaml")?;
    let prometheus = programs.start(&config.to_string(), &[("rules.yaml", &rules)]).await?;
    // `increase` needs the counter of before.
    let counts = [LISTENERS, FILTER].map(|resource| {
        format!("count_over_time(envoy_update_rejected{{resource=\"{resource}\"}}[1m])")
    });
    eventually("two scrapes of both", async || {
        for count in &counts {
            let scrapes = prometheus.query(count).await?;
            let seen = scrapes.iter().flat_map(|it| &it.values).any(|(_, count)| *count >= 2.0);
            ensure!(seen, "{scrapes:?}");
        }
        Ok(())
    })
    .await?;
    wait_for(&prometheus, &[]).await?;
    ensure!(!envoy.update(&path, &listeners("nobody")?).await?, "taken");
    let shop = ["TrafficSplitUpdateRejected", "shop", "", ""];
    wait_for(&prometheus, &[shop]).await?;
    // No YAML: Envoy does not count that as rejected.
    envoy_manifest::put(&envoy_manifest::filter_of(&edge), "resources: [")?;
    wait_for(&prometheus, &[["TrafficSplitUpdateRejected", "edge", "", ""], shop]).await
}

const LISTENERS: &str = "listener_manager_lds";
const FILTER: &str = "extension_config_discovery_http_filter_traffic_split";

/// An Envoy whose filter has a file of its own.
async fn edge(upstreams: [&Upstream; 2]) -> Result<Envoy> {
    let [stable, canary] = upstreams.map(|upstream| upstream.address.port());
    let manifest = envoy_manifest::runnable(stable, canary)?;
    Envoy::start(&find::launcher()?, manifest.setup(1)?).await
}
