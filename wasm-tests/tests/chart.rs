//! The chart renders what the folders beside it render, and the workflows are what GitHub takes.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};
use wasm_tests::istio::chart;
use wasm_tests::istio::folder::{SETTINGS, resources};
use wasm_tests::istio::tools::Tools;
use wasm_tests::{native, root};

/// Each folder under `manifests/istio`, and the choice of the chart that it is.
const FOLDERS: [(&str, &str, &str); 9] = [
    ("variant-header", "variant-header", "sidecars"),
    ("sidecar", "variant-header", "sidecar"),
    ("gateway", "variant-header", "gateway"),
    ("gateway-api", "variant-header", "gateway-api"),
    ("waypoint", "variant-header", "waypoint"),
    ("cluster-header", "cluster-header", "sidecars"),
    ("route-weights", "route-weights", "sidecars"),
    ("route-weights-gateway", "route-weights", "gateway"),
    ("route-weights-gateway-api", "route-weights", "gateway-api"),
];

/// The values that say what the folders' settings and rules say.
fn values(route: &str, at: &str, rules: &Value) -> Result<Value> {
    let settings = fs::read_to_string(root().join("manifests").join(SETTINGS))?;
    let settings: Value = serde_saphyr::from_str(&settings)?;
    let set = |name: &str| settings["data"][name].clone();
    let port: u16 = set("port").as_str().context("no port")?.parse()?;
    Ok(json!({
        "route": route, "at": at, "image": set("image"), "rules": rules,
        "service": { "host": set("host"), "port": port },
        "variants": [
            { "name": "stable", "labels": { "version": "v1" }, "service": set("stable-service"), "weight": 90 },
            { "name": "canary", "labels": { "version": "v3" }, "service": set("canary-service"), "weight": 10 }
        ],
        "caller": set("caller"), "ingress": set("ingress"), "gateway": set("gateway"),
        "waypoint": set("waypoint"), "hostname": set("hostname"),
        "headers": {
            "variant": set("variant-header"), "cluster": set("cluster-header"), "point": set("point-header")
        }
    }))
}

/// Resources by kind and name, without the namespace: the chart has the release's.
fn by_name(resources: Vec<Value>) -> Result<Map<String, Value>> {
    let mut named = Map::new();
    for mut resource in resources {
        let text = |value: &Value| value.as_str().map(str::to_owned).context("no name");
        let name = format!("{}/{}", text(&resource["kind"])?, text(&resource["metadata"]["name"])?);
        let metadata = resource["metadata"].as_object_mut().context("no metadata")?;
        metadata.remove("namespace");
        ensure!(named.insert(name.clone(), resource).is_none(), "{name} twice");
    }
    Ok(named)
}

#[test]
fn each_choice_renders_the_objects_of_its_folder() -> Result<()> {
    let tools = Tools::install("istio")?;
    let temporary = tempfile::tempdir()?;
    let mut folders = Vec::new();
    for entry in fs::read_dir(root().join("manifests/istio"))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).context("a name")?;
        let is_part = ["components", "plugin", "settings"].contains(&name);
        folders.extend((path.is_dir() && !is_part).then(|| name.to_owned()));
    }
    folders.sort();
    let mut known = FOLDERS.map(|(folder, ..)| folder);
    known.sort_unstable();
    ensure!(folders == known, "the chart has no choice for one of {folders:?}");
    for (folder, route, at) in FOLDERS {
        let path = root().join("manifests/istio").join(folder);
        let path = path.to_str().context("the path is not UTF-8")?;
        let expected = by_name(resources(&tools.run("kubectl", &["kustomize", path])?)?)?;
        let plugin = &expected["WasmPlugin/traffic-split"]["spec"]["pluginConfig"];
        let values = values(route, at, &plugin["rules"])?;
        let rendered = chart::render(&tools, "traffic-split", &values, temporary.path())?;
        let actual = by_name(resources(&rendered)?)?;
        assert!(actual.keys().eq(expected.keys()), "{folder}: {:?}", actual.keys());
        for (name, object) in &expected {
            assert_eq!(actual[name], *object, "{folder}: {name}");
        }
        check(&tools, &rendered, temporary.path()).with_context(|| folder.to_owned())?;
    }
    Ok(())
}

/// Istio and `splitctl` find nothing wrong with what is rendered.
fn check(tools: &Tools, rendered: &str, folder: &Path) -> Result<()> {
    let file = folder.join("rendered.yaml");
    fs::write(&file, rendered)?;
    tools.validate(&file)?;
    wasm_tests::splitctl::check(&file)
}

fn least() -> Value {
    json!({
        "image": "oci://registry.test/split@sha256:1234",
        "service": { "host": "reviews.shop.svc.cluster.local" }
    })
}

#[test]
fn helm_finds_nothing_wrong() -> Result<()> {
    let tools = Tools::install("istio")?;
    let temporary = tempfile::tempdir()?;
    let values = chart::values(&least(), temporary.path())?;
    let chart = chart::folder();
    tools.run("helm", &["lint", "--strict", "--values", &values, &chart])?;
    // The rules that the chart brings are a canary.
    // The longest name that helm takes.
    let name = "a2345678901234567890123456789012345678901234567890123";
    let rendered = chart::render(&tools, name, &least(), temporary.path())?;
    check(&tools, &rendered, temporary.path())?;
    let plugin = by_name(resources(&rendered)?)?.remove(&format!("WasmPlugin/{name}"));
    let plugin = &plugin.context("no plugin")?["spec"]["pluginConfig"];
    native::plan(&plugin.to_string())?;
    Ok(())
}

/// The error names the value, and what it may be.
#[test]
fn a_wrong_value_is_named() -> Result<()> {
    let tools = Tools::install("istio")?;
    let temporary = tempfile::tempdir()?;
    for (changes, said) in [
        (json!({ "image": "" }), "'/image': '' does not match pattern"),
        (
            json!({ "image": "split:1.0" }),
            "'/image': 'split:1.0' does not match pattern '^(oci|https?)://",
        ),
        (
            json!({ "imagePullPolicy": "Never" }),
            "'/imagePullPolicy': value must be one of 'IfNotPresent'",
        ),
        (json!({ "failStrategy": null }), "missing property 'failStrategy'"),
        (json!({ "service": { "host": "" } }), "'/service/host': '' does not match pattern"),
        // A route's name in Envoy has the whole name.
        (
            json!({ "service": { "host": "reviews" } }),
            "'/service/host': 'reviews' does not match pattern",
        ),
        (
            json!({ "service": { "host": "a.b", "port": "9080" } }),
            "'/service/port': got string, want integer",
        ),
        (
            json!({ "service": { "host": "a.b", "port": 0 } }),
            "'/service/port': minimum: got 0, want 1",
        ),
        (json!({ "imagee": "x" }), "'imagee'"),
        (json!({ "at": "sidecar" }), "'/caller': minLength: got 0, want 1"),
        (json!({ "at": "gateway", "hostname": "a.test" }), "'/ingress': minLength: got 0, want 1"),
        (
            json!({ "at": "gateway-api", "gateway": "g", "hostname": "a.test" }),
            "'/variants/0/service': minLength",
        ),
        (json!({ "route": "route-weights" }), "'/rules/0/split': value must be 'route'"),
        (
            json!({ "rules": [ { "name": "r", "split": "route" } ] }),
            "'/rules/0/split': got string, want array or object",
        ),
        (json!({ "rules": "x" }), "'/rules': got string, want array"),
        (json!({ "rules": [ { "name": "r" } ] }), "'/rules/0': missing property 'split'"),
        (json!({ "rules": [ { "to": "a" } ] }), "'/rules/0': missing property 'name'"),
        (
            json!({ "configuration": { "rules": [] } }),
            "configuration.rules: it belongs into the value rules",
        ),
        (
            json!({ "configuration": { "pointHeader": "x" } }),
            "configuration.pointHeader: it belongs into the value headers.point",
        ),
        (
            json!({ "variants": [ { "name": "a", "labels": { "v": "1" } } ] }),
            "'/variants': minItems: got 1, want 2",
        ),
        // Without labels each subset is the whole service.
        (
            json!({ "variants": [ { "name": "a" }, { "name": "b" } ] }),
            "'/variants/0': missing property 'labels'",
        ),
        (
            json!({ "variants": [ { "name": "a", "labels": {} }, { "name": "b" } ] }),
            "'/variants/0/labels': minProperties",
        ),
        // Istio takes no other name of a subset.
        (
            json!({ "variants": [ { "name": "v1.2" }, { "name": "B" } ] }),
            "'/variants/0/name': 'v1.2' does not match pattern",
        ),
        (
            json!({ "headers": { "variant": "X-Split" } }),
            "'/headers/variant': 'X-Split' does not match pattern",
        ),
        (json!({ "vmConfig": "x" }), "'/vmConfig': got string, want object"),
        (json!({ "monitoring": true }), "'/monitoring': got boolean, want object"),
        (
            json!({ "monitoring": { "labels": { "a": 1 } } }),
            "'/monitoring/labels/a': got number, want string",
        ),
    ] {
        let mut values = least();
        for (name, value) in changes.as_object().context("no changes")? {
            values[name] = value.clone();
        }
        let rendered = chart::render(&tools, "reviews", &values, temporary.path());
        let error = rendered.err().with_context(|| format!("{changes} is taken"))?.to_string();
        ensure!(error.contains(said), "{changes}: {error}");
    }
    Ok(())
}

#[test]
fn a_choice_that_no_folder_has_is_refused() -> Result<()> {
    let tools = Tools::install("istio")?;
    let temporary = tempfile::tempdir()?;
    let mut taken = Vec::new();
    for route in ["variant-header", "cluster-header", "route-weights"] {
        for at in ["sidecars", "sidecar", "gateway", "gateway-api", "waypoint"] {
            let split = if route == "route-weights" { json!("route") } else { json!([]) };
            let values = values(route, at, &json!([ { "name": "rollout", "split": split } ]))?;
            match chart::render(&tools, "reviews", &values, temporary.path()) {
                Ok(_) => taken.push((route, at)),
                Err(error) => {
                    ensure!(error.to_string().contains(" at '/at': value must be "), "{error}")
                }
            }
        }
    }
    let mut folders = FOLDERS.map(|(_, route, at)| (route, at)).to_vec();
    folders.sort_unstable();
    taken.sort_unstable();
    assert_eq!(taken, folders);
    Ok(())
}

/// YAML has other things that look like these names, and Helm writes large numbers as `1e+06`.
#[test]
fn a_text_stays_a_text_and_a_number_a_number() -> Result<()> {
    let tools = Tools::install("istio")?;
    let temporary = tempfile::tempdir()?;
    for (_, route, at) in FOLDERS {
        let mut rule = match route {
            "route-weights" => {
                let sticky = json!({ "key": [ { "cookie": "uid" } ] });
                json!({ "name": "1e3", "split": "route", "sticky": sticky })
            }
            _ => json!({ "name": "true", "split": { "1": 999_999, "true": 1_000_000 } }),
        };
        let hostile = json!({ "headers": { "x-a": { "exact": "{{ .Values }}: 'x' \"y\" # z" } } });
        rule["match"] = json!([hostile]);
        let mut values = values(route, at, &json!([rule]))?;
        for (n, (name, weight)) in [("1", 1_000_000), ("true", 999_999)].into_iter().enumerate() {
            values["variants"][n]["name"] = json!(name);
            values["variants"][n]["weight"] = json!(weight);
            values["variants"][n]["service"] = json!(name);
        }
        values["headers"] = json!({ "variant": "on", "cluster": "null", "point": "1e3" });
        // What a user may leave out by `null`.
        for name in ["configuration", "vmConfig"] {
            values[name] = Value::Null;
        }
        values["monitoring"] = json!({ "dashboard": true, "labels": null });
        let rendered = chart::render(&tools, "1e3", &values, temporary.path())?;
        check(&tools, &rendered, temporary.path()).with_context(|| format!("{route} {at}"))?;
        let all = by_name(resources(&rendered)?)?;
        let plugin = &all["WasmPlugin/1e3"]["spec"]["pluginConfig"];
        assert_eq!(plugin["rules"], values["rules"]);
        native::plan(&plugin.to_string())?;
        let routes = all.get("HTTPRoute/1e3").or(all.get("VirtualService/1e3"));
        if let (Some(routes), "route-weights") = (routes, route) {
            ensure!(routes.to_string().contains("\"weight\":1000000}"), "{routes}");
        }
    }
    Ok(())
}

#[test]
fn monitoring_is_what_the_folder_has() -> Result<()> {
    let tools = Tools::install("istio")?;
    let temporary = tempfile::tempdir()?;
    let mut values = least();
    values["monitoring"] =
        json!({ "prometheusRule": true, "dashboard": true, "labels": { "release": "prometheus" } });
    let rendered = chart::render(&tools, "reviews", &values, temporary.path())?;
    let all = by_name(resources(&rendered)?)?;
    let text = |file: &str| fs::read_to_string(root().join("manifests/monitoring").join(file));
    let rule = &all["PrometheusRule/reviews"];
    assert_eq!(rule["spec"], serde_saphyr::from_str::<Value>(&text("rules.yaml")?)?);
    assert_eq!(rule["metadata"]["labels"], json!({ "release": "prometheus" }));
    let dashboard = &all["ConfigMap/reviews-dashboard"];
    assert_eq!(
        dashboard["data"]["traffic-split.json"].as_str(),
        Some(text("dashboard.json")?.trim_end())
    );
    let labels = json!({ "release": "prometheus", "grafana_dashboard": "1" });
    assert_eq!(dashboard["metadata"]["labels"], labels);
    Ok(())
}

/// The archive of a release is one that helm takes, and renders the same.
#[test]
fn the_released_chart_is_this_chart() -> Result<()> {
    let tools = Tools::install("istio")?;
    let temporary = tempfile::tempdir()?;
    let archive = temporary.path().join("chart.tgz");
    fs::write(&archive, dist::chart::archive()?)?;
    let archive = archive.to_str().context("the path is not UTF-8")?;
    let shown = tools.run("helm", &["show", "chart", archive])?;
    let shown: Value = serde_saphyr::from_str(&shown)?;
    for version in ["version", "appVersion"] {
        assert_eq!(shown[version], json!(traffic_split::VERSION), "{version}");
    }
    let values = chart::values(&least(), temporary.path())?;
    let render = |chart: &str| tools.run("helm", &["template", "x", chart, "--values", &values]);
    assert_eq!(render(archive)?, render(&chart::folder())?);
    Ok(())
}

/// What Argo CD would render: the chart with these values, and a folder that is there.
#[test]
fn argo_cds_applications_are_of_what_there_is() -> Result<()> {
    let tools = Tools::install("istio")?;
    let temporary = tempfile::tempdir()?;
    let application = |file: &str| -> Result<Value> {
        let text = fs::read_to_string(root().join("manifests").join(file))?;
        let application: Value = serde_saphyr::from_str(&text)?;
        ensure!(application["kind"] == "Application", "{application}");
        Ok(application["spec"]["source"].clone())
    };
    let source = application("chart/application.yaml")?;
    assert_eq!(source["targetRevision"], traffic_split::VERSION);
    let release = source["helm"]["releaseName"].as_str().context("no name")?;
    let values = &source["helm"]["valuesObject"];
    let rendered = chart::render(&tools, release, values, temporary.path())?;
    check(&tools, &rendered, temporary.path())?;
    let source = application("overlays/application.yaml")?;
    assert_eq!(source["targetRevision"], format!("v{}", traffic_split::VERSION));
    let path = root().join(source["path"].as_str().context("no path")?);
    let path = path.to_str().context("the path is not UTF-8")?;
    let rendered = tools.run("kubectl", &["kustomize", path])?;
    ensure!(resources(&rendered)?.len() > 3, "{rendered}");
    Ok(())
}

#[test]
fn the_workflows_are_what_github_takes() -> Result<()> {
    let tools = Tools::install("actions")?;
    let file = root().join(".github/workflows/release.yml");
    let path = file.to_str().context("the path is not UTF-8")?;
    tools.run("actionlint", &[path])?;
    // So that it can fail.
    let temporary = tempfile::tempdir()?;
    let wrong = temporary.path().join("wrong.yml");
    let text = fs::read_to_string(&file)?;
    ensure!(text.contains("needs: build"), "{text}");
    fs::write(&wrong, text.replace("needs: build", "needs: built"))?;
    let error = tools.run("actionlint", &[wrong.to_str().context("UTF-8")?]).err();
    ensure!(error.is_some_and(|error| error.to_string().contains("built")), "anything is taken");
    // What the workflow runs by make is there.
    let makefile = fs::read_to_string(root().join("Makefile"))?;
    let targets: Vec<_> =
        text.split("run: make ").skip(1).filter_map(|rest| rest.split(' ').next()).collect();
    assert_eq!(targets, ["dist", "verify", "verify", "publish"]);
    assert!(targets.iter().all(|target| makefile.contains(&format!("\n{target}: ##"))));
    Ok(())
}
