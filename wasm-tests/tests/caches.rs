//! A cache in front of the filter: Envoy's own.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use wasm_tests::bootstrap::{self, DEFAULT, Listener, typed};
use wasm_tests::client::{Client, Protocol};
use wasm_tests::envoy::{Envoy, Setup};
use wasm_tests::find;
use wasm_tests::message::{Reply, Request};
use wasm_tests::scene::Scene;
use wasm_tests::upstream::{self, ANSWER_HEADER};

/// Half of the clients each, by an identity that the filter issues.
fn configuration() -> Value {
    json!({
        "clusterHeader": "x-split-cluster",
        "variants": {"stable": {"cluster": "stable"}, "canary": {"cluster": "canary"}},
        "rules": [
            {"name": "testers", "match": [{"headers": {"x-user-group": {"exact": "beta"}}}],
             "to": "canary"},
            {"name": "rollout", "match": [{"path": {"exact": "/"}}],
             "split": {"stable": 50, "canary": 50},
             "sticky": {"issue": {"cookie": "split-id", "maxAge": "30d"}}}
        ]
    })
}

/// An Envoy with a cache, before one with the filter.
struct Site {
    address: SocketAddr,
    _front: Envoy,
    _behind: Scene,
}

/// The filter behind Envoy's cache, which stores what varies by a cookie or by the group. They are two
/// Envoys: a cache asks the upstream by itself, past the filters that follow it in its chain.
async fn cached(configuration: &Value) -> Result<Site> {
    let store = typed(
        "envoy.extensions.http.cache_v2.simple_http_cache.v3.SimpleHttpCacheV2Config",
        json!({}),
    );
    let allowed = json!([{"exact": "cookie"}, {"exact": "x-user-group"}]);
    let cache = json!({"typed_config": store, "allowed_vary_headers": allowed});
    let mut listener = Listener::without_filter("front");
    listener.filters.push(json!({
        "name": "envoy.filters.http.cache_v2",
        "typed_config": typed("envoy.extensions.filters.http.cache_v2.v3.CacheV2Config", cache)
    }));
    let behind = Scene::start(configuration, 1).await?;
    let upstreams = upstream::start([DEFAULT]).await?;
    let mut bootstrap: Value = bootstrap::bootstrap(&[listener], &upstreams).parse()?;
    let port = "/static_resources/clusters/0/load_assignment/endpoints/0/lb_endpoints/0/endpoint\
                /address/socket_address/port_value";
    *bootstrap.pointer_mut(port).context("no port")? = json!(behind.address.port());
    let bootstrap = bootstrap.to_string();
    let setup = Setup { bootstrap, concurrency: 1, listeners: 1, folder: None };
    let front = Envoy::start(&find::launcher()?, setup).await?;
    Ok(Site { address: front.address("front")?, _front: front, _behind: behind })
}

/// A request whose answer a shared cache may store.
fn cacheable(path: &str) -> Request {
    Request::get(path).with(ANSWER_HEADER, "cache-control: public, max-age=600")
}

fn stored(reply: &Reply) -> bool {
    reply.header("age").is_some()
}

/// Clients without cookies; the identities that they are issued.
async fn visits(site: &Site, protocol: Protocol, clients: usize) -> Result<Vec<String>> {
    let mut client = Client::connect(protocol, site.address).await?;
    let mut identities = Vec::new();
    for _ in 0..clients {
        let reply = client.send(&cacheable("/")).await?;
        assert!(!stored(&reply), "{reply:?}");
        assert_eq!(reply.all("cache-control"), ["private, max-age=600"]);
        identities.extend(reply.cookies());
    }
    Ok(identities)
}

#[tokio::test]
async fn a_thousand_clients_without_cookies_get_a_thousand_identities() -> Result<()> {
    let site = cached(&configuration()).await?;
    let mut identities = visits(&site, Protocol::Http1, 500).await?;
    identities.extend(visits(&site, Protocol::Http2, 500).await?);
    assert_eq!(identities.into_iter().collect::<BTreeSet<_>>().len(), 1000);
    Ok(())
}

/// The cache does store what it may: else the test before could not fail.
#[tokio::test]
async fn whoever_knows_better_gets_one_identity_for_all() -> Result<()> {
    let mut configuration = configuration();
    configuration["private"] = json!(false);
    let site = cached(&configuration).await?;
    let mut client = Client::connect(Protocol::Http1, site.address).await?;
    let first = client.send(&cacheable("/")).await?;
    for _ in 0..20 {
        let reply = client.send(&cacheable("/")).await?;
        assert!(stored(&reply));
        assert_eq!(reply.cookies(), first.cookies());
    }
    Ok(())
}

#[tokio::test]
async fn an_assignment_that_is_kept_in_a_cookie_is_nobody_elses() -> Result<()> {
    let mut configuration = configuration();
    configuration["rules"][1] = json!({
        "name": "rollout", "split": {"stable": 50, "canary": 50},
        "persist": {"cookie": "kept", "maxAge": "1h"}
    });
    let site = cached(&configuration).await?;
    // 2^-39 that all go to one of the two.
    let kept: BTreeSet<_> = visits(&site, Protocol::Http1, 40).await?.into_iter().collect();
    assert_eq!(kept, ["kept=canary", "kept=stable"].map(str::to_owned).into());
    Ok(())
}

/// A response without a cookie of the filter is cached as the upstream wants it.
#[tokio::test]
async fn a_response_without_a_cookie_stays_as_it_is() -> Result<()> {
    let site = cached(&configuration()).await?;
    let mut client = Client::connect(Protocol::Http1, site.address).await?;
    let request = cacheable("/static").with(ANSWER_HEADER, "cdn-cache-control: max-age=60");
    for age in [false, true] {
        let reply = client.send(&request).await?;
        assert_eq!(reply.all("cache-control"), ["public, max-age=600"]);
        assert_eq!(reply.all("cdn-cache-control"), ["max-age=60"]);
        assert!(reply.all("vary").is_empty());
        assert_eq!(stored(&reply), age);
    }
    Ok(())
}

#[tokio::test]
async fn headers_that_a_delivery_network_goes_by_are_private_too() -> Result<()> {
    let site = cached(&configuration()).await?;
    let mut client = Client::connect(Protocol::Http2, site.address).await?;
    let request = Request::get("/")
        .with(ANSWER_HEADER, "cache-control: max-age=60")
        .with(ANSWER_HEADER, "cache-control: s-maxage=600")
        .with(ANSWER_HEADER, "cdn-cache-control: max-age=600")
        .with(ANSWER_HEADER, "surrogate-control: max-age=600");
    let reply = client.send(&request).await?;
    assert_eq!(reply.all("cache-control"), ["private, max-age=60"]);
    assert!(reply.all("cdn-cache-control").is_empty() && reply.all("surrogate-control").is_empty());
    let request = Request::get("/").with(ANSWER_HEADER, "cache-control: no-store");
    assert_eq!(client.send(&request).await?.all("cache-control"), ["no-store"]);
    Ok(())
}

/// The upstream that answers each group.
async fn groups(site: &Site) -> Result<Vec<String>> {
    let mut answers = Vec::new();
    let mut client = Client::connect(Protocol::Http1, site.address).await?;
    for group in ["beta", "none", "beta", "none"] {
        let reply = client.send(&cacheable("/other").with("x-user-group", group)).await?;
        answers.push(reply.upstream().context("no upstream")?.to_owned());
    }
    Ok(answers)
}

#[tokio::test]
async fn a_cache_that_knows_what_rules_look_at_gives_each_group_its_variant() -> Result<()> {
    let mut configuration = configuration();
    let site = cached(&configuration).await?;
    assert_eq!(groups(&site).await?, ["canary"; 4], "without vary all get the first answer");
    configuration["vary"] = json!(true);
    let site = cached(&configuration).await?;
    assert_eq!(groups(&site).await?, ["canary", "default", "canary", "default"]);
    Ok(())
}

/// A variant, the other one and Envoy's own route name the same headers.
#[tokio::test]
async fn every_response_says_what_rules_look_at() -> Result<()> {
    let mut configuration = configuration();
    configuration["vary"] = json!(true);
    let scene = Scene::start(&configuration, 1).await?;
    let identity = "split-id=FXxKf7l5N54AAAAAAAAAAA";
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let mut client = Client::connect(protocol, scene.address).await?;
        for request in [
            cacheable("/a").with("x-user-group", "beta"),
            cacheable("/b"),
            cacheable("/").with("cookie", identity),
            cacheable("/"),
        ] {
            assert_eq!(client.send(&request).await?.all("vary"), ["x-user-group, cookie"]);
        }
        for (upstream, expected) in [
            ("vary: Accept-Encoding, Cookie", "Accept-Encoding, Cookie, x-user-group"),
            ("vary: *", "*"),
        ] {
            let reply = client.send(&cacheable("/c").with(ANSWER_HEADER, upstream)).await?;
            assert_eq!(reply.all("vary"), [expected]);
        }
    }
    Ok(())
}
