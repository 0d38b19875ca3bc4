//! The buckets of flag engines: every vector, in the native core and through the filter in Envoy.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use traffic_split::{Hashed, Plan};
use wasm_tests::bootstrap::{DEFAULT, Listener};
use wasm_tests::client::{Client, Protocol};
use wasm_tests::message::Request;
use wasm_tests::native;
use wasm_tests::scene::Scene;

#[derive(Deserialize)]
struct Vectors {
    groups: Vec<Group>,
}

/// Settings of an engine, and what it does with keys.
#[derive(Deserialize)]
struct Group {
    engine: Value,
    split: Vec<Map<String, Value>>,
    /// The step whose buckets are recorded.
    step: String,
    cases: Vec<(String, Option<f64>, Option<String>)>,
}

impl Group {
    fn variants(&self) -> impl Iterator<Item = &String> {
        self.split.iter().flat_map(Map::keys)
    }

    fn configuration(&self) -> String {
        let variant = |name: &String| (name.clone(), json!({"cluster": format!("to-{name}")}));
        let variants: Map<_, _> = self.variants().map(variant).collect();
        let sticky = json!({"key": [{"header": "x-user-id"}], "engine": self.engine});
        let rule = json!({"name": "rule", "split": self.split, "sticky": sticky});
        json!({"clusterHeader": "x-split-cluster", "variants": variants, "rules": [rule]})
            .to_string()
    }
}

fn groups() -> Result<Vec<Group>> {
    let vectors: Vectors = serde_json::from_str(include_str!("../vectors/engines.json"))?;
    let count: usize = vectors.groups.iter().map(|group| group.cases.len()).sum();
    ensure!((vectors.groups.len(), count) == (21, 840), "vectors are missing");
    Ok(vectors.groups)
}

fn request(key: &str) -> Request {
    Request::get("/").with("x-user-id", key)
}

fn bucket(plan: &Plan, step: &str, key: &str) -> Option<f64> {
    let hashed = plan.rules()[0].engine()?.hashed(Some(key.as_bytes()));
    hashed.iter().find(|hashed: &&Hashed| hashed.step == step).map(|hashed| hashed.bucket)
}

/// Buckets from 0 to 1 are recorded with twelve decimals.
#[test]
fn every_bucket_and_variant_in_the_native_core() -> Result<()> {
    for group in groups()? {
        let plan = native::plan(&group.configuration())?;
        for (key, recorded, variant) in &group.cases {
            let at = format!("{} {key}", group.engine);
            assert_eq!(native::variant(&plan, &request(key)), *variant, "{at}");
            if let Some(recorded) = recorded {
                let bucket = bucket(&plan, &group.step, key).with_context(|| at.clone())?;
                assert!((bucket - recorded).abs() < 1e-11, "{at}: {bucket}, not {recorded}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn every_variant_in_envoy() -> Result<()> {
    let groups = groups()?;
    let listener = |(index, group): (usize, &Group)| {
        Listener::new(&format!("engine-{index}"), &group.configuration())
    };
    let listeners: Vec<_> = groups.iter().enumerate().map(listener).collect::<Result<_>>()?;
    let clusters: BTreeSet<_> =
        groups.iter().flat_map(|group| group.variants().map(|name| format!("to-{name}"))).collect();
    let scene = Scene::with(&listeners, clusters.iter().map(String::as_str), 1).await?;
    for (index, group) in groups.iter().enumerate() {
        let address = scene.envoy.address(&format!("engine-{index}"))?;
        let mut client = Client::connect(Protocol::Http2, address).await?;
        for (key, _, variant) in &group.cases {
            let reply = client.send(&request(key)).await?;
            let expected = variant.as_ref().map_or(DEFAULT.into(), |name| format!("to-{name}"));
            assert_eq!(reply.upstream(), Some(expected.as_str()), "{} {key}", group.engine);
        }
    }
    Ok(())
}
