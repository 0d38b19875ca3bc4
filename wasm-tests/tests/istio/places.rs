//! Where the plugin attaches: a gateway, one workload's sidecar, a waypoint.

use crate::steer::{self, is_not_fooled, stable_user, steers};
use anyhow::{Result, ensure};
use serde_json::json;
use wasm_tests::istio::mesh::Place;
use wasm_tests::istio::proxy::{Pod, Proxy};
use wasm_tests::istio::{eventually, free_port};
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

/// A waypoint's listeners have a filter of Istio's own build of Envoy, for which Envoy as released
/// refuses them, and a waypoint serves no service before a pod of it has an address. So this is
/// what istiod makes of the plugin alone, for a connected waypoint.
#[tokio::test]
async fn waypoint_is_sent_the_plugin() -> Result<()> {
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
    let _proxy = Proxy::start(place.mesh, &pod).await?;
    let filter = "extensions.istio.io/trafficextension/waypoint.traffic-split";
    eventually("the plugin", async || {
        let dump = place.mesh.control_plane.dump("waypoint", place.namespace).await?;
        ensure!(dump.contains(filter), "no {filter} in {dump}");
        Ok(())
    })
    .await
}
