//! Bookinfo: two plugins of one image.

use crate::steer::{self, reaches};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::net::SocketAddr;
use wasm_tests::client::Protocol;
use wasm_tests::istio::free_port;
use wasm_tests::istio::place::Place;
use wasm_tests::istio::proxy::Proxy;
use wasm_tests::load::{self, standard_errors};
use wasm_tests::message::Request;
use wasm_tests::native;
use wasm_tests::wait::eventually;

const FOLDER: &str = "bookinfo";
const PLUGIN: &str = "bookinfo/ratings-plugin.yaml";
const USERS: usize = 4_000;

/// Bookinfo's namespace, with ratings beside reviews: v1 is black, v2 is red.
async fn bookinfo(namespace: &'static str) -> Result<(Place, u16)> {
    let place = Place::new(namespace).await?;
    let port = free_port()?;
    let ratings = place.service("ratings", port, &[("v1", "v1"), ("v2", "v3")]);
    place.mesh.kubernetes.apply(namespace, &[ratings])?;
    place.folder.replace(PLUGIN, "number: 9080", &format!("number: {port}"))?;
    Ok((place, port))
}

fn ratings(place: &Place, port: u16) -> Request {
    let authority = format!("ratings.{}.svc.cluster.local:{port}", place.namespace);
    Request { authority, ..Request::get("/ratings/0") }
}

/// Half of the users see red stars, the same ones each time, as the native core says.
async fn splits_ratings(place: &Place, address: SocketAddr, request: &Request) -> Result<()> {
    let configuration = steer::configuration(place, FOLDER, "ratings-split")?;
    let plan = native::plan(&configuration.to_string())?;
    let user = |n| request.clone().with("end-user", format!("user-{n}").as_str());
    let users: Vec<_> = (0..USERS).map(user).collect();
    let variant = |user| steer::decide(&plan, user).context("no variant");
    let expected: Vec<_> = users.iter().map(variant).collect::<Result<_>>()?;
    let red = expected.iter().filter(|variant| *variant == "red").count();
    let off = standard_errors(red, USERS, 0.5);
    ensure!(off.abs() <= 3.0, "{red} of {USERS}, {off:+.2} standard errors from 50 %");
    let expected: Vec<_> =
        expected.iter().map(|variant| if variant == "red" { "v3" } else { "v1" }).collect();
    for connections in [2, 3] {
        let reached = load::send(Protocol::Http1, address, connections, users.clone()).await?;
        ensure!(reached == expected, "not what the native core says");
    }
    // Nobody is signed in: the default route, whatever the client asks for.
    let spoofed = request.clone().with("X-Ratings-Variant", "red");
    for request in [request, &spoofed, &spoofed.clone().with("x-ratings-variant", "red")] {
        let seen = reaches(address, request, "v1").await?.seen()?;
        ensure!(seen.all("x-ratings-variant").is_empty(), "{seen:?}");
    }
    let black = users.iter().zip(&expected).find(|(_, version)| **version == "v1");
    let (black, _) = black.context("no user of black stars")?;
    let seen =
        reaches(address, &black.clone().with("X-Ratings-Variant", "red"), "v1").await?.seen()?;
    ensure!(seen.all("x-ratings-variant") == [b"black"], "{seen:?}");
    Ok(())
}

/// Red stars are for a subset that nothing defines: those users get 503, the others do not notice.
async fn has_no_red_stars(place: &Place, address: SocketAddr, request: &Request) -> Result<()> {
    place.folder.replace("bookinfo/ratings-routes.yaml", "subset: red }", "subset: rouge }")?;
    place.kubectl(&["apply", "-k", &place.folder.path(FOLDER)])?;
    let configuration = steer::configuration(place, FOLDER, "ratings-split")?;
    let plan = native::plan(&configuration.to_string())?;
    let user = |n| request.clone().with("end-user", format!("user-{n}").as_str());
    let of = |variant| {
        (0..100).map(user).find(|user| steer::decide(&plan, user).as_deref() == Some(variant))
    };
    let (red, black) = (of("red").context("no red")?, of("black").context("no black")?);
    eventually("503 for an unknown subset", async || {
        let status = steer::ask(address, &red).await?.status;
        ensure!(status == 503, "{status}");
        Ok(())
    })
    .await?;
    reaches(address, &black, "v1").await.map(drop)
}

#[tokio::test]
async fn bookinfo_splits_reviews_and_ratings() -> Result<()> {
    let (place, port) = bookinfo("bookinfo").await?;
    place.kubectl(&["apply", "-k", &place.folder.path(FOLDER)])?;
    {
        let (proxy, address) = place.sidecar("productpage").await?;
        proxy.plugin(|_| true).await?;
        let plan = steer::plan(&place, FOLDER)?;
        steer::steers(address, &place.request(), &plan).await?;
        let header = "x-split-variant";
        steer::is_not_fooled(address, &place.request(), &plan, header, "canary").await?;
    }
    let (proxy, _) = place.sidecar("reviews").await?;
    proxy.plugin(|_| true).await?;
    let address = proxy.listens(port).await?;
    splits_ratings(&place, address, &ratings(&place, port)).await?;
    has_no_red_stars(&place, address, &ratings(&place, port)).await
}

#[tokio::test]
async fn two_plugins_share_a_vm_and_keep_their_configurations() -> Result<()> {
    let (place, port) = bookinfo("shared-vm").await?;
    let both = "matchLabels: { app: productpage }";
    place.folder.replace(PLUGIN, "matchLabels: { app: reviews }", both)?;
    // On every port, so that a request meets the two of them.
    place.folder.replace(PLUGIN, &format!("    ports: [ {{ number: {port} }} ]\n"), "")?;
    place.kubectl(&["apply", "-k", &place.folder.path(FOLDER)])?;
    let (proxy, address) = place.sidecar("productpage").await?;
    let named = |name| move |plugin: &Value| plugin["config"]["root_id"] == name;
    proxy.plugin(named("traffic-split")).await?;
    proxy.plugin(named("ratings-split")).await?;
    let two = active_vms(&proxy).await?;

    let plan = steer::plan(&place, FOLDER)?;
    steer::steers(address, &place.request(), &plan).await?;
    let at_ratings = proxy.listens(port).await?;
    splits_ratings(&place, at_ratings, &ratings(&place, port)).await?;
    // Each writes its own header, from its own rules.
    let request = place.request().with("end-user", "user-1").with("x-user-group", "beta");
    let seen = reaches(address, &request, "v3").await?.seen()?;
    assert_eq!(seen.all("x-split-variant"), [b"canary"]);
    assert_eq!(seen.all("x-ratings-variant").len(), 1, "{seen:?}");

    place.kubectl(&["delete", "wasmplugin", "ratings-split"])?;
    eventually("one plugin", async || {
        ensure!(proxy.plugins().await?.len() == 1);
        let one = active_vms(&proxy).await?;
        // The second plugin cost no VM of its own.
        ensure!(one == two, "{one} VMs with one plugin, {two} with two");
        Ok(())
    })
    .await
}

async fn active_vms(proxy: &Proxy) -> Result<u64> {
    let stats = proxy.stats().await?;
    let name = "wasm.envoy.wasm.runtime.v8.active";
    stats.get(name).copied().with_context(|| format!("no {name} among {stats:?}"))
}
