//! Several services and teams: the overlays, each beside another plugin in one chain.

use crate::steer::{self, ask, reaches};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::net::SocketAddr;
use traffic_split::Plan;
use wasm_tests::istio::folder::{SETTINGS, Settings, resources};
use wasm_tests::istio::free_port;
use wasm_tests::istio::place::Place;
use wasm_tests::istio::proxy::{Pod, Proxy};
use wasm_tests::message::Request;
use wasm_tests::native;
use wasm_tests::wait::eventually;

const USERS: usize = 400;

/// Sets an overlay's image, host and port, and its namespace to the place's.
fn adapt(place: &Place, overlay: &str, service: &str, port: u16) -> Result<()> {
    let host = format!("{service}.{}.svc.cluster.local", place.namespace);
    let settings = Settings { image: &place.mesh.image, host: &host, port };
    place.folder.set_in(&format!("{overlay}/settings.yaml"), &settings)?;
    let file = format!("{overlay}/kustomization.yaml");
    if std::fs::read_to_string(place.folder.path(&file))?.contains("namespace: prod") {
        place.folder.line(&file, "namespace: ", place.namespace)?;
    }
    Ok(())
}

/// The plan of the plugin of this name in a folder.
fn plan(place: &Place, folder: &str, name: &str) -> Result<Plan> {
    let rendered = place.kubectl(&["kustomize", &place.folder.path(folder)])?;
    let all = resources(&rendered)?;
    let named = |each: &&Value| each["kind"] == "WasmPlugin" && each["metadata"]["name"] == name;
    let plugin = all.iter().find(named).context("no such plugin")?;
    native::plan(&plugin["spec"]["pluginConfig"].to_string())
}

async fn has_both(proxy: &Proxy) -> Result<()> {
    eventually("both plugins", async || {
        let plugins = proxy.plugins().await?;
        ensure!(plugins.len() == 2, "{plugins:?}");
        Ok(())
    })
    .await
}

/// Every user gets the version that the plan says, and the next hop is told so.
async fn follows(address: SocketAddr, request: &Request, plan: &Plan, header: &str) -> Result<()> {
    for user in steer::users(request, USERS) {
        let expected = steer::decide(plan, &user).context("no variant")?;
        let seen = reaches(address, &user, steer::version(Some(&expected))).await?.seen()?;
        ensure!(seen.all(header) == [expected.as_bytes()], "{seen:?}, not {expected}");
        // Whatever a client asks for.
        let seen = ask(address, &user.with(header, "canary")).await?.seen()?;
        ensure!(seen.all(header) == [expected.as_bytes()], "{seen:?}, not {expected}");
    }
    Ok(())
}

#[tokio::test]
async fn two_services_of_one_namespace_are_split_by_their_own_plugins() -> Result<()> {
    let place = Place::new("second-service").await?;
    let ratings = place.service("ratings", place.port, &[("v1", "v1"), ("v3", "v3")]);
    place.mesh.kubernetes.apply(place.namespace, &[ratings])?;
    adapt(&place, "overlays/prod", "reviews", place.port)?;
    adapt(&place, "overlays/second-service", "ratings", place.port)?;
    for overlay in ["overlays/prod", "overlays/second-service"] {
        place.kubectl(&["apply", "-k", &place.folder.path(overlay)])?;
    }
    let (proxy, address) = place.sidecar("productpage").await?;
    has_both(&proxy).await?;
    let first = plan(&place, "overlays/prod", "traffic-split")?;
    follows(address, &place.request(), &first, "x-split-variant").await?;
    let second = plan(&place, "overlays/second-service", "ratings-traffic-split")?;
    let authority = place.request().authority.replace("reviews", "ratings");
    let request = Request { authority, ..place.request() };
    follows(address, &request, &second, "x-ratings-variant").await?;
    // The second plugin's rules are for its own service alone.
    let seen = ask(address, &place.request()).await?.seen()?;
    ensure!(seen.all("x-ratings-variant").is_empty(), "{seen:?}");
    Ok(())
}

#[tokio::test]
async fn a_canary_and_an_experiment_know_a_user_by_one_identity() -> Result<()> {
    const OVERLAY: &str = "overlays/experiment";
    let place = Place::new("experiment").await?;
    for part in ["canary", "pricing"] {
        adapt(&place, &format!("{OVERLAY}/{part}"), "reviews", place.port)?;
    }
    place.kubectl(&["apply", "-k", &place.folder.path(OVERLAY)])?;
    let (proxy, address) = place.sidecar("productpage").await?;
    has_both(&proxy).await?;
    let canary = plan(&place, OVERLAY, "traffic-split")?;
    let pricing = plan(&place, OVERLAY, "pricing-traffic-split")?;
    let mut pairs = std::collections::BTreeSet::new();
    for _ in 0..200 {
        let first = ask(address, &place.request()).await?;
        let cookies = first.cookies();
        let [cookie] = cookies.as_slice() else { anyhow::bail!("not one cookie: {first:?}") };
        let known = place.request().with("cookie", cookie.as_str());
        let again = ask(address, &known).await?;
        ensure!(again.cookies().is_empty(), "{again:?}");
        for reply in [&first, &again] {
            let seen = reply.seen()?;
            for (plan, header) in [(&canary, "x-split-variant"), (&pricing, "x-pricing-variant")] {
                let expected = steer::decide(plan, &known).context("no variant")?;
                ensure!(seen.all(header) == [expected.as_bytes()], "{seen:?}, not {expected}");
            }
        }
        let variant = |plan| steer::decide(plan, &known);
        pairs.insert((variant(&canary), variant(&pricing)));
    }
    // By chance alone, one of the four pairs is missing in less than 1 of 10^4 runs: 2 (1 - 0.05)^200.
    ensure!(pairs.len() == 4, "{pairs:?}");
    Ok(())
}

/// Two teams at one gateway, which is this test's own.
async fn two_teams(namespace: &'static str) -> Result<(Place, u16)> {
    let place = Place::new(namespace).await?;
    let checkout = place.service("checkout", place.port, &[("v1", "v1"), ("v3", "v3")]);
    place.mesh.kubernetes.apply(namespace, &[checkout])?;
    adapt(&place, "overlays/second-team", "checkout", place.port)?;
    let port = free_port()?;
    let listen = format!("bind: 127.0.0.1\n    port: {{ number: {port},");
    let component = "istio/components/gateway";
    place.folder.replace(&format!("{component}/gateway.yaml"), "port: { number: 80,", &listen)?;
    let file = format!("{component}/kustomization.yaml");
    let own = format!("namespace: {namespace} ");
    place.folder.replace(&file, "namespace: istio-system ", &own)?;
    for settings in [SETTINGS, "overlays/second-team/settings.yaml"] {
        place.folder.line(settings, "  ingress: ", namespace)?;
    }
    for folder in ["istio/gateway", "overlays/second-team"] {
        place.mesh.kubernetes.run(&["apply", "-k", &place.folder.path(folder)])?;
    }
    Ok((place, port))
}

async fn gateway(place: &Place) -> Result<Proxy> {
    let labels = json!({"istio": place.namespace});
    let pod = Pod { kind: "router", namespace: place.namespace, labels, environment: &[] };
    Proxy::start(place.mesh, &pod).await
}

fn request(authority: &str) -> Request {
    Request { authority: authority.into(), ..Request::get("/") }
}

/// Spoils the second team's rules.
fn spoil(place: &Place) -> Result<()> {
    let patch = json!([{
        "op": "replace", "path": "/spec/pluginConfig/rules/0/split", "value": {"stable": -1}
    }]);
    let name = "checkout-traffic-split";
    place.kubectl(&["patch", "wasmplugin", name, "--type=json", "-p", &patch.to_string()])?;
    Ok(())
}

async fn refuses(proxy: &Proxy) -> Result<()> {
    eventually("the refusal", async || {
        let log = proxy.log();
        ensure!(log.contains("rules[0].split.stable: Invalid value: -1"), "{log}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn two_teams_at_one_gateway_and_rules_of_one_that_are_refused() -> Result<()> {
    let (place, port) = two_teams("two-teams").await?;
    let first = plan(&place, "istio/gateway", "traffic-split")?;
    let second = plan(&place, "overlays/second-team", "checkout-traffic-split")?;
    let (reviews, checkout) = (request("reviews.example.com"), request("checkout.shop.internal"));
    let both = async |address| {
        follows(address, &reviews, &first, "x-split-variant").await?;
        follows(address, &checkout, &second, "x-checkout-variant").await
    };
    let proxy = gateway(&place).await?;
    let address = proxy.listens(port).await?;
    has_both(&proxy).await?;
    both(address).await?;
    // A proxy that runs keeps the rules that it has: nobody notices.
    spoil(&place)?;
    refuses(&proxy).await?;
    both(address).await?;
    drop(proxy);
    // One that starts has none: the other team's requests fail as well.
    let proxy = gateway(&place).await?;
    refuses(&proxy).await?;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    for request in [&reviews, &checkout] {
        let status = ask(address, request).await?.status;
        ensure!(status == 500, "{status}");
    }
    // `FAIL_OPEN` changes nothing of that.
    let open = json!({"spec": {"failStrategy": "FAIL_OPEN"}}).to_string();
    let name = "checkout-traffic-split";
    place.kubectl(&["patch", "wasmplugin", name, "--type=merge", "-p", &open])?;
    drop(proxy);
    let proxy = gateway(&place).await?;
    refuses(&proxy).await?;
    for request in [&reviews, &checkout] {
        let status = ask(address, request).await?.status;
        ensure!(status == 500, "{status}");
    }
    // The first team can go on by itself: it takes the other's plugin away.
    place.kubectl(&["delete", "wasmplugin", "checkout-traffic-split"])?;
    eventually("the first team", async || reaches(address, &reviews, "v1").await).await?;
    follows(address, &reviews, &first, "x-split-variant").await
}
