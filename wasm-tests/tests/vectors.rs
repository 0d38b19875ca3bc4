//! The wire contract, bit for bit: every vector through the filter in Envoy.

use anyhow::{Context, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fs;
use wasm_tests::bootstrap::{Listener, POINT_HEADER};
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
struct Vectors<T> {
    vectors: Vec<T>,
}

/// The point of a key.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Point {
    salt: String,
    key: Option<String>,
    key_hex: Option<String>,
    point: String,
    of90and10: String,
    of1and1and1: String,
}

impl Point {
    /// The clusters of a route with weights, and the one among them that takes the point.
    fn routes(&self) -> [(&'static str, &[u32], &str); 2] {
        [("/two", &[90, 10], &self.of90and10), ("/three", &[1, 1, 1], &self.of1and1and1)]
    }
}

/// A request with this key as a header: raw bytes where it is no text.
fn with_key(path: &str, key: Option<&str>, hex: Option<&str>) -> Result<Request> {
    let hex = || serde_json::from_value(json!({"hex": hex?})).ok();
    let key = key.map(message::Value::from).or_else(hex);
    Ok(Request::get(path).with("x-user-id", key.context("no key")?))
}

impl Vector {
    fn request(&self) -> Result<Request> {
        with_key("/", self.key.as_deref(), self.key_hex.as_deref())
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

fn read<T: DeserializeOwned>(file: &str) -> Result<Vec<T>> {
    let path = wasm_tests::root().join("wasm-tests/vectors").join(file);
    Ok(serde_json::from_slice::<Vectors<T>>(&fs::read(path)?)?.vectors)
}

/// A listener for each salt, history and weights.
async fn agree(file: &str, count: usize) -> Result<()> {
    let vectors: Vec<Vector> = read(file)?;
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

/// The point as the upstream gets it, and the cluster that Envoy takes by it.
#[tokio::test]
async fn every_point_of_a_route() -> Result<()> {
    let points: Vec<Point> = read("point-v1.json")?;
    assert_eq!(points.len(), 60);
    let configuration = |salt: &str| {
        json!({"pointHeader": POINT_HEADER, "rules": [{
            "name": "rule", "split": "route",
            "sticky": {"key": [{"header": "x-user-id"}], "salt": salt}
        }]})
    };
    let salts: BTreeSet<_> = points.iter().map(|point| point.salt.as_str()).collect();
    let weighted = |(path, weights, _): &(&str, &[u32], &str)| {
        let named = ["a", "b", "c"].into_iter().zip(*weights);
        let clusters: Vec<_> =
            named.map(|(name, weight)| json!({"name": name, "weight": weight})).collect();
        let route = json!({"clusters": clusters, "header_name": POINT_HEADER});
        json!({"match": {"path": path}, "route": {"weighted_clusters": route}})
    };
    let routes: Vec<_> = points[0].routes().iter().map(weighted).collect();
    let listener = |salt: &&str| {
        let listener = Listener::new(&name(salt), &configuration(salt).to_string())?;
        anyhow::Ok(Listener { routes: json!(routes), ..listener })
    };
    let listeners: Vec<_> = salts.iter().map(listener).collect::<Result<_>>()?;
    let scene = Scene::with(&listeners, ["a", "b", "c"].into_iter(), 1).await?;
    for point in &points {
        let mut client =
            Client::connect(Protocol::Http1, scene.envoy.address(&name(&point.salt))?).await?;
        for (path, _, expected) in point.routes() {
            let request = with_key(path, point.key.as_deref(), point.key_hex.as_deref())?;
            let reply = client.send(&request).await?;
            assert_eq!(reply.seen()?.all(POINT_HEADER), [point.point.as_bytes()], "{}", point.salt);
            assert_eq!(reply.upstream(), Some(expected), "{} {path}", point.salt);
        }
    }
    Ok(())
}
