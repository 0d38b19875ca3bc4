//! `manifests/envoy.yaml` and `manifests/envoy-route-weights.yaml` do what their comments say.

use anyhow::{Context, Result};
use serde_json::Value;
use wasm_tests::envoy::Envoy;
use wasm_tests::manifest::Runnable;
use wasm_tests::message::Request;
use wasm_tests::upstream::Upstream;
use wasm_tests::{find, manifest, native, raw};

async fn serve(manifest: Runnable) -> Result<Envoy> {
    Envoy::start(&find::launcher()?, manifest.setup(1)?).await
}

async fn runnable() -> Result<(Runnable, [Upstream; 2])> {
    let (upstreams, [stable, canary]) = upstreams().await?;
    Ok((manifest::runnable(stable, canary)?, upstreams))
}

/// The upstreams of a manifest and their ports.
async fn upstreams() -> Result<([Upstream; 2], [u16; 2])> {
    let upstreams = [Upstream::start("stable").await?, Upstream::start("canary").await?];
    let ports = upstreams.each_ref().map(|upstream| upstream.address.port());
    Ok((upstreams, ports))
}

async fn weighted() -> Result<(Runnable, [Upstream; 2])> {
    let (upstreams, [stable, canary]) = upstreams().await?;
    Ok((manifest::runnable_of(manifest::ROUTE_WEIGHTS, stable, canary)?, upstreams))
}

/// The same without the filter.
fn bare(manifest: Runnable) -> Result<Runnable> {
    manifest.changed(|bootstrap| {
        let manager = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
        let filters = bootstrap.pointer_mut(&format!("{manager}/http_filters"));
        let filters = filters.and_then(Value::as_array_mut).context("no filters")?;
        filters.retain(|filter| filter["name"] == "envoy.filters.http.router");
        assert_eq!(filters.len(), 1, "only the router is left");
        Ok(())
    })
}

/// Every way for a client to ask for the canary itself.
fn spoofed() -> [Request; 4] {
    let plain = || Request::get("/");
    [
        plain().with("x-split-cluster", "canary"),
        plain().with("X-Split-Cluster", "canary").with("x-split-CLUSTER", "canary"),
        plain().with("x-split-variant", "canary").with("X-SPLIT-VARIANT", "canary"),
        plain().with("x-split-cluster", "canary").with("x-forwarded-for", "10.0.0.1"),
    ]
}

async fn assert_not_spoofed(envoy: &Envoy) -> Result<()> {
    for request in spoofed() {
        let reply = raw::send(envoy.address(manifest::LISTENER)?, &request).await?;
        let seen = reply.seen()?;
        assert_eq!(seen.upstream, "stable", "{request:?}");
        for header in ["x-split-cluster", "x-split-variant"] {
            assert!(seen.all(header).is_empty(), "{request:?}: {seen:?}");
        }
    }
    Ok(())
}

#[test]
fn its_rules_compile() -> Result<()> {
    native::plan(&manifest::configuration()?).map(drop)
}

/// `splitctl/demo.txt` holds what it prints.
#[test]
fn the_demos_command_is_the_one_that_is_tested() -> Result<()> {
    let read = |file| std::fs::read_to_string(wasm_tests::root().join(file));
    let transcript = read("wasm-tests/splitctl/demo.txt")?.replace("../../", "");
    let command = transcript.lines().next().and_then(|line| line.strip_prefix("$ "));
    let command = command.context("no command")?;
    assert!(command.starts_with("sed ") && read("Makefile")?.contains(&format!("\n{command}\n")));
    Ok(())
}

#[tokio::test]
async fn with_the_filter() -> Result<()> {
    let (manifest, _upstreams) = runnable().await?;
    let envoy = serve(manifest).await?;
    assert_not_spoofed(&envoy).await?;
    let request = Request::get("/").with("x-user-group", "beta").with("x-split-cluster", "stable");
    let seen = raw::send(envoy.address(manifest::LISTENER)?, &request).await?.seen()?;
    assert_eq!(seen.upstream, "canary");
    assert_eq!(seen.all("x-split-variant"), [b"canary"]);
    // The clusters' names are not for the upstream.
    assert!(seen.all("x-split-cluster").is_empty(), "{seen:?}");
    Ok(())
}

#[tokio::test]
async fn without_the_filter() -> Result<()> {
    let (manifest, _upstreams) = runnable().await?;
    let envoy = serve(bare(manifest)?).await?;
    assert_not_spoofed(&envoy).await
}

#[tokio::test]
async fn weights_in_the_route_with_the_filter() -> Result<()> {
    let (manifest, _upstreams) = weighted().await?;
    let envoy = serve(manifest).await?;
    let address = envoy.address(manifest::LISTENER)?;
    let reviews = Request::get("/reviews/1");
    let mut canary = 0;
    for user in 0..200 {
        let known = reviews.clone().with("cookie", format!("uid=user-{user}").as_str());
        let home = raw::send(address, &known).await?.seen()?.upstream;
        for sent in ["0", "99"] {
            let seen =
                raw::send(address, &known.clone().with("X-Split-Point", sent)).await?.seen()?;
            assert_eq!(seen.upstream, home, "user {user} sends {sent}");
            assert!(seen.all("x-split-point").is_empty(), "not for the upstream: {seen:?}");
        }
        canary += u32::from(home == "canary");
    }
    // Fixed users: 20 of 200 are due.
    assert!((10..=32).contains(&canary), "{canary}");
    let first = raw::send(address, &reviews).await?;
    let cookie = first.cookies().concat();
    assert!(cookie.starts_with("split-id="), "{cookie}");
    let again = raw::send(address, &reviews.clone().with("cookie", cookie.as_str())).await?;
    assert_eq!(again.upstream(), first.upstream());
    let tester = reviews.with("x-user-group", "beta").with("x-split-point", "0");
    assert_eq!(raw::send(address, &tester).await?.upstream(), Some("canary"));
    assert_eq!(raw::send(address, &Request::get("/")).await?.upstream(), Some("stable"));
    Ok(())
}

/// It goes on splitting, at random, and a client cannot choose. Of 200 requests 20 are due for the
/// canary, and more than 50 come once in 10^9 runs.
#[tokio::test]
async fn weights_in_the_route_without_the_filter() -> Result<()> {
    let (manifest, _upstreams) = weighted().await?;
    let envoy = serve(bare(manifest)?).await?;
    let mut canary = 0;
    for _ in 0..200 {
        let request = Request::get("/reviews/1").with("x-split-point", "99");
        let reply = raw::send(envoy.address(manifest::LISTENER)?, &request).await?;
        canary += u32::from(reply.upstream() == Some("canary"));
    }
    assert!((1..=50).contains(&canary), "{canary}");
    Ok(())
}
