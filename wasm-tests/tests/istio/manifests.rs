//! Every manifest, without a mesh: rendered, validated and analysed by Istio, compiled by the core.

use anyhow::{Context, Result, ensure};
use std::fs;
use wasm_tests::istio::folder::{Folder, resources};
use wasm_tests::istio::tools::Tools;
use wasm_tests::native;

const FOLDERS: [&str; 6] = [
    "istio/variant-header",
    "istio/cluster-header",
    "istio/gateway",
    "istio/sidecar",
    "istio/waypoint",
    "bookinfo",
];

#[test]
fn every_folder_renders_and_istio_finds_nothing_wrong() -> Result<()> {
    let tools = Tools::for_manifests()?;
    let temporary = tempfile::tempdir()?;
    let folder = Folder::copy(&temporary.path().join("manifests"))?;
    for name in FOLDERS {
        let rendered = tools.run("kubectl", &["kustomize", &folder.path(name)])?;
        ensure!(!rendered.contains("set-in-settings"), "{name}: a setting is missing\n{rendered}");
        let path = temporary.path().join("rendered.yaml");
        fs::write(&path, &rendered)?;
        let path = path.to_str().context("the path is not UTF-8")?;
        tools.run("istioctl", &["validate", "-f", path])?;
        let analysis = tools.run("istioctl", &["analyze", "--use-kube=false", path])?;
        // The one thing to say against an EnvoyFilter is that it is one.
        let warnings = analysis.lines().filter(|line| line.contains("[IST"));
        let other: Vec<_> = warnings.filter(|line| !line.contains("[IST0133]")).collect();
        ensure!(other.is_empty(), "{name}: {other:?}");
        let plugins = resources(&rendered)?.into_iter().filter(|each| each["kind"] == "WasmPlugin");
        for plugin in plugins {
            let configuration = plugin["spec"]["pluginConfig"].to_string();
            native::plan(&configuration).with_context(|| format!("{name}: {configuration}"))?;
        }
    }
    Ok(())
}

/// So that the test above can fail.
#[test]
fn istio_does_find_what_is_wrong() -> Result<()> {
    let tools = Tools::for_manifests()?;
    let temporary = tempfile::tempdir()?;
    let folder = Folder::copy(&temporary.path().join("manifests"))?;
    folder.replace(
        "istio/variant-header/virtual-service.yaml",
        "subset: canary",
        "subset: canry",
    )?;
    let rendered = tools.run("kubectl", &["kustomize", &folder.path("istio/variant-header")])?;
    let path = temporary.path().join("rendered.yaml");
    fs::write(&path, rendered)?;
    let path = path.to_str().context("the path is not UTF-8")?;
    let analysis = tools.run("istioctl", &["analyze", "--use-kube=false", path]);
    let error = analysis.expect_err("an unknown subset").to_string();
    assert!(error.contains("IST0101"), "{error}");
    Ok(())
}
