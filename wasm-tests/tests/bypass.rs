//! A client's own routing headers do nothing if the filter is gone.

use anyhow::Result;
use wasm_tests::bootstrap::{self, Listener};
use wasm_tests::envoy::{Envoy, Setup};
use wasm_tests::message::Request;
use wasm_tests::{find, raw, upstream};

#[tokio::test]
async fn stripped_before_routing() -> Result<()> {
    let upstreams = upstream::start(["default", "canary"]).await?;
    let open = Listener::without_filter("open");
    let mut stripped = Listener::without_filter("stripped");
    stripped.strip = vec!["x-split-cluster".into(), "x-split-variant".into()];
    let bootstrap = bootstrap::bootstrap(&[open, stripped], &upstreams);
    let setup = Setup { bootstrap, concurrency: 1, listeners: 2, folder: None };
    let envoy = Envoy::start(&find::launcher()?, setup).await?;

    let request = Request::get("/")
        .with("X-Split-Cluster", "canary")
        .with("x-split-CLUSTER", "canary")
        .with("X-SPLIT-variant", "canary");
    // The test could not fail if the header did not choose the cluster of itself.
    let one = Request::get("/").with("X-Split-Cluster", "canary");
    let reply = raw::send(envoy.address("open")?, &one).await?;
    assert_eq!(reply.upstream(), Some("canary"));

    let reply = raw::send(envoy.address("stripped")?, &request).await?;
    let seen = reply.seen()?;
    assert_eq!(seen.upstream, "default");
    assert!(seen.all("x-split-cluster").is_empty(), "{seen:?}");
    assert!(seen.all("x-split-variant").is_empty(), "{seen:?}");
    Ok(())
}
