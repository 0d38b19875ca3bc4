//! A configuration that is wrong is refused whole: at the start, and on an update.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use wasm_tests::bootstrap::{self, Listener};
use wasm_tests::envoy::{self, Envoy, Setup};
use wasm_tests::message::Request;
use wasm_tests::{find, raw, upstream};

/// All to one variant.
fn to(variant: &str) -> Value {
    json!({
        "clusterHeader": "x-split-cluster",
        "variants": {"stable": {"cluster": "stable"}, "canary": {"cluster": "canary"}},
        "rules": [{"name": "all", "to": variant}]
    })
}

/// Wrong in five places.
fn wrong() -> Value {
    json!({
        "clusterHeader": "x-split-cluster",
        "variants": {"stable": {"cluster": "stable"}, "canary": {"cluster": "canary"}},
        "rules": [
            {"name": "rollout", "split": {"stable": 90, "canary": -5}},
            {"name": "rollout", "to": "canary"},
            {"name": "typo", "to": "canry"},
            {"name": "regex", "match": [{"path": {"regex": "("}}], "to": "canary"},
            {"name": "field", "too": "canary", "to": "canary"}
        ]
    })
}

/// Where each of the five is reported.
const PLACES: [&str; 5] = [
    "rules[0].split.canary: Invalid value: -5",
    "rules[1].name: Duplicate value: \"rollout\"",
    "rules[2].to: ",
    "rules[3].match[0].path.regex: Invalid value: ",
    "rules[4].too: ",
];

fn assert_reported(log: &str) {
    for place in PLACES {
        let lines = log.lines().filter(|line| line.contains(place)).count();
        // The canary VM on the main thread refuses it, before any worker gets it.
        assert_eq!(lines, 1, "{place} in {lines} lines of\n{log}");
    }
}

async fn start(configuration: &str) -> Result<Envoy> {
    let upstreams = upstream::start(["default"]).await?;
    let listener = Listener::new("refused", configuration)?;
    let bootstrap = bootstrap::bootstrap(&[listener], &upstreams);
    let setup = Setup { bootstrap, concurrency: 2, listeners: 1, folder: None };
    Envoy::start(&find::launcher()?, setup).await
}

#[tokio::test]
async fn at_the_start_envoy_ends_and_says_why() -> Result<()> {
    let error = start(&wrong().to_string()).await.err().context("Envoy started")?.to_string();
    assert!(error.starts_with("Envoy ended with exit status: 1:"), "{error}");
    assert_reported(&error);
    Ok(())
}

#[tokio::test]
async fn no_configuration_at_all_is_refused_with_an_example() -> Result<()> {
    let error = start("").await.err().context("Envoy started")?.to_string();
    assert!(error.starts_with("Envoy ended with exit status: 1:"), "{error}");
    assert!(error.contains("clusterHeader"), "{error}");
    Ok(())
}

#[tokio::test]
async fn on_an_update_the_old_configuration_keeps_serving() -> Result<()> {
    let upstreams = upstream::start(["default", "stable", "canary"]).await?;
    let folder = envoy::folder()?;
    let path = folder.path().join("listeners.json");
    let listeners = |configuration: &str| {
        anyhow::Ok(bootstrap::discovered(&[Listener::new("updated", configuration)?]))
    };
    std::fs::write(&path, listeners(&to("stable").to_string())?.to_string())?;
    let bootstrap = bootstrap::dynamic(&path, &upstreams);
    let setup = Setup { bootstrap, concurrency: 2, listeners: 1, folder: Some(folder) };
    let envoy = Envoy::start(&find::launcher()?, setup).await?;
    let address = envoy.address("updated")?;
    let reached = async || {
        let reply = raw::send(address, &Request::get("/")).await?;
        anyhow::Ok(reply.upstream().map(str::to_owned))
    };
    assert_eq!(reached().await?.as_deref(), Some("stable"));

    for refused in [wrong().to_string(), String::new(), "{".into()] {
        let rejected = envoy.stat("listener_manager.lds.update_rejected").await?;
        assert!(!envoy.update(&path, &listeners(&refused)?).await?, "taken: {refused}");
        assert_eq!(envoy.stat("listener_manager.lds.update_rejected").await?, rejected + 1);
        for _ in 0..20 {
            assert_eq!(reached().await?.as_deref(), Some("stable"), "after {refused}");
        }
    }
    assert_reported(&envoy.log());

    assert!(envoy.update(&path, &listeners(&to("canary").to_string())?).await?, "refused");
    let modified = "listener_manager.listener_modified";
    let in_place = "listener_manager.listener_in_place_updated";
    assert_eq!(envoy.stat(modified).await?, 1, "{}", envoy.log());
    assert_eq!(envoy.stat(in_place).await?, 1);
    // The workers take the new filter chain one after the other, each at its own time.
    let started = std::time::Instant::now();
    while reached().await?.as_deref() != Some("canary") {
        assert!(started.elapsed().as_secs() < 30, "the update does not serve: {}", envoy.log());
    }
    Ok(())
}
