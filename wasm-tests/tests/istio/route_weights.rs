//! `manifests/istio/route-weights`: the weights are written by hand.

use crate::callers::{Callers, pointed};
use crate::places::{gateway_api, gateway_proxy};
use crate::seen::{goes_to_canary, point, user};
use crate::shell::Shell;
use crate::steer::{self, ask, reaches};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use traffic_split::Plan;
use wasm_tests::bootstrap::POINT_HEADER;
use wasm_tests::client::{Client, Protocol};
use wasm_tests::istio::folder::SETTINGS;
use wasm_tests::istio::free_port;
use wasm_tests::istio::place::Place;
use wasm_tests::istio::proxy::{Pod, Proxy};
use wasm_tests::istio::weights::weights;
use wasm_tests::load;
use wasm_tests::message::Request;
use wasm_tests::wait::eventually;

const FOLDER: &str = "istio/route-weights";

fn weigh(place: &Place, namespace: &str, canary: u32) -> Result<()> {
    let patch = json!([
        {"op": "replace", "path": "/spec/http/0/route/0/weight", "value": 100 - canary},
        {"op": "replace", "path": "/spec/http/0/route/1/weight", "value": canary}
    ]);
    let patch =
        ["patch", "virtualservice", "traffic-split", "--type=json", "-p", &patch.to_string()];
    place.mesh.kubernetes.run(&[&["--namespace", namespace], &patch[..]].concat()).map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weights_by_hand_move_the_added_share_and_nobody_else() -> Result<()> {
    let place = Place::new("route-weights").await?;
    place.kubectl(&["apply", "-k", &place.folder.path(FOLDER)])?;
    let callers = Callers::start(&place, FOLDER).await?;
    let crowds = callers.crowds().await?;
    let shell = Shell::new(&place)?;
    for canary in [10, 20, 100, 0] {
        if canary == 20 {
            shell.run(shell.blocks("istio/README.md")?.last().context("no block")?)?;
        } else {
            weigh(&place, place.namespace, canary)?;
        }
        crowds.with.has(canary).await?;
        crowds.with.everyone_asks().await?;
    }
    let seen = callers.judge(crowds).await?;
    assert_eq!(seen.weights(), [10, 20, 100, 0]);

    let (proxy, address) = callers.with();
    let virtual_host = format!("{}:{}", place.host, place.port);
    weigh(&place, place.namespace, 10)?;
    has(proxy, &virtual_host, 10).await?;
    is_not_fooled(address, &place.request(), callers.plan()).await?;
    fails_safe(&place, proxy, address).await
}

/// A number that a client sends changes nothing, and no upstream sees one.
async fn is_not_fooled(address: SocketAddr, request: &Request, plan: &Plan) -> Result<()> {
    let stable = one(request, plan, false)?;
    let chosen = point(plan, &one(request, plan, true)?)?.to_string();
    let once = stable.clone().with(POINT_HEADER, chosen.as_str());
    let twice = once.clone().with("X-Split-Point", "99");
    let wrong = stable.clone().with(POINT_HEADER, "99, 99").with("X-Split-Point", "-1");
    for spoofed in [&once, &twice, &wrong] {
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let reply = Client::connect(protocol, address).await?.send(spoofed).await?;
            ensure!(reply.upstream() == Some("v1"), "{protocol:?} {spoofed:?}: {reply:?}");
            let seen = reply.seen()?;
            ensure!(seen.all(POINT_HEADER).is_empty(), "{seen:?}");
        }
    }
    Ok(())
}

/// Without the filter the route goes on splitting, at random, and no client chooses.
async fn fails_safe(place: &Place, proxy: &Proxy, address: SocketAddr) -> Result<()> {
    weigh(place, place.namespace, 50)?;
    has(proxy, &format!("{}:{}", place.host, place.port), 50).await?;
    place.kubectl(&["delete", "wasmplugin", "traffic-split"])?;
    eventually("no plugin", async || {
        ensure!(proxy.plugins().await?.is_empty());
        let reply = ask(address, &place.request()).await?;
        ensure!(reply.header("set-cookie").is_none(), "{reply:?}");
        Ok(())
    })
    .await?;
    // By chance alone, one version would serve all 100 less than once in 10^29 runs.
    let chosen = user(&place.request(), 1).with(POINT_HEADER, "99");
    let mut reached = BTreeSet::new();
    for _ in 0..100 {
        let reply = ask(address, &chosen).await?;
        ensure!(reply.status == 200 && reply.seen()?.all(POINT_HEADER).is_empty(), "{reply:?}");
        reached.extend(reply.upstream().map(str::to_owned));
    }
    ensure!(reached.len() == 2, "{reached:?}");
    Ok(())
}

async fn has(proxy: &Proxy, virtual_host: &str, canary: u32) -> Result<()> {
    eventually("the weight", async || {
        let weights = weights(proxy, virtual_host).await?.context("no weights")?;
        ensure!(weights.canary == canary, "{weights:?}");
        Ok(())
    })
    .await
}

/// Each user is where the native core says, over connections to either worker.
async fn splits(address: SocketAddr, request: &Request, plan: &Plan, canary: u32) -> Result<()> {
    let users: Vec<_> = (0..steer::USERS).map(|number| user(request, number)).collect();
    let goes = |user| Ok(goes_to_canary(point(plan, user)?, canary));
    let goes = users.iter().map(goes).collect::<Result<Vec<_>>>()?;
    let expected: Vec<_> = goes.iter().map(|canary| if *canary { "v3" } else { "v1" }).collect();
    for connections in [2, 3] {
        let reached = load::send(Protocol::Http1, address, connections, users.clone()).await?;
        ensure!(reached == expected, "{:?} at {canary} percent", load::counts(&reached));
    }
    Ok(())
}

#[tokio::test]
async fn weights_at_a_gateway() -> Result<()> {
    const FOLDER: &str = "istio/route-weights-gateway";
    let place = Place::new("route-weights-gateway").await?;
    let port = free_port()?;
    let listen = format!("bind: 127.0.0.1\n    port: {{ number: {port},");
    let component = "istio/components/route-weights-gateway";
    place.folder.replace(&format!("{component}/gateway.yaml"), "port: { number: 80,", &listen)?;
    let virtual_host = format!("reviews.example.com:{port}");
    let file = format!("{component}/kustomization.yaml");
    place.folder.replace(&file, "set-in-settings:80\"", &format!("set-in-settings:{port}\""))?;
    // The gateway of another test has this label.
    place.folder.line(SETTINGS, "  ingress: ", "weightsgateway")?;
    let namespace = format!("namespace: {} ", place.namespace);
    place.folder.replace(&file, "namespace: istio-system ", &namespace)?;
    place.mesh.kubernetes.run(&["apply", "-k", &place.folder.path(FOLDER)])?;
    let plan = steer::plan(&place, FOLDER)?;
    let labels = json!({"istio": "weightsgateway"});
    let pod = Pod { kind: "router", namespace: place.namespace, labels, environment: &[] };
    let proxy = Proxy::start(place.mesh, &pod).await?;
    let address = proxy.listens(port).await?;
    proxy.plugin(|_| true).await?;
    let request = Request { authority: "reviews.example.com".into(), ..Request::get("/reviews/0") };
    pointed(&proxy, &virtual_host).await?;
    splits(address, &request, &plan, 10).await?;
    is_not_fooled(address, &request, &plan).await?;
    for canary in [50, 100, 0] {
        weigh(&place, place.namespace, canary)?;
        has(&proxy, &virtual_host, canary).await?;
        splits(address, &request, &plan, canary).await?;
    }
    Ok(())
}

/// Istio leaves a backend of weight 0 out, and the route has a single cluster then, which the
/// EnvoyFilter would replace: Envoy refuses that, and what was before goes on.
#[tokio::test]
async fn weights_of_an_http_route_which_may_not_be_0() -> Result<()> {
    const FOLDER: &str = "istio/route-weights-gateway-api";
    let (place, port) = gateway_api("route-weights-api", FOLDER).await?;
    let plan = steer::plan(&place, FOLDER)?;
    let (proxy, address) = gateway_proxy(&place, port).await?;
    proxy.plugin(|_| true).await?;
    let virtual_host = "reviews.example.com:80";
    let request = Request { authority: "reviews.example.com".into(), ..Request::get("/reviews/0") };
    pointed(&proxy, virtual_host).await?;
    for (number, upstream) in [(false, "v1"), (true, "v3")] {
        let user = one(&request, &plan, number)?;
        eventually("the backends", async || reaches(address, &user, upstream).await).await?;
    }
    splits(address, &request, &plan, 10).await?;
    is_not_fooled(address, &request, &plan).await?;
    edit(&place, &[("backendRefs/0/weight", 50.into()), ("backendRefs/1/weight", 50.into())])?;
    has(&proxy, virtual_host, 50).await?;
    splits(address, &request, &plan, 50).await?;

    edit(&place, &[("backendRefs/0/weight", 0.into())])?;
    eventually("the refusal", async || {
        let log = proxy.log();
        ensure!(log.contains("WeightedClusterValidationError"), "{log}");
        Ok(())
    })
    .await?;
    splits(address, &request, &plan, 50).await?;
    // The way out.
    edit(&place, &[("name", "done".into())])?;
    let stable = one(&request, &plan, false)?;
    eventually("the canary alone", async || reaches(address, &stable, "v3").await).await?;
    splits(address, &request, &plan, 100).await
}

/// The first user who is in the canary, or is not, while it has 10 percent.
fn one(request: &Request, plan: &Plan, canary: bool) -> Result<Request> {
    let mut users = (0..1_000).map(|number| user(request, number));
    let found =
        users.find(|user| point(plan, user).is_ok_and(|point| goes_to_canary(point, 10) == canary));
    found.context("no such user")
}

fn edit(place: &Place, changes: &[(&str, Value)]) -> Result<()> {
    let change = |(path, value): &(&str, Value)| json!({"op": "replace", "path": format!("/spec/rules/0/{path}"), "value": value});
    let patch = Value::from_iter(changes.iter().map(change)).to_string();
    place.kubectl(&["patch", "httproute", "traffic-split", "--type=json", "-p", &patch]).map(drop)
}
