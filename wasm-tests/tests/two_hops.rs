//! Two hops in two Envoys: `manifests/envoy.yaml`, and `manifests/inner-hop.yaml` behind it, which
//! follows the variant that the first one chose.

use anyhow::{Context, Result};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr};
use traffic_split::Plan;
use wasm_tests::client::{Client, Protocol};
use wasm_tests::envoy::Envoy;
use wasm_tests::manifest::Runnable;
use wasm_tests::message::{Reply, Request};
use wasm_tests::upstream::Upstream;
use wasm_tests::{find, manifest, native, raw};

/// An address that the inner hop does not trust; it trusts 127.0.0.1.
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

struct Hops {
    outer: Envoy,
    inner: Envoy,
    /// The rules of the outer hop, and those of the inner one.
    plans: [Plan; 2],
    _upstreams: [Upstream; 2],
}

async fn serve(manifest: Runnable) -> Result<Envoy> {
    Envoy::start(&find::launcher()?, manifest.setup(1)?).await
}

impl Hops {
    /// Starts both; `change` is made to the inner one first.
    async fn start(change: impl Fn(&mut Vec<Value>)) -> Result<Self> {
        let upstreams = [Upstream::start("stable").await?, Upstream::start("canary").await?];
        let [stable, canary] = &upstreams;
        let manifest = manifest::inner_hop(stable.address.port(), canary.address.port())?;
        let mut configuration = Value::Null;
        let manifest = manifest.changed(|bootstrap| {
            let filters =
                "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters";
            let filters = bootstrap.pointer_mut(filters).and_then(Value::as_array_mut);
            let filters = filters.context("no filters")?;
            configuration = filters[1]["typed_config"]["config"]["configuration"]["value"].clone();
            change(filters);
            Ok(())
        })?;
        let inner = serve(manifest).await?;
        let port = inner.address(manifest::LISTENER)?.port();
        let outer = serve(manifest::runnable(port, port)?).await?;
        let configuration = configuration.as_str().context("no configuration")?;
        let plans = [native::plan(&manifest::configuration()?)?, native::plan(configuration)?];
        Ok(Self { outer, inner, plans, _upstreams: upstreams })
    }

    async fn to_inner(&self, request: &Request) -> Result<Reply> {
        raw::send(self.inner.address(manifest::LISTENER)?, request).await
    }
}

fn user(number: usize, path: &str) -> Request {
    Request::get(path).with("cookie", format!("uid=user-{number}").as_str())
}

#[tokio::test]
async fn the_inner_hop_follows_the_variant_of_the_outer_one() -> Result<()> {
    let hops = Hops::start(|_| {}).await?;
    let [outer, inner] = &hops.plans;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let mut client = Client::connect(protocol, hops.outer.address(manifest::LISTENER)?).await?;
        let mut would_differ = 0;
        for number in 0..200 {
            let request = user(number, "/reviews/1");
            let chosen = native::variant(outer, &request).context("no variant")?;
            let seen = client.send(&request).await?.seen()?;
            assert_eq!(seen.upstream, chosen, "user {number}");
            assert_eq!(seen.all("x-split-variant"), [chosen.as_bytes()], "user {number}");
            assert!(seen.all("x-split-cluster").is_empty(), "{seen:?}");
            would_differ += usize::from(native::variant(inner, &request) != Some(chosen));
        }
        // By itself the inner hop would have split them in its own way.
        assert!(would_differ > 10, "{would_differ}");
    }
    Ok(())
}

/// A user whom the inner hop's own rule sends to stable.
fn stable_user(plan: &Plan) -> Result<usize> {
    let stable = |number: &usize| {
        native::variant(plan, &user(*number, "/other")).as_deref() == Some("stable")
    };
    (0..100).find(stable).context("nobody is on stable")
}

#[tokio::test]
async fn a_client_that_names_its_variant_is_not_heard_at_the_outer_hop() -> Result<()> {
    let hops = Hops::start(|_| {}).await?;
    let number = stable_user(&hops.plans[1])?;
    for name in ["x-split-variant", "X-Split-Variant", "x-split-cluster"] {
        // No rule of the outer hop is for this path, so the inner one decides by its own.
        let request = user(number, "/other").with(name, "canary").with(name, "canary");
        let reply = raw::send(hops.outer.address(manifest::LISTENER)?, &request).await?;
        let seen = reply.seen()?;
        assert_eq!(seen.upstream, "stable", "{request:?}");
        assert_eq!(seen.all("x-split-variant"), [b"stable"], "{request:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_stranger_that_names_its_variant_is_not_heard_at_the_inner_hop() -> Result<()> {
    let hops = Hops::start(|_| {}).await?;
    let number = stable_user(&hops.plans[1])?;
    let claimed = || user(number, "/other").with("x-split-variant", "canary");
    let trusted = hops.to_inner(&claimed()).await?;
    assert_eq!(trusted.upstream(), Some("canary"), "whom it trusts is heard");
    for request in [
        claimed(),
        claimed().with("X-SPLIT-VARIANT", "canary"),
        claimed().with("x-forwarded-for", "127.0.0.1"),
        claimed().with("x-envoy-internal", "true").with("x-split-cluster", "canary"),
    ] {
        let request = Request { source: Some(STRANGER), ..request };
        let seen = hops.to_inner(&request).await?.seen()?;
        assert_eq!(seen.upstream, "stable", "{request:?}");
        assert_eq!(seen.all("x-split-variant"), [b"stable"], "{request:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_stranger_is_not_heard_while_the_filter_is_gone() -> Result<()> {
    let hops = Hops::start(|filters| {
        filters.retain(|filter| filter["name"] != "envoy.filters.http.wasm");
    })
    .await?;
    let request =
        user(1, "/other").with("x-split-variant", "canary").with("x-split-cluster", "canary");
    let request = Request { source: Some(STRANGER), ..request };
    let seen = hops.to_inner(&request).await?.seen()?;
    assert_eq!(seen.upstream, "stable");
    for header in ["x-split-variant", "x-split-cluster"] {
        assert!(seen.all(header).is_empty(), "{seen:?}");
    }
    Ok(())
}
