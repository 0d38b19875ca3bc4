//! Istio's newer resource for plugins.

use crate::steer;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use wasm_tests::istio::folder::resources;
use wasm_tests::istio::place::Place;
use wasm_tests::istio::proxy::Proxy;

const FOLDER: &str = "istio/variant-header";

/// The same plugin as a `TrafficExtension`: the module's part of the fields is one level down.
fn extension(plugin: &Value) -> Result<Value> {
    let mut spec = plugin["spec"].as_object().context("no spec")?.clone();
    let module = [
        "url",
        "sha256",
        "imagePullPolicy",
        "pluginName",
        "type",
        "failStrategy",
        "vmConfig",
        "pluginConfig",
    ];
    let moved = module.map(|field| Some((field.to_owned(), spec.remove(field)?)));
    // Of these, one has another name.
    ensure!(spec.insert("phase".into(), json!("UNSPECIFIED")) == Some(json!("UNSPECIFIED_PHASE")));
    spec.insert("wasm".into(), Value::Object(moved.into_iter().flatten().collect()));
    Ok(json!({
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": "TrafficExtension",
        "metadata": plugin["metadata"],
        "spec": spec
    }))
}

async fn name(proxy: &Proxy) -> Result<String> {
    proxy.plugin(|_| true).await?;
    let plugins = proxy.plugins().await?;
    ensure!(plugins.len() == 1, "{plugins:?}");
    Ok(plugins[0]["config"]["name"].as_str().context("no name")?.to_owned())
}

/// Istio names a plugin otherwise when it comes as a `TrafficExtension`; the users stay where they
/// are.
#[tokio::test]
async fn a_traffic_extension_steers_alike_under_another_name() -> Result<()> {
    let place = Place::new("extension").await?;
    place.kubectl(&["apply", "-k", &place.folder.path(FOLDER)])?;
    let plan = steer::plan(&place, FOLDER)?;
    let rendered = place.kubectl(&["kustomize", &place.folder.path(FOLDER)])?;
    let all = resources(&rendered)?;
    let plugin = all.iter().find(|each| each["kind"] == "WasmPlugin").context("no plugin")?;
    let as_plugin = {
        let (proxy, address) = place.sidecar("productpage").await?;
        let name = name(&proxy).await?;
        steer::steers(address, &place.request(), &plan).await?;
        name
    };
    place.kubectl(&["delete", "wasmplugin", "traffic-split"])?;
    place.mesh.kubernetes.apply(place.namespace, &[extension(plugin)?])?;
    let (proxy, address) = place.sidecar("productpage").await?;
    let as_extension = name(&proxy).await?;
    ensure!(as_plugin != as_extension, "both are {as_plugin}");
    steer::steers(address, &place.request(), &plan).await
}
