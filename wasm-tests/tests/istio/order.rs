//! The order of the plugins of one phase, as istiod sends it.

use crate::steer::reaches;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use wasm_tests::istio::place::Place;
use wasm_tests::wait::eventually;

const FOLDER: &str = "istio/variant-header";

/// A plugin of another team, which sets a header.
fn plugin(place: &Place, name: &str, priority: Option<i32>) -> Value {
    json!({
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": "WasmPlugin",
        "metadata": {"name": name},
        "spec": {
            "url": place.mesh.image,
            "pluginName": name,
            "priority": priority,
            "pluginConfig": {
                "variantHeader": format!("x-{name}"),
                "variants": {"a": {}},
                "rules": [{"name": name, "to": "a"}]
            }
        }
    })
}

/// The names of our plugins among the filters of each connection manager, in their order.
fn chains(dump: &Value, namespace: &str, found: &mut Vec<Vec<String>>) {
    match dump {
        Value::Object(fields) => {
            if let Some(filters) = fields.get("http_filters").and_then(Value::as_array) {
                let names = filters.iter().filter_map(|filter| filter["name"].as_str());
                let start = format!("/{namespace}.");
                // Istio adds `~istio-translated-wasmplugin`.
                let ours = names.filter_map(|name| name.split_once(&start)?.1.split('~').next());
                found.push(ours.map(str::to_owned).collect());
            }
            fields.values().for_each(|value| chains(value, namespace, found));
        }
        Value::Array(list) => list.iter().for_each(|value| chains(value, namespace, found)),
        _ => {}
    }
}

/// A higher number runs first, and a plugin without one counts as having the lowest, which is ours: with
/// equal numbers the older one runs first, and of the same second the one whose name sorts first.
#[tokio::test]
async fn the_plugin_runs_last_before_the_router() -> Result<()> {
    let place = Place::new("order").await?;
    let others = [("ten", Some(10)), ("zero", Some(0)), ("minus", Some(-10)), ("none", None)];
    let others: Vec<_> = others.map(|(name, priority)| plugin(&place, name, priority)).into();
    place.mesh.kubernetes.apply(place.namespace, &others)?;
    place.kubectl(&["apply", "-k", &place.folder.path(FOLDER)])?;
    // Of equals, the older one runs first: this one runs behind.
    place.mesh.kubernetes.apply(place.namespace, &[plugin(&place, "without-and-late", None)])?;
    let (proxy, address) = place.sidecar("productpage").await?;
    let tester = place.request().with("x-user-group", "beta");
    let seen = reaches(address, &tester, "v3").await?.seen()?;
    ensure!(seen.all("x-ten") == [b"a"], "{seen:?}");
    eventually("six plugins", async || {
        let dump: Value = serde_json::from_slice(&proxy.admin("/config_dump").await?)?;
        let mut found = Vec::new();
        chains(&dump, place.namespace, &mut found);
        let chain = found.iter().find(|chain| chain.len() == 6).context("no such chain")?;
        let expected = ["ten", "zero", "minus", "none", "traffic-split", "without-and-late"];
        ensure!(*chain == expected, "{chain:?}");
        Ok(())
    })
    .await
}
