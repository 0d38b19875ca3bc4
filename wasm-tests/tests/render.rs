//! `splitctl render`: each form is read again as the same configuration, looks like the manifests, and is
//! taken by a real Envoy.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use traffic_split::VERSION;
use wasm_tests::bootstrap::{self, DEFAULT, Listener};
use wasm_tests::envoy::{self, Envoy, Setup};
use wasm_tests::message::Request;
use wasm_tests::{find, raw, root, splitctl, upstream};

const FORMS: [&str; 6] =
    ["configuration", "wasm-plugin", "envoy-extension-policy", "envoy-filter", "ecds", "bootstrap"];
/// A configuration with testers, a split and a salt.
const REVIEWS: &str = "wasm-tests/splitctl/reviews.yaml";

/// The output of splitctl in the project's folder, which has to be good.
fn run(arguments: &[&str]) -> Result<String> {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let program = match PROGRAM.get() {
        Some(program) => program,
        None => PROGRAM.get_or_init({
            let program = splitctl::program()?;
            || program
        }),
    };
    let output = Command::new(program).current_dir(root()).args(arguments).output()?;
    ensure!(output.status.success(), "{arguments:?}: {output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

fn render(file: &str, form: &str, more: &[&str]) -> Result<String> {
    let has_image = ["wasm-plugin", "envoy-extension-policy"].contains(&form);
    let image = if has_image { &["--code", "oci://registry.test/split:1"][..] } else { &[] };
    run(&[&["render", "-f", file, "--to", form], image, more].concat())
}

fn generation(file: &str) -> Result<u64> {
    let report: Value = serde_json::from_str(&run(&["validate", "-o", "json", "-f", file])?)?;
    let generations = report["configurations"].as_array().context("none")?.iter();
    let all: Vec<_> = generations.filter_map(|found| found["generation"].as_u64()).collect();
    let [one] = all[..] else { anyhow::bail!("{report:#}") };
    Ok(one)
}

#[test]
fn every_form_is_read_again_as_the_same() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("rendered.yaml");
    let path = file.to_str().context("not UTF-8")?;
    for sample in ["every-field", "every-engine", "reviews", "by-route", "rollout", "envoy"] {
        let sample = match sample {
            // The same split in Envoy's own configuration.
            "envoy" => "manifests/traffic-split.yaml".to_owned(),
            name => format!("wasm-tests/splitctl/{name}.yaml"),
        };
        let expected = generation(&sample)?;
        for form in FORMS {
            for language in ["yaml", "json"] {
                std::fs::write(&file, render(&sample, form, &["-o", language])?)?;
                ensure!(generation(path)? == expected, "{sample} as {form} in {language}");
                // And back.
                let back = render(path, "configuration", &[])?;
                ensure!(back == render(&sample, "configuration", &[])?, "{form}: {back}");
            }
        }
    }
    Ok(())
}

/// A file of the manifests.
fn manifest(path: &str) -> Result<Value> {
    Ok(serde_saphyr::from_str(&std::fs::read_to_string(root().join("manifests").join(path))?)?)
}

/// The fields of an object that another one has not.
fn unknown(object: &Value, known: &Value) -> Vec<String> {
    let fields = object.as_object().into_iter().flatten();
    fields.filter(|(name, _)| known.get(name).is_none()).map(|(name, _)| name.clone()).collect()
}

#[test]
fn resources_of_istio_look_like_the_manifests() -> Result<()> {
    let source = "manifests/istio/plugin/wasm-plugin.yaml";
    let known = manifest("istio/plugin/wasm-plugin.yaml")?;
    let more = ["--name", "split", "--namespace", "shop"];
    let plugin: Value = serde_saphyr::from_str(&render(source, "wasm-plugin", &more)?)?;
    assert_eq!(plugin["metadata"], json!({"name": "split", "namespace": "shop"}));
    for field in ["apiVersion", "kind"] {
        assert_eq!(plugin[field], known[field]);
    }
    assert_eq!(unknown(&plugin["spec"], &known["spec"]), [""; 0]);
    for field in ["imagePullPolicy", "type", "failStrategy", "pluginConfig"] {
        assert_eq!(plugin["spec"][field], known["spec"][field], "{field}");
    }
    let known = manifest("istio/components/strip/envoy-filter.yaml")?;
    let filter: Value = serde_saphyr::from_str(&render(source, "envoy-filter", &[])?)?;
    for field in ["apiVersion", "kind"] {
        assert_eq!(filter[field], known[field]);
    }
    let (patch, known) = (&filter["spec"]["configPatches"][0], &known["spec"]["configPatches"][0]);
    assert_eq!(unknown(patch, known), [""; 0]);
    assert_eq!(patch["match"]["context"], known["match"]["context"]);
    let name = |patch: &Value| patch["match"]["listener"]["filterChain"]["filter"]["name"].clone();
    assert_eq!(name(patch), name(known));
    // The filter itself is that of the manifest for Envoy.
    let known = manifest("traffic-split.yaml")?["resources"][0].clone();
    let ours = &patch["patch"]["value"]["typed_config"];
    assert_eq!(ours["@type"], known["typed_config"]["@type"]);
    assert_eq!(unknown(&ours["config"], &known["typed_config"]["config"]), [""; 0]);
    // The manifest's VM has a variable more, for rules that sign.
    let mut vm = known["typed_config"]["config"]["vm_config"].clone();
    vm.as_object_mut().context("no VM")?.remove("environment_variables");
    // There the path is one of the repository.
    vm["code"]["local"]["filename"] = "/etc/envoy/traffic_split.wasm".into();
    assert_eq!(ours["config"]["vm_config"], vm);
    Ok(())
}

/// An Envoy with this filter in its chain.
async fn serve(filter: Value, setup: impl FnOnce(String) -> Setup) -> Result<Served> {
    let mut listener = Listener::without_filter("rendered");
    listener.filters.push(filter);
    let upstreams = upstream::start(["reviews-v1", "reviews-v3", DEFAULT]).await?;
    let envoy =
        Envoy::start(&find::launcher()?, setup(bootstrap::bootstrap([&listener], &upstreams)))
            .await?;
    Ok(Served { envoy, _upstreams: upstreams })
}

struct Served {
    envoy: Envoy,
    _upstreams: std::collections::BTreeMap<String, upstream::Upstream>,
}

impl Served {
    /// Checks that the filter pins a tester, and shows the generation that `splitctl validate` prints.
    async fn check(&self) -> Result<()> {
        let address = self.envoy.address("rendered")?;
        let tester = Request::get("/reviews/1").with("x-user-group", "beta");
        let seen = raw::send(address, &tester).await?.seen()?;
        ensure!(seen.upstream == "reviews-v3", "{seen:?}\n{}", self.envoy.log());
        let expected = generation(REVIEWS)?;
        let rules = "configured: rules testers, rollout";
        let line = format!("{rules}; generation {expected}; version {VERSION}");
        ensure!(self.envoy.log().contains(&line), "no {line}: {}", self.envoy.log());
        let gauges = self.envoy.prometheus().await?;
        let shown = gauges.iter().find(|(name, _)| name.contains("tsplit_config_generation"));
        ensure!(shown.is_some_and(|(_, shown)| *shown == expected as f64), "{shown:?}");
        Ok(())
    }
}

fn module() -> Result<String> {
    Ok(wasm_tests::module()?.to_str().context("not UTF-8")?.to_owned())
}

#[tokio::test]
async fn envoy_discovers_the_file_that_ecds_writes() -> Result<()> {
    let folder = envoy::folder()?;
    let file = folder.path().join("split.yaml");
    std::fs::write(&file, render(REVIEWS, "ecds", &["--code", &module()?])?)?;
    let discovery = |file: &Path| {
        json!({
            "name": "traffic-split",
            "config_discovery": {
                "config_source": {"path_config_source": {"path": file}, "resource_api_version": "V3"},
                "type_urls": ["type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"]
            }
        })
    };
    let filter = discovery(&file);
    let setup = |bootstrap| Setup { bootstrap, concurrency: 1, listeners: 1, folder: Some(folder) };
    serve(filter, setup).await?.check().await
}

#[tokio::test]
async fn envoy_takes_the_string_value_for_a_bootstrap() -> Result<()> {
    let rendered: Value = serde_saphyr::from_str(&render(REVIEWS, "bootstrap", &[])?)?;
    let config = json!({
        "name": "traffic-split",
        "root_id": "traffic-split",
        "vm_config": {
            "runtime": "envoy.wasm.runtime.v8",
            "code": {"local": {"filename": module()?}}
        },
        "configuration": rendered["configuration"]
    });
    let wasm = "envoy.extensions.filters.http.wasm.v3.Wasm";
    let filter = json!({
        "name": "envoy.filters.http.wasm",
        "typed_config": bootstrap::typed(wasm, json!({"config": config}))
    });
    let setup = |bootstrap| Setup { bootstrap, concurrency: 1, listeners: 1, folder: None };
    serve(filter, setup).await?.check().await
}
