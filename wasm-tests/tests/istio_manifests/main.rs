//! Every manifest, without a mesh: rendered, validated and analysed by Istio, compiled by the core.

mod pipelines;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::fs;
use std::process::Command;
use wasm_tests::istio::folder::{Folder, resources};
use wasm_tests::istio::tools::Tools;
use wasm_tests::{native, root};

/// The folders that can be rendered, by their path under `manifests/`.
fn folders() -> Result<Vec<String>> {
    let manifests = root().join("manifests");
    let mut open = vec![manifests.clone()];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.ends_with("kustomization.yaml")
                && fs::read_to_string(&path)?.contains("\nkind: Kustomization\n")
            {
                found.push(folder.strip_prefix(&manifests)?.display().to_string());
            }
        }
    }
    Ok(found)
}

#[test]
fn every_folder_renders_and_istio_finds_nothing_wrong() -> Result<()> {
    let tools = Tools::install("istio")?;
    let temporary = tempfile::tempdir()?;
    let folder = Folder::copy(&temporary.path().join("manifests"))?;
    let folders = folders()?;
    let mut overlays = 0;
    ensure!(folders.len() > 6, "only {folders:?}");
    for name in &folders {
        let rendered = tools.run("kubectl", &["kustomize", &folder.path(name)])?;
        // What the others read, and never apply.
        if name == "istio/settings" {
            continue;
        }
        ensure!(!rendered.contains("set-in-settings"), "{name}: a setting is missing\n{rendered}");
        let is_overlay = name.starts_with("overlays/");
        let placeholder = PLACEHOLDERS.iter().find(|text| rendered.contains(*text));
        ensure!(!is_overlay || placeholder.is_none(), "{name}: holds {placeholder:?}\n{rendered}");
        overlays += usize::from(is_overlay);
        route_by_the_plugins_headers(&resources(&rendered)?).with_context(|| name.clone())?;
        let path = temporary.path().join("rendered.yaml");
        fs::write(&path, &rendered)?;
        tools.validate(&path)?;
        let file = path.to_str().context("the path is not UTF-8")?;
        let analysis = tools.run("istioctl", &["analyze", "--use-kube=false", file])?;
        // The one thing to say against an EnvoyFilter is that it is one.
        let warnings = analysis.lines().filter(|line| line.contains("[IST"));
        let other: Vec<_> = warnings.filter(|line| !line.contains("[IST0133]")).collect();
        ensure!(other.is_empty(), "{name}: {other:?}");
        wasm_tests::splitctl::check(&path).with_context(|| name.clone())?;
        let plugins = resources(&rendered)?.into_iter().filter(|each| each["kind"] == "WasmPlugin");
        for plugin in plugins {
            let configuration = plugin["spec"]["pluginConfig"].to_string();
            native::plan(&configuration).with_context(|| format!("{name}: {configuration}"))?;
        }
    }
    ensure!(overlays > 4, "only {overlays} overlays");
    Ok(())
}

/// The texts that stand for a user's own in the folders under `istio`.
const PLACEHOLDERS: [&str; 4] =
    ["set-in-settings", "example.com", "sha256:0000000000", "my-gateway"];

/// Each header that a VirtualService or an HTTPRoute asks for is one that a plugin writes, and early
/// removal knows it.
fn route_by_the_plugins_headers(all: &[Value]) -> Result<()> {
    let of = |kind: &'static str| all.iter().filter(move |each| each["kind"] == kind);
    let written: Vec<_> =
        of("WasmPlugin").map(|each| &each["spec"]["pluginConfig"]["variantHeader"]).collect();
    let by_name = of("VirtualService").flat_map(|each| each["spec"]["http"].as_array()).flatten();
    let by_name = by_name.filter_map(|route| route["match"][0]["headers"].as_object());
    let by_name = by_name.flat_map(|headers| headers.keys().cloned());
    let listed = of("HTTPRoute").flat_map(|each| each["spec"]["rules"].as_array()).flatten();
    let listed = listed.filter_map(|rule| rule["matches"][0]["headers"][0]["name"].as_str());
    let removed: String = of("EnvoyFilter").map(Value::to_string).collect();
    for header in by_name.chain(listed.map(str::to_owned)) {
        ensure!(written.contains(&&json!(header)), "no plugin writes {header}: {written:?}");
        let remove = json!({"remove": header}).to_string();
        ensure!(removed.contains(&remove), "nothing removes a client's {header}: {removed}");
    }
    Ok(())
}

/// So that the test of the placeholders can fail.
#[test]
fn a_placeholder_in_an_overlay_is_found() -> Result<()> {
    let tools = Tools::install("istio")?;
    let temporary = tempfile::tempdir()?;
    let folder = Folder::copy(&temporary.path().join("manifests"))?;
    folder.line("overlays/second-team/settings.yaml", "  hostname: ", "shop.example.com")?;
    let rendered = tools.run("kubectl", &["kustomize", &folder.path("overlays/second-team")])?;
    assert!(PLACEHOLDERS.iter().any(|text| rendered.contains(text)), "{rendered}");
    folder.replace("overlays/second-team/kustomization.yaml", "x-checkout-variant", "x-other")?;
    let rendered = tools.run("kubectl", &["kustomize", &folder.path("overlays/second-team")])?;
    let error = route_by_the_plugins_headers(&resources(&rendered)?).expect_err("another header");
    assert!(error.to_string().contains("x-other"), "{error}");
    Ok(())
}

/// The mesh configuration that Istio's installer makes of `mesh.yaml` has the filter's labels, and the
/// access log of `envoy.yaml`, for which `telemetry.yaml` asks.
#[test]
fn the_mesh_takes_the_labels_of_the_metrics_and_the_access_log() -> Result<()> {
    let tools = Tools::install("istio")?;
    let file = root().join("manifests/istio/mesh.yaml");
    let file = file.to_str().context("the path is not UTF-8")?;
    let all = resources(&tools.run("istioctl", &["manifest", "generate", "-f", file])?)?;
    let mesh = |each: &&Value| each["kind"] == "ConfigMap" && each["metadata"]["name"] == "istio";
    let mesh = all.iter().find(mesh).context("no ConfigMap of the mesh")?;
    let mesh: Value = serde_saphyr::from_str(mesh["data"]["mesh"].as_str().context("no text")?)?;
    let tags = &mesh["defaultConfig"]["extraStatTags"];
    ensure!(*tags == json!(["rule", "variant", "reason", "class", "what"]), "{mesh}");
    let provider = &mesh["extensionProviders"][0];
    let log = &wasm_tests::manifest::access_log()?[0]["typed_config"]["log_format"]["json_format"];
    let labels = &provider["envoyFileAccessLog"]["logFormat"]["labels"];
    ensure!(labels.is_object() && labels == log, "a log of its own: {provider}");
    let telemetry = root().join("manifests/istio/telemetry.yaml");
    tools.validate(&telemetry)?;
    let telemetry: Value = serde_saphyr::from_str(&fs::read_to_string(telemetry)?)?;
    let asked = &telemetry["spec"]["accessLogging"][0]["providers"][0]["name"];
    ensure!(asked.is_string() && *asked == provider["name"], "{telemetry}");
    Ok(())
}

/// What `splitctl render` prints for Istio is what Istio takes.
#[test]
fn istio_takes_what_is_rendered() -> Result<()> {
    let tools = Tools::install("istio")?;
    let temporary = tempfile::tempdir()?;
    let splitctl = wasm_tests::splitctl::program()?;
    let source = root().join("manifests/istio/plugin/wasm-plugin.yaml");
    for form in ["wasm-plugin", "envoy-filter"] {
        let mut command = Command::new(&splitctl);
        command.args(["render", "--to", form, "-f"]).arg(&source);
        if form == "wasm-plugin" {
            command.args(["--code", "oci://registry.test/split:1.0"]);
        }
        let output = command.output()?;
        ensure!(output.status.success(), "{output:?}");
        let path = temporary.path().join("rendered.yaml");
        fs::write(&path, output.stdout)?;
        tools.validate(&path)?;
    }
    Ok(())
}

/// So that the first of these can fail.
#[test]
fn istio_does_find_what_is_wrong() -> Result<()> {
    let tools = Tools::install("istio")?;
    let temporary = tempfile::tempdir()?;
    let folder = Folder::copy(&temporary.path().join("manifests"))?;
    folder.replace(
        "istio/components/variant-header/virtual-service.yaml",
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
