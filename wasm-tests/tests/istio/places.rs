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

/// Requests come to a waypoint inside HBONE tunnels of ztunnel, which needs a node's network: here
/// istiod makes a waypoint's whole configuration of the manifests, and Envoy takes it.
#[tokio::test]
async fn waypoint_takes_plugin_and_routes() -> Result<()> {
    let place = Place::new("waypoint").await?;
    let gateway = json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "waypoint", "labels": {"istio.io/waypoint-for": "service"}},
        "spec": {
            "gatewayClassName": "istio-waypoint",
            "listeners": [{"name": "mesh", "port": 15008, "protocol": "HBONE"}]
        }
    });
    place.mesh.kubernetes.apply(place.namespace, &[gateway])?;
    place.kubectl(&["label", "serviceentry", "reviews", "istio.io/use-waypoint=waypoint"])?;
    place.kubectl(&["apply", "-k", &place.folder.path("istio/waypoint")])?;
    let labels = json!({
        "gateway.networking.k8s.io/gateway-name": "waypoint",
        "gateway.istio.io/managed": "istio.io-mesh-controller"
    });
    let pod = Pod { kind: "waypoint", namespace: place.namespace, labels };
    let proxy = Proxy::start(place.mesh, &pod).await?;
    proxy.plugin(|plugin| plugin["config"]["root_id"] == "traffic-split").await?;
    let dump = String::from_utf8(proxy.admin("/config_dump").await?)?;
    let canary = format!("inbound-vip|{}|http/canary|{}", place.port, place.host);
    for part in [canary.as_str(), "x-split-variant"] {
        assert!(dump.contains(part), "no {part} in {dump}");
    }
    Ok(())
}
