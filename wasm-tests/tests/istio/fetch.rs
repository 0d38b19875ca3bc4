//! Starts at which the image or good rules are missing.

use crate::steer::{ask, reaches};
use anyhow::{Result, ensure};
use serde_json::json;
use std::net::{Ipv4Addr, SocketAddr};
use wasm_tests::istio::folder::Settings;
use wasm_tests::istio::place::Place;
use wasm_tests::istio::proxy::{Pod, Proxy};
use wasm_tests::wait::eventually;

/// The agent puts a filter in its place that denies every request, or with `FAIL_OPEN` none.
#[tokio::test]
async fn without_the_image_requests_are_denied_or_with_fail_open_served_by_default() -> Result<()> {
    let place = Place::new("no-image").await?;
    let image = format!("oci://{}", place.mesh.registry.image("nothing:here"));
    let settings = Settings { image: &image, host: &place.host, port: place.port };
    place.folder.set(&settings)?;
    place.kubectl(&["apply", "-k", &place.folder.path("istio/variant-header")])?;
    let (proxy, address) = place.sidecar("productpage").await?;
    let request = place.request().with("x-user-group", "beta");
    eventually("403", async || {
        let status = ask(address, &request).await?.status;
        ensure!(status == 403, "{status}");
        Ok(())
    })
    .await?;
    let log = proxy.log();
    assert!(log.contains("applying deny RBAC filter"), "{log}");

    place.folder.replace("istio/plugin/wasm-plugin.yaml", "FAIL_RELOAD", "FAIL_OPEN")?;
    place.kubectl(&["apply", "-k", &place.folder.path("istio/variant-header")])?;
    eventually("the default route", async || reaches(address, &request, "v1").await).await?;

    // Once it can be fetched, it is: no proxy has to be started anew.
    place.folder.set(&Settings { image: &place.mesh.image, ..settings })?;
    place.kubectl(&["apply", "-k", &place.folder.path("istio/variant-header")])?;
    eventually("the canary", async || reaches(address, &request, "v3").await).await?;
    Ok(())
}

/// A proxy that never had good rules does not serve without any.
#[tokio::test]
async fn with_bad_rules_at_the_start_every_request_fails_until_they_are_good() -> Result<()> {
    let place = Place::new("bad-start").await?;
    let file = "istio/plugin/wasm-plugin.yaml";
    place.folder.replace(file, "canary: 10", "canary: -5")?;
    place.kubectl(&["apply", "-k", &place.folder.path("istio/variant-header")])?;
    let labels = json!({"app": "a"});
    let pod = Pod { kind: "sidecar", namespace: place.namespace, labels, environment: &[] };
    let proxy = Proxy::start(place.mesh, &pod).await?;
    eventually("the refusal", async || {
        let log = proxy.log();
        ensure!(log.contains("rules[1].split.canary: Invalid value: -5"), "{log}");
        Ok(())
    })
    .await?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, place.port));
    let request = place.request().with("x-user-group", "beta");
    assert_eq!(ask(address, &request).await?.status, 500);

    place.folder.replace(file, "canary: -5", "canary: 10")?;
    place.kubectl(&["apply", "-k", &place.folder.path("istio/variant-header")])?;
    eventually("the canary", async || reaches(address, &request, "v3").await).await?;
    Ok(())
}
