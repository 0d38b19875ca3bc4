//! The third place where the plugin attaches: a waypoint.

use anyhow::{Result, ensure};
use serde_json::json;
use wasm_tests::istio::place::Place;
use wasm_tests::istio::proxy::{Pod, Proxy};
use wasm_tests::wait::eventually;

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
    let pod = Pod { kind: "waypoint", namespace: place.namespace, labels, environment: &[] };
    let _proxy = Proxy::start(place.mesh, &pod).await?;
    let filter = "extensions.istio.io/trafficextension/waypoint.traffic-split";
    eventually("the plugin", async || {
        let dump = place.mesh.control_plane.dump("waypoint", place.namespace).await?;
        ensure!(dump.contains(filter), "no {filter} in {dump}");
        // Each of its connection managers removes what a client sends.
        let managers = dump.matches("\"httpFilters\"").count();
        let strips = dump.matches("\"remove\":\"x-split-variant\"").count();
        ensure!(managers > 0 && strips >= managers, "{strips} of {managers} strip: {dump}");
        Ok(())
    })
    .await
}
