//! Assertions that hold for every way to route, on the upstream that was reached.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::net::SocketAddr;
use traffic_split::testing::FixedEnvironment;
use traffic_split::{Plan, Snapshot};
use wasm_tests::client::{Client, Protocol};
use wasm_tests::istio::folder::resources;
use wasm_tests::istio::place::Place;
use wasm_tests::istio::proxy::Proxy;
use wasm_tests::load::{self, counts, standard_errors};
use wasm_tests::message::{Reply, Request};
use wasm_tests::native;
use wasm_tests::wait::eventually;

/// Fixed keys: no chance is involved. A good hash keeps 3 standard errors for all but 0.3 % of
/// salts.
pub const USERS: usize = 4_000;

/// The version whose upstream serves a variant of the manifests.
pub fn version(variant: Option<&str>) -> &'static str {
    match variant {
        Some("canary") => "v3",
        _ => "v1",
    }
}

/// The configuration of a plugin, as its folder renders it.
pub fn configuration(place: &Place, folder: &str, plugin: &str) -> Result<Value> {
    let rendered = place.kubectl(&["kustomize", &place.folder.path(folder)])?;
    let all = resources(&rendered)?;
    let named = |each: &&Value| each["kind"] == "WasmPlugin" && each["metadata"]["name"] == plugin;
    let found = all.iter().find(named).context("no such plugin")?;
    Ok(found["spec"]["pluginConfig"].clone())
}

/// The plan of the plugin `traffic-split`, compiled by the native core.
pub fn plan(place: &Place, folder: &str) -> Result<Plan> {
    native::plan(&configuration(place, folder, "traffic-split")?.to_string())
}

/// The variant that the native core decides for.
pub fn decide(plan: &Plan, request: &Request) -> Option<String> {
    let snapshot = Snapshot::new(plan, 0);
    let decision = traffic_split::decide(
        plan,
        &snapshot,
        &native::request(request),
        &mut FixedEnvironment::default(),
    );
    decision.variant().map(|variant| variant.name.clone())
}

/// The same request from many users.
pub fn users(request: &Request, count: usize) -> Vec<Request> {
    let user = |n| request.clone().with("cookie", format!("uid=user-{n}").as_str());
    (0..count).map(user).collect()
}

/// One request on a connection of its own.
pub async fn ask(address: SocketAddr, request: &Request) -> Result<Reply> {
    Client::connect(Protocol::Http1, address).await?.send(request).await
}

/// Asks, and expects an upstream.
pub async fn reaches(address: SocketAddr, request: &Request, upstream: &str) -> Result<Reply> {
    let reply = ask(address, request).await?;
    let reached = reply.upstream();
    ensure!(reached == Some(upstream), "{request:?}: {} {reached:?}, not {upstream}", reply.status);
    Ok(reply)
}

/// Pins, the split of fixed keys, and that it is sticky and the native core's.
pub async fn steers(address: SocketAddr, request: &Request, plan: &Plan) -> Result<()> {
    let users = users(request, USERS);
    let expected: Vec<_> =
        users.iter().map(|user| version(decide(plan, user).as_deref())).collect();
    // Over two connections to a worker each or not, and again over others: the key alone decides.
    for connections in [2, 3] {
        let reached = load::send(Protocol::Http1, address, connections, users.clone()).await?;
        ensure!(reached == expected, "{:?} is not what the native core says", counts(&reached));
    }
    let canary = expected.iter().filter(|version| **version == "v3").count();
    let off = standard_errors(canary, USERS, 0.1);
    ensure!(off.abs() <= 3.0, "{canary} of {USERS}, {off:+.2} standard errors from 10 %");

    let stable = stable_user(request, plan)?;
    reaches(address, &stable, "v1").await?;
    reaches(address, &stable.clone().with("x-user-group", "beta"), "v3").await?;
    reaches(address, &stable.clone().with("cookie", "preview=1"), "v3").await?;
    reaches(address, &stable.clone().with("x-user-group", "alpha"), "v1").await?;
    Ok(())
}

/// A routing header that a client sends changes nothing, and never reaches the upstream.
pub async fn is_not_fooled(
    address: SocketAddr,
    request: &Request,
    plan: &Plan,
    header: &str,
    value: &str,
) -> Result<()> {
    let stable = stable_user(request, plan)?;
    let cased: String = header
        .chars()
        .enumerate()
        .map(|(n, c)| if n % 2 == 0 { c.to_ascii_uppercase() } else { c })
        .collect();
    let once = stable.clone().with(header, value);
    let twice = once.clone().with(&cased, value);
    for spoofed in [once, twice] {
        let seen = reaches(address, &spoofed, "v1").await?.seen()?;
        let values = seen.all(header);
        ensure!(!values.contains(&value.as_bytes()) && values.len() <= 1, "{seen:?}");
    }
    Ok(())
}

/// Where there is no plugin, a client's own header leads nowhere and reaches nobody.
pub async fn strips_without_the_plugin(
    proxy: &Proxy,
    address: SocketAddr,
    request: &Request,
) -> Result<()> {
    eventually("no plugin", async || {
        let plugins = proxy.plugins().await?;
        // The routes follow the listener: what the plugin itself removed proves nothing.
        let tester = request.clone().with("x-user-group", "beta");
        ensure!(plugins.is_empty(), "{plugins:?}");
        reaches(address, &tester, "v1").await
    })
    .await?;
    for header in ["x-split-variant", "X-Split-Variant"] {
        let twice = request.clone().with(header, "canary").with("x-split-variant", "canary");
        for spoofed in [request.clone().with(header, "canary"), twice] {
            let seen = reaches(address, &spoofed, "v1").await?.seen()?;
            ensure!(seen.all("x-split-variant").is_empty(), "{seen:?}");
        }
    }
    Ok(())
}

/// The first user that the split gives to the stable variant.
pub fn stable_user(request: &Request, plan: &Plan) -> Result<Request> {
    let stable = |user: &Request| decide(plan, user).as_deref() == Some("stable");
    users(request, 100).into_iter().find(stable).context("no stable user among 100")
}
