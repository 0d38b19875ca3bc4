//! A split without a key: drawn anew for every request, by every worker and every start apart.

use anyhow::Result;
use serde_json::{Value, json};
use wasm_tests::client::{Client, Protocol};
use wasm_tests::load::{self, counts, standard_errors};
use wasm_tests::message::Request;
use wasm_tests::scene::Scene;

fn configuration(stable: f64, canary: f64) -> Value {
    json!({
        "clusterHeader": "x-split-cluster",
        "variants": {"stable": {"cluster": "stable"}, "canary": {"cluster": "canary"}},
        "rules": [{
            "name": "sample",
            "split": {"stable": stable, "canary": canary},
            "sticky": {"key": [{"cookie": "uid"}]}
        }]
    })
}

/// Beyond 5 standard errors by chance: once in 1.7 million runs.
#[tokio::test]
async fn ten_thousand_requests_fall_within_5_standard_errors() -> Result<()> {
    let scene = Scene::start(&configuration(90.0, 10.0), 2).await?;
    // No cookie, an empty one and blanks alike are no key.
    let request = |n: usize| match n % 3 {
        0 => Request::get("/"),
        1 => Request::get("/").with("cookie", "uid="),
        _ => Request::get("/").with("cookie", "uid= ; a=b"),
    };
    let requests = (0..10_000).map(request).collect();
    let reached = load::send(Protocol::Http1, scene.address, 8, requests).await?;
    let canary = counts(&reached).get("canary").copied().unwrap_or_default();
    let off = standard_errors(canary, reached.len(), 0.1);
    assert!(off.abs() <= 5.0, "canary: {canary}, {off:+.2} standard errors off");
    Ok(())
}

/// Equal by chance: 6 pairs of sequences of 128 even draws, once in 10^37 runs.
#[tokio::test]
async fn no_two_workers_and_no_two_starts_draw_alike() -> Result<()> {
    let mut sequences = Vec::new();
    for _ in 0..2 {
        let scene = Scene::start(&configuration(1.0, 1.0), 2).await?;
        // Both stay open: each has a worker of its own.
        let mut clients = [
            Client::connect(Protocol::Http1, scene.address).await?,
            Client::connect(Protocol::Http1, scene.address).await?,
        ];
        for client in &mut clients {
            let mut sequence = String::new();
            for _ in 0..128 {
                let reply = client.send(&Request::get("/")).await?;
                sequence.push_str(reply.upstream().unwrap_or("none ").get(..1).unwrap_or_default());
            }
            assert!(sequence.contains('s') && sequence.contains('c'), "{sequence}");
            sequences.push(sequence);
        }
        assert_eq!(scene.connections().await?, [1, 1]);
    }
    let drawn = sequences.clone();
    sequences.sort_unstable();
    sequences.dedup();
    assert_eq!(sequences.len(), drawn.len(), "{drawn:#?}");
    Ok(())
}
