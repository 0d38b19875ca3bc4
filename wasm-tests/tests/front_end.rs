//! What a response says of its variant to scripts and caches.

use anyhow::Result;
use serde_json::{Value, json};
use wasm_tests::bootstrap::Listener;
use wasm_tests::client::{Client, Protocol};
use wasm_tests::message::Request;
use wasm_tests::scene::Scene;
use wasm_tests::upstream::{ANSWER, ANSWER_HEADER};

/// A filter that sends what begins with `prefix` to `variant`, by routing headers of this kind.
fn plugin(kind: &str, prefix: &str, variant: &str) -> Value {
    json!({
        "clusterHeader": format!("x-{kind}-cluster"),
        "responseHeader": "x-split-variant",
        "serverTiming": true,
        "variants": {"stable": {"cluster": "stable"}, "canary": {"cluster": "canary"},
                     "gone": {"cluster": "gone"}},
        "rules": [{"name": format!("rule{}", prefix.replace('/', "-")),
                   "match": [{"path": {"prefix": prefix}}], "to": variant}]
    })
}

async fn scene(plugins: &[(&str, &Value)]) -> Result<Scene> {
    let mut listener = Listener::without_filter("scene");
    for (name, configuration) in plugins {
        listener.filters.extend(Listener::new(name, &configuration.to_string())?.filters);
    }
    Scene::with(&[listener], ["stable", "canary"].into_iter(), 1).await
}

/// The variants in the response header, and the metrics of `Server-Timing`, over both protocols.
async fn told(scene: &Scene, request: &Request) -> Result<(Vec<String>, Vec<String>)> {
    let mut told = Vec::new();
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let mut client = Client::connect(protocol, scene.address).await?;
        let reply = client.send(request).await?;
        told.push((reply.all("x-split-variant"), reply.all("server-timing")));
    }
    assert_eq!(told[0], told[1]);
    Ok(told.swap_remove(0))
}

fn both(variant: &str, rule: &str) -> (Vec<String>, Vec<String>) {
    (vec![variant.into()], vec![format!("split.{rule};desc=\"{variant}\"")])
}

#[tokio::test]
async fn a_response_names_its_variant() -> Result<()> {
    let scene = scene(&[("a", &plugin("split", "/a", "canary"))]).await?;
    assert_eq!(told(&scene, &Request::get("/a")).await?, both("canary", "rule-a"));
    assert_eq!(told(&scene, &Request::get("/other")).await?, (vec![], vec![]));
    // An upstream that echoes, or times itself.
    let echo = Request::get("/a")
        .with(ANSWER_HEADER, "x-split-variant: stable")
        .with(ANSWER_HEADER, "server-timing: db;dur=5");
    let (variants, mut timing) = told(&scene, &echo).await?;
    timing.sort();
    assert_eq!(variants, ["canary"]);
    assert_eq!(timing, ["db;dur=5", "split.rule-a;desc=\"canary\""]);
    let failed = Request::get("/a").with(ANSWER, "503");
    assert_eq!(told(&scene, &failed).await?, both("canary", "rule-a"));
    Ok(())
}

#[tokio::test]
async fn a_response_of_envoys_own_names_the_variant_that_did_not_answer() -> Result<()> {
    let scene = scene(&[("a", &plugin("split", "/", "gone"))]).await?;
    assert_eq!(told(&scene, &Request::get("/")).await?, both("gone", "rule-"));
    Ok(())
}

/// Of two filters that route by one header, the later one decides. Of two with their own, both do.
#[tokio::test]
async fn in_a_chain_each_decision_that_stands_is_told() -> Result<()> {
    let (all, a) = (plugin("split", "/", "stable"), plugin("split", "/a", "canary"));
    let undone = scene(&[("all", &all), ("a", &a)]).await?;
    assert_eq!(told(&undone, &Request::get("/a")).await?, both("canary", "rule-a"));
    assert_eq!(told(&undone, &Request::get("/")).await?, both("stable", "rule-"));
    let other = plugin("other", "/a", "canary");
    let beside = scene(&[("all", &all), ("other", &other)]).await?;
    let (variants, mut timing) = told(&beside, &Request::get("/a")).await?;
    timing.sort();
    assert_eq!(variants, ["stable"], "the first filter is the last to see a response");
    assert_eq!(timing, ["split.rule-;desc=\"stable\"", "split.rule-a;desc=\"canary\""]);
    Ok(())
}
