//! Without `clusterHeader`: the routes match the variant's name.

use anyhow::Result;
use serde_json::json;
use wasm_tests::bootstrap::{self, DEFAULT, Listener};
use wasm_tests::client::{Client, Protocol};
use wasm_tests::envoy::{Envoy, Setup};
use wasm_tests::message::Request;
use wasm_tests::{find, upstream};

#[tokio::test]
async fn routes_follow_the_variant() -> Result<()> {
    let configuration = json!({
        "variantHeader": "x-split-variant",
        "variants": {"canary": {}},
        "rules": [{
            "name": "testers",
            "match": [{"headers": {"x-user-group": {"exact": "beta"}}}],
            "to": "canary"
        }]
    });
    let mut listener = Listener::new("variants", &configuration.to_string())?;
    let matched = json!({"name": "x-split-variant", "string_match": {"exact": "canary"}});
    listener.routes = json!([
        {"match": {"prefix": "/", "headers": [matched]}, "route": {"cluster": "canary"}},
        {"match": {"prefix": "/"}, "route": {"cluster": DEFAULT}}
    ]);
    let upstreams = upstream::start([DEFAULT, "canary"]).await?;
    let bootstrap = bootstrap::bootstrap(&[listener], &upstreams);
    let setup = Setup { bootstrap, concurrency: 1, listeners: 1, folder: None };
    let envoy = Envoy::start(&find::launcher()?, setup).await?;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let mut client = Client::connect(protocol, envoy.address("variants")?).await?;
        let tester = Request::get("/").with("x-user-group", "beta");
        assert_eq!(client.send(&tester).await?.upstream(), Some("canary"));
        let spoofed = Request::get("/").with("x-split-variant", "canary");
        let reply = client.send(&spoofed).await?;
        assert_eq!(reply.upstream(), Some(DEFAULT));
        assert!(reply.seen()?.all("x-split-variant").is_empty());
    }
    Ok(())
}
