//! The places at which the plugin attaches: a gateway, one workload's sidecar. [`crate::waypoint`]
//! is the third.

use crate::steer::{self, is_not_fooled, stable_user, steers};
use anyhow::{Context, Result};
use serde_json::json;
use std::net::SocketAddr;
use wasm_tests::istio::folder::SETTINGS;
use wasm_tests::istio::free_port;
use wasm_tests::istio::place::Place;
use wasm_tests::istio::proxy::{Pod, Proxy};
use wasm_tests::message::Request;
use wasm_tests::wait::eventually;

#[tokio::test]
async fn gateway() -> Result<()> {
    const FOLDER: &str = "istio/gateway";
    let place = Place::new("gateway").await?;
    let port = free_port()?;
    let listen = format!("bind: 127.0.0.1\n    port: {{ number: {port},");
    place.folder.replace(
        "istio/components/gateway/gateway.yaml",
        "port: { number: 80,",
        &listen,
    )?;
    place.mesh.kubernetes.run(&["apply", "-k", &place.folder.path(FOLDER)])?;
    let plan = steer::plan(&place, FOLDER)?;
    let labels = json!({"istio": "ingressgateway"});
    let pod = Pod { kind: "router", namespace: "istio-system", labels, environment: &[] };
    let proxy = Proxy::start(place.mesh, &pod).await?;
    let address = proxy.listens(port).await?;
    proxy.plugin(|_| true).await?;
    let request = Request { authority: "reviews.example.com".into(), ..Request::get("/reviews/0") };
    steers(address, &request, &plan).await?;
    is_not_fooled(address, &request, &plan, "x-split-variant", "canary").await?;
    let delete = ["delete", "wasmplugin", "traffic-split", "--namespace", "istio-system"];
    place.mesh.kubernetes.run(&delete)?;
    steer::strips_without_the_plugin(&proxy, address, &request).await
}

#[tokio::test]
async fn gateway_of_the_gateway_api() -> Result<()> {
    const FOLDER: &str = "istio/gateway-api";
    let (place, port) = gateway_api("gateway-api", FOLDER).await?;
    let plan = steer::plan(&place, FOLDER)?;
    let (proxy, address) = gateway_proxy(&place, port).await?;
    proxy.plugin(|_| true).await?;
    let request = Request { authority: "reviews.example.com".into(), ..Request::get("/reviews/0") };
    let tester = request.clone().with("x-user-group", "beta");
    eventually("the routes", async || steer::reaches(address, &tester, "v3").await).await?;
    steers(address, &request, &plan).await?;
    is_not_fooled(address, &request, &plan, "x-split-variant", "canary").await?;
    place.kubectl(&["delete", "wasmplugin", "traffic-split"])?;
    steer::strips_without_the_plugin(&proxy, address, &request).await
}

/// A namespace with a Gateway of the Gateway API, to whose port on loopback the folder's HTTPRoute
/// is applied. Its Deployment and Service would be Istio's work: here the service's endpoint is the
/// proxy.
pub async fn gateway_api(namespace: &'static str, folder: &str) -> Result<(Place, u16)> {
    let place = Place::new(namespace).await?;
    let port = free_port()?;
    let gateway = json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "my-gateway"},
        "spec": {
            "gatewayClassName": "istio",
            "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]
        }
    });
    let service = json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": "my-gateway-istio"},
        "spec": {
            "hosts": [format!("my-gateway-istio.{namespace}.svc.cluster.local")],
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
            "resolution": "STATIC",
            "location": "MESH_INTERNAL",
            "endpoints": [{"address": "127.0.0.1", "ports": {"http": port}}]
        }
    });
    place.mesh.kubernetes.apply(namespace, &[gateway, service, on_loopback(port)])?;
    // The cluster of the canary is told by its name.
    for (version, name) in [("v1", "reviews-v1"), ("v3", "reviews-v3-canary")] {
        let service = place.service(name, place.port, &[(version, version)]);
        // What a Service of Kubernetes cannot have, an endpoint on loopback, a ServiceEntry can.
        let host = service["spec"]["hosts"][0].as_str().context("no host")?;
        let setting = if version == "v1" { "  stable-service: " } else { "  canary-service: " };
        place.folder.line(SETTINGS, setting, host)?;
        place.mesh.kubernetes.apply(namespace, &[service])?;
    }
    let route = folder.replace("istio/", "istio/components/") + "/http-route.yaml";
    let hostname = "group: networking.istio.io, kind: Hostname, name: set-in-settings, port";
    place.folder.replace_all(&route, 2, "name: set-in-settings, port", hostname)?;
    place.kubectl(&["apply", "-k", &place.folder.path(folder)])?;
    Ok((place, port))
}

/// That Gateway's proxy.
pub async fn gateway_proxy(place: &Place, port: u16) -> Result<(Proxy, SocketAddr)> {
    let labels = json!({"gateway.networking.k8s.io/gateway-name": "my-gateway"});
    let pod = Pod { kind: "router", namespace: place.namespace, labels, environment: &[] };
    let proxy = Proxy::start(place.mesh, &pod).await?;
    let address = proxy.listens(port).await?;
    Ok((proxy, address))
}

/// Istio has such a gateway listen on every address.
fn on_loopback(port: u16) -> serde_json::Value {
    json!({
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": "on-loopback"},
        "spec": {"configPatches": [{
            "applyTo": "LISTENER",
            "match": {"context": "GATEWAY", "listener": {"portNumber": port}},
            "patch": {"operation": "MERGE", "value": {
                "address": {"socket_address": {"address": "127.0.0.1"}}
            }}
        }]}
    })
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
    steer::strips_without_the_plugin(&proxy, address, &place.request()).await
}
