//! A waypoint: an ingress gateway calls it as ztunnel would, by a tunnel with certificates.

use crate::steer;
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use wasm_tests::istio::mesh::Place;
use wasm_tests::istio::proxy::{Pod, Proxy};
use wasm_tests::istio::{eventually, free_port};

const FOLDER: &str = "istio/waypoint";
const NAMESPACE: &str = "waypoint";
const HOST: &str = "waypoint.waypoint.svc.cluster.local";
/// Waypoints take requests for a service by its address; nothing is ever sent there.
const VIRTUAL: &str = "240.240.0.1";

/// What a user has before: the waypoint, and services that go through it.
fn waypoint(tunnel: u16) -> [Value; 2] {
    let gateway = json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "waypoint", "labels": {"istio.io/waypoint-for": "service"}},
        "spec": {
            "gatewayClassName": "istio-waypoint",
            "listeners": [{"name": "mesh", "port": 15008, "protocol": "HBONE"}]
        }
    });
    // In place of its pods.
    let service = json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": "waypoint"},
        "spec": {
            "hosts": [HOST],
            "ports": [{"number": 15008, "name": "mesh", "protocol": "TCP"}],
            "resolution": "STATIC",
            "location": "MESH_INTERNAL",
            "endpoints": [{"address": "127.0.0.1", "ports": {"mesh": tunnel}}]
        }
    });
    [gateway, service]
}

/// Two filters that only Istio's own build of Envoy has, which name the peers in metrics, go; and
/// the tunnel's port becomes a free one.
fn for_envoy_as_released(tunnel: u16) -> Value {
    let without = |name: &str| {
        json!({
            "applyTo": "HTTP_FILTER",
            "match": {"listener": {"filterChain": {"filter": {
                "name": "envoy.filters.network.http_connection_manager",
                "subFilter": {"name": name}
            }}}},
            "patch": {"operation": "REMOVE"}
        })
    };
    json!({
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": "as-released"},
        "spec": {"configPatches": [
            without("waypoint_downstream_peer_metadata"),
            without("waypoint_upstream_peer_metadata"),
            {
                "applyTo": "LISTENER",
                "match": {"listener": {"name": "connect_terminate"}},
                "patch": {"operation": "MERGE", "value": {
                    "address": {"socket_address": {"address": "127.0.0.1", "port_value": tunnel}}
                }}
            }
        ]}
    })
}

/// An ingress gateway that sends everything to the service.
fn ingress(place: &Place, port: u16) -> [Value; 2] {
    [
        json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "Gateway",
            "metadata": {"name": "ingress"},
            "spec": {
                "selector": {"app": "ingress"},
                "servers": [{
                    "bind": "127.0.0.1",
                    "port": {"number": port, "name": "http", "protocol": "HTTP"},
                    "hosts": [&place.host]
                }]
            }
        }),
        json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": {"name": "ingress"},
            "spec": {
                "hosts": [&place.host],
                "gateways": ["ingress"],
                "http": [{"route": [{"destination": {"host": &place.host}}]}]
            }
        }),
    ]
}

#[tokio::test]
async fn waypoint_steers_what_a_gateway_tunnels_to_it() -> Result<()> {
    let place = Place::new(NAMESPACE).await?;
    let (tunnel, port) = (free_port()?, free_port()?);
    place.mesh.kubernetes.apply(NAMESPACE, &waypoint(tunnel))?;
    place.mesh.kubernetes.apply(NAMESPACE, &[for_envoy_as_released(tunnel)])?;
    place.mesh.kubernetes.apply(NAMESPACE, &ingress(&place, port))?;
    let patch = json!({
        "metadata": {"labels": {
            "istio.io/use-waypoint": "waypoint", "istio.io/ingress-use-waypoint": "true"
        }},
        "spec": {"addresses": [VIRTUAL]}
    });
    place.kubectl(&[
        "patch",
        "serviceentry",
        "reviews",
        "--type=merge",
        "-p",
        &patch.to_string(),
    ])?;
    // Istio would, once the waypoint's pods are ready.
    let status = json!({"status": {"addresses": [{"type": "Hostname", "value": HOST}]}});
    let status = status.to_string();
    let gateway = ["patch", "gateways.gateway.networking.k8s.io", "waypoint"];
    let to = ["--subresource=status", "--type=merge", "-p", &status];
    place.kubectl(&[gateway.as_slice(), to.as_slice()].concat())?;
    place.kubectl(&["apply", "-k", &place.folder.path(FOLDER)])?;
    let plan = steer::plan(&place, FOLDER)?;

    let labels = json!({
        "gateway.networking.k8s.io/gateway-name": "waypoint",
        "gateway.istio.io/managed": "istio.io-mesh-controller"
    });
    let pod = Pod { kind: "waypoint", namespace: NAMESPACE, labels, environment: &[] };
    let waypoint = Proxy::start(place.mesh, &pod).await?;
    waypoint.listens(tunnel).await?;
    waypoint.plugin(|_| true).await?;

    let environment = &["ISTIO_META_ENABLE_HBONE=true"];
    let labels = json!({"app": "ingress"});
    let pod = Pod { kind: "router", namespace: NAMESPACE, labels, environment };
    let gateway = Proxy::start(place.mesh, &pod).await?;
    let address = gateway.listens(port).await?;
    let mut request = place.request();
    request.authority.clone_from(&place.host);
    let tester = request.clone().with("x-user-group", "beta");
    eventually("the canary", async || steer::reaches(address, &tester, "v3").await).await?;
    steer::steers(address, &request, &plan).await?;
    steer::is_not_fooled(address, &request, &plan, "x-split-variant", "canary").await?;

    // The gateway itself knows no variants.
    ensure!(gateway.plugins().await?.is_empty());
    Ok(())
}
