//! gRPC's own client and server: calls are counted by their status, wherever it stands.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use wasm_tests::bootstrap::{self, Listener};
use wasm_tests::envoy::{Envoy, Setup};
use wasm_tests::grpc::{Peer, call};
use wasm_tests::prometheus::Programs;
use wasm_tests::upstream::Upstream;
use wasm_tests::wait::eventually;
use wasm_tests::{find, splitctl};

/// Unary calls are guarded, streams are not.
fn configuration([stable, canary]: [u32; 2]) -> Value {
    let weights = json!({"stable": stable, "canary": canary});
    json!({
        "clusterHeader": "x-split-cluster",
        "metrics": "full",
        "variants": {"stable": {"cluster": "stable"}, "canary": {"cluster": "canary"}},
        "rules": [
            {"name": "unary", "match": [{"path": {"suffix": "/Unary"}}], "split": weights,
             "guard": {"watch": "canary", "fallback": "stable", "maxErrorRate": "5%",
                       "minRequests": 20, "window": "60s", "cooldown": "10m"}},
            {"name": "stream", "split": weights}
        ]
    })
}

struct Site {
    envoy: Envoy,
    address: std::net::SocketAddr,
    _servers: [Peer; 2],
}

/// Servers whose calls end with these statuses, unless a call asks for another.
async fn start(weights: [u32; 2], [stable, canary]: [&str; 2]) -> Result<Site> {
    let (stable, at_stable) = Peer::serve(stable).await?;
    let (canary, at_canary) = Peer::serve(canary).await?;
    let mut upstreams = BTreeMap::new();
    upstreams.insert("stable".to_owned(), Upstream::elsewhere(at_stable));
    upstreams.insert("canary".to_owned(), Upstream::elsewhere(at_canary));
    let listener = Listener::new("site", &configuration(weights).to_string())?;
    let mut bootstrap: Value =
        serde_json::from_str(&bootstrap::bootstrap([&listener], &upstreams))?;
    // The default route's cluster is none of these.
    let routes =
        "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/route_config";
    bootstrap.pointer_mut(routes).context("no routes")?["validate_clusters"] = json!(false);
    // As often as it is scraped: histograms are renewed when statistics are flushed.
    bootstrap["stats_flush_interval"] = json!("1s");
    let bootstrap = bootstrap.to_string();
    let setup = Setup { bootstrap, concurrency: 1, listeners: 1, folder: None };
    let envoy = Envoy::start(&find::launcher()?, setup).await?;
    Ok(Site { address: envoy.address("site")?, envoy, _servers: [stable, canary] })
}

/// The responses of the canary of a rule, by class.
async fn classes(site: &Site, rule: &str) -> Result<BTreeMap<String, u64>> {
    let labels = format!("tsplit_responses_total{{rule=\"{rule}\",variant=\"canary\",class=\"");
    let metrics = site.envoy.prometheus().await?;
    let class = |(name, value): (String, f64)| {
        let class = name.strip_prefix(&labels)?.strip_suffix("\"}")?;
        (value > 0.0).then(|| (class.to_owned(), value as u64))
    };
    Ok(metrics.into_iter().filter_map(class).collect())
}

#[tokio::test]
async fn a_call_is_counted_by_its_status_with_and_without_a_message_before_it() -> Result<()> {
    let site = start([0, 1], ["0", "0"]).await?;
    for (method, rule) in [("Unary", "unary"), ("Stream", "stream")] {
        for (code, name, count) in
            [("0", "OK", 4), ("5", "NOT_FOUND", 3), ("14", "UNAVAILABLE", 2), ("13", "INTERNAL", 1)]
        {
            assert_eq!(call(site.address, method, count, code)?, json!({name: count}), "{method}");
        }
        let expected = [("2xx", 4), ("4xx", 3), ("5xx", 3)].map(|(c, n)| (c.to_owned(), n));
        assert_eq!(classes(&site, rule).await?, BTreeMap::from(expected), "{method}");
    }
    // A client that goes away in the middle, and a server that does.
    assert_eq!(call(site.address, "Wait", 1, "")?, json!({"CANCELLED": 1}));
    call(site.address, "Stream", 1, "exit")?;
    eventually("both ends", async || {
        let classes = classes(&site, "stream").await?;
        ensure!(classes.get("reset") == Some(&1), "{classes:?}");
        ensure!(classes.values().sum::<u64>() == 11, "{classes:?}");
        let metrics = site.envoy.prometheus().await?;
        let aborted = metrics.iter().filter(|(name, _)| name.starts_with("tsplit_aborted_total"));
        ensure!(aborted.map(|(_, count)| count).sum::<f64>() == 1.0, "{metrics:#?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn errors_in_trailers_trip_a_guard_and_splitctl_watch_sees_them() -> Result<()> {
    let Some(programs) = Programs::find()? else { return Ok(()) };
    // Each call to the canary fails: a stream after its first message.
    let site = start([1, 1], ["0", "14"]).await?;
    call(site.address, "Unary", 100, "")?;
    eventually("the guard", async || {
        let metrics = site.envoy.prometheus().await?;
        let tripped = metrics.get("tsplit_guard_tripped{rule=\"unary\",variant=\"canary\"}");
        ensure!(tripped == Some(&1.0), "{metrics:#?}");
        Ok(())
    })
    .await?;
    // From here on no call fails.
    assert_eq!(call(site.address, "Unary", 50, "")?, json!({"OK": 50}));

    let config = json!({
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{
            "job_name": "envoy", "metrics_path": "/stats/prometheus",
            "static_configs": [{"targets": [site.envoy.admin()]}]
        }]
    });
    let prometheus = programs.start(&config.to_string(), &[]).await?;
    let _calls = Peer::keep_calling(site.address, "Stream")?;
    let folder = tempfile::tempdir()?;
    let rules = folder.path().join("rules.json");
    fs::write(&rules, configuration([1, 1]).to_string())?;
    let program = splitctl::program()?;
    eventually("the verdict", async || {
        let output = Command::new(&program)
            .args([
                "watch",
                "--once",
                "--window",
                "10s",
                "--rule",
                "stream",
                "--baseline",
                "stable",
            ])
            .args(["-o", "json", "--prometheus", &format!("http://{}", prometheus.address), "-f"])
            .arg(&rules)
            .output()?;
        let text = String::from_utf8([output.stdout, output.stderr].concat())?;
        // A variant is worse.
        ensure!(output.status.code() == Some(1), "{text}");
        let look: Value = serde_json::from_str(&text)?;
        let variants = look["rules"][0]["variants"].as_array().context("no variants")?;
        let canary = variants.iter().find(|variant| variant["variant"] == "canary");
        let canary = canary.context("no canary")?;
        ensure!(canary["verdict"] == "worse" && canary["success"] == 0.0, "{canary}");
        Ok(())
    })
    .await
}
