//! Where the plugin attaches: a gateway, one workload's sidecar, a waypoint.

use crate::steer::{self, is_not_fooled, stable_user, steers};
use anyhow::Result;
use serde_json::json;
use wasm_tests::istio::free_port;
use wasm_tests::istio::mesh::Place;
use wasm_tests::istio::proxy::{Pod, Proxy};
use wasm_tests::message::Request;

#[tokio::test]
async fn gateway() -> Result<()> {
    const FOLDER: &str = "istio/gateway";
    let place = Place::new("gateway").await?;
    let port = free_port()?;
    let listen = format!("bind: 127.0.0.1\n    port: {{ number: {port},");
    place.folder.replace("istio/gateway/gateway.yaml", "port: { number: 80,", &listen)?;
    place.mesh.kubernetes.run(&["apply", "-k", &place.folder.path(FOLDER)])?;
    let plan = steer::plan(&place, FOLDER)?;
    let labels = json!({"istio": "ingressgateway"});
    let pod = Pod { kind: "router", namespace: "istio-system", labels };
    let proxy = Proxy::start(place.mesh, &pod).await?;
    let address = proxy.listens(port).await?;
    proxy.plugin(|_| true).await?;
    let request = Request { authority: "reviews.example.com".into(), ..Request::get("/reviews/0") };
    steers(address, &request, &plan).await?;
    is_not_fooled(address, &request, &plan, "x-split-variant", "canary").await
}

#[tokio::test]
async fn sidecar_of_one_workload() -> Result<()> {
    const FOLDER: &str = "istio/sidecar";
    let place = Place::new("sidecar").await?;
    place.kubectl(&["apply", "-k", &place.folder.path(FOLDER)])?;
    let plan = steer::plan(&place, FOLDER)?;
    let stable = stable_user(&place.request(), &plan)?.with("x-user-group", "beta");
    {
        let (proxy, address) = place.sidecar("productpage").await?;
        proxy.plugin(|_| true).await?;
        steer::reaches(address, &stable, "v3").await?;
    }
    // Another caller is not affected.
    let (proxy, address) = place.sidecar("details").await?;
    assert!(proxy.plugins().await?.is_empty());
    let seen = steer::reaches(address, &stable, "v1").await?.seen()?;
    assert!(seen.all("x-split-variant").is_empty(), "{seen:?}");
    Ok(())
}
