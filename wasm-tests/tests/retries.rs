//! A request that Envoy tries again: at the variant that was chosen, or elsewhere if the cluster says
//! so.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use wasm_tests::bootstrap::{self, CLUSTER_HEADER, DEFAULT, Listener};
use wasm_tests::client::{Client, Protocol};
use wasm_tests::envoy::{Envoy, Setup};
use wasm_tests::message::Request;
use wasm_tests::upstream::{self, Upstream};
use wasm_tests::{find, readme};

/// Everyone goes to the canary, which is this cluster.
fn configuration(cluster: &str) -> Value {
    json!({
        "clusterHeader": "x-split-cluster",
        "variantHeader": "x-split-variant",
        "debugHeader": "x-split-debug",
        "metrics": "full",
        "variants": {"canary": {"cluster": cluster}},
        "rules": [{"name": "all", "to": "canary"}]
    })
}

/// An Envoy that tries a failed request once more, by this policy, and a canary that always fails.
async fn start(
    cluster: &str,
    policy: &Value,
    more: &[Value],
) -> Result<(Envoy, BTreeMap<String, Upstream>)> {
    let mut listener = Listener::new("retries", &configuration(cluster).to_string())?;
    listener.routes = json!([{
        "match": {"prefix": "/"},
        "route": {"cluster_header": CLUSTER_HEADER, "retry_policy": policy}
    }]);
    let upstreams = upstream::start([DEFAULT, "canary", "stable"]).await?;
    upstreams["canary"].fail(100);
    let mut bootstrap: Value =
        serde_json::from_str(&bootstrap::bootstrap(&[listener], &upstreams))?;
    let clusters = bootstrap["static_resources"]["clusters"].as_array_mut();
    clusters.context("no clusters")?.extend(more.iter().cloned());
    let bootstrap = bootstrap.to_string();
    let setup = Setup { bootstrap, concurrency: 1, listeners: 1, folder: None };
    Ok((Envoy::start(&find::launcher()?, setup).await?, upstreams))
}

#[tokio::test]
async fn a_retry_stays_at_the_cluster_of_the_chosen_variant() -> Result<()> {
    let policy = json!({"retry_on": "5xx", "num_retries": 1});
    let (envoy, upstreams) = start("canary", &policy, &[]).await?;
    for (protocol, tries) in [(Protocol::Http1, 2), (Protocol::Http2, 4)] {
        let mut client = Client::connect(protocol, envoy.address("retries")?).await?;
        assert_eq!(client.send(&Request::get("/")).await?.status, 503);
        assert_eq!(upstreams["canary"].count(), tries);
    }
    assert_eq!(upstreams["stable"].count() + upstreams[DEFAULT].count(), 0);
    Ok(())
}

/// The reference has the cluster and the policy.
#[tokio::test]
async fn an_aggregate_cluster_takes_a_retry_to_another_variant() -> Result<()> {
    let blocks = readme::blocks("yaml")?;
    let block = blocks.iter().find(|block| block.contains("envoy.clusters.aggregate"));
    let parts: Value = serde_saphyr::from_str(block.context("not in the reference")?)?;
    let cluster = parts["clusters"][0].clone();
    let name = cluster["name"].as_str().context("no name")?.to_owned();
    let (envoy, upstreams) = start(&name, &parts["retry_policy"], &[cluster]).await?;
    for (protocol, tries) in [(Protocol::Http1, 1), (Protocol::Http2, 2)] {
        let mut client = Client::connect(protocol, envoy.address("retries")?).await?;
        let reply = client.send(&Request::get("/")).await?;
        assert_eq!((reply.status, reply.upstream()), (200, Some("stable")));
        // The filter decided once, and both upstreams see that decision.
        assert_eq!(reply.header("x-split-debug"), Some("rule=all; variant=canary; reason=pinned"));
        assert_eq!(reply.seen()?.all("x-split-variant"), [b"canary"]);
        assert_eq!([upstreams["canary"].count(), upstreams["stable"].count()], [tries; 2]);
    }
    // What the client got is counted, not the tries before it.
    let metrics = envoy.prometheus().await?;
    let counted = |class: &str| {
        let name = "tsplit_responses_total{rule=\"all\",variant=\"canary\",class=";
        metrics.get(&format!("{name}\"{class}\"}}")).copied().unwrap_or_default()
    };
    assert_eq!([counted("2xx"), counted("5xx"), counted("reset")], [2.0, 0.0, 0.0]);
    // A canary that works gets its requests itself.
    upstreams["canary"].fail(0);
    let mut client = Client::connect(Protocol::Http1, envoy.address("retries")?).await?;
    for _ in 0..20 {
        assert_eq!(client.send(&Request::get("/")).await?.upstream(), Some("canary"));
    }
    Ok(())
}
