//! The wire contract, bit for bit: every vector through the filter in Envoy.

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fs;
use wasm_tests::bootstrap::Listener;
use wasm_tests::client::{Client, Protocol};
use wasm_tests::message::{self, Request};
use wasm_tests::native;
use wasm_tests::scene::Scene;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vector {
    salt: String,
    #[serde(default)]
    history: Vec<Value>,
    weights: Map<String, Value>,
    key: Option<String>,
    key_hex: Option<String>,
    hash: String,
    variant: String,
}

#[derive(Deserialize)]
struct Vectors {
    vectors: Vec<Vector>,
}

impl Vector {
    /// The key as a header: raw bytes where it is no text.
    fn request(&self) -> Result<Request> {
        let hex = || serde_json::from_value(json!({"hex": self.key_hex.as_deref()?})).ok();
        let key = self.key.as_deref().map(message::Value::from).or_else(hex);
        Ok(Request::get("/").with("x-user-id", key.context("no key")?))
    }

    fn configuration(&self) -> String {
        let variant = |name: &String| (name.clone(), json!({"cluster": format!("to-{name}")}));
        let variants: Map<_, _> = self.weights.keys().map(variant).collect();
        json!({
            "clusterHeader": "x-split-cluster",
            "variants": variants,
            "rules": [{
                "name": "rule",
                "split": self.weights,
                "history": self.history,
                "sticky": {"key": [{"header": "x-user-id"}], "salt": self.salt}
            }]
        })
        .to_string()
    }
}

fn read(file: &str) -> Result<Vec<Vector>> {
    let path = wasm_tests::root().join("wasm-tests/vectors").join(file);
    Ok(serde_json::from_slice::<Vectors>(&fs::read(path)?)?.vectors)
}

/// A listener for each salt, history and weights.
async fn agree(file: &str, count: usize) -> Result<()> {
    let vectors = read(file)?;
    assert_eq!(vectors.len(), count);
    let configurations: BTreeSet<_> = vectors.iter().map(Vector::configuration).collect();
    let listeners: Vec<_> = configurations
        .iter()
        .map(|text| Listener::new(&name(text), text))
        .collect::<Result<_>>()?;
    let clusters: BTreeSet<_> =
        vectors.iter().flat_map(|v| v.weights.keys().map(|name| format!("to-{name}"))).collect();
    let scene = Scene::with(&listeners, clusters.iter().map(String::as_str), 1).await?;
    for text in &configurations {
        let address = scene.envoy.address(&name(text))?;
        let plan = native::plan(text)?;
        let mut clients = [
            Client::connect(Protocol::Http1, address).await?,
            Client::connect(Protocol::Http2, address).await?,
        ];
        for vector in vectors.iter().filter(|vector| &vector.configuration() == text) {
            let request = vector.request()?;
            let native = native::variant(&plan, &request);
            assert_eq!(native.as_ref(), Some(&vector.variant), "{} {}", vector.salt, vector.hash);
            for client in &mut clients {
                let reply = client.send(&request).await?;
                let expected = format!("to-{}", vector.variant);
                let reached = reply.upstream();
                assert_eq!(reached, Some(expected.as_str()), "{} {}", vector.salt, vector.hash);
            }
        }
    }
    Ok(())
}

fn name(configuration: &str) -> String {
    configuration.replace(|c: char| !c.is_ascii_alphanumeric(), "_")
}

#[tokio::test]
async fn every_assignment_of_a_split() -> Result<()> {
    agree("split-v1.json", 161).await
}

#[tokio::test]
async fn every_assignment_of_a_history() -> Result<()> {
    agree("history-v1.json", 120).await
}
