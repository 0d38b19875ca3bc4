//! The lists of parts (SBOM), held to what cargo compiles, to `Cargo.lock` and to CycloneDX's schema.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use dist::archive::sha256;
use serde_json::{Value, json};
use traffic_split::VERSION;
use wasm_tests::release::{MACHINES, program};
use wasm_tests::{root, target, wheels};

use crate::document;

fn sboms() -> Result<Vec<(&'static str, Value)>> {
    let module = document(&format!("traffic-split-{VERSION}.wasm.cdx.json"))?;
    let mut all = vec![("wasm32-wasip1", module)];
    for target in MACHINES {
        let machine = target.split('-').next().context("a machine")?;
        all.push((target, document(&format!("splitctl-{VERSION}-{machine}-linux.cdx.json"))?));
    }
    Ok(all)
}

/// The packages that cargo has compiled for `splitctl`, as it tells itself: `NAME-VERSION`.
fn compiled() -> Result<BTreeSet<String>> {
    let cargo = std::env::var_os("CARGO").context("no cargo")?;
    let build = ["build", "--package", "traffic-split", "--bin", "splitctl", "--profile", "test"];
    let output = Command::new(cargo)
        .args(build)
        .args(["--message-format", "json"])
        .current_dir(root())
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut packages = BTreeSet::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let message: Value = serde_json::from_str(line)?;
        let Some(manifest) = message["manifest_path"].as_str() else { continue };
        let folder = Path::new(manifest).parent().context("no folder")?;
        let own = folder == fs::canonicalize(root())?;
        let name = folder.file_name().and_then(|name| name.to_str()).context("no name")?;
        packages.insert(if own { format!("traffic-split-{VERSION}") } else { name.to_owned() });
    }
    Ok(packages)
}

/// Name, version and digest of each package in Cargo.lock.
fn locked() -> Result<BTreeMap<String, String>> {
    let lock = fs::read_to_string(root().join("Cargo.lock"))?;
    let package = |text: &str| {
        let mut values = text.split('"').skip(1).step_by(2);
        let name = format!("{} {}", values.next()?, values.next()?);
        let digest = values.find(|value| value.len() == 64).unwrap_or_default();
        Some((name, digest.to_owned()))
    };
    Ok(lock.split("[[package]]\n").skip(1).filter_map(package).collect())
}

/// The names of the packages that each package in Cargo.lock may ask for.
fn asked() -> Result<BTreeMap<String, BTreeSet<String>>> {
    let lock = fs::read_to_string(root().join("Cargo.lock"))?;
    let package = |text: &str| {
        let mut values = text.split('"').skip(1).step_by(2);
        let name = format!("{}@{}", values.next()?, values.next()?);
        let asked = text.split_once("dependencies = [").map_or("", |(_, asked)| asked);
        // A name, and a version where there are two.
        let names = asked.split('"').skip(1).step_by(2).filter_map(|one| one.split(' ').next());
        Some((name, names.map(str::to_owned).collect()))
    };
    Ok(lock.split("[[package]]\n").skip(1).filter_map(package).collect())
}

/// Nobody asks for a package that Cargo.lock does not have it ask for.
#[test]
fn each_part_asks_for_its_own() -> Result<()> {
    let asked = asked()?;
    for (target, sbom) in sboms()? {
        let mut edges = 0;
        for each in sbom["dependencies"].as_array().context("no graph")? {
            let who = each["ref"].as_str().context("no name")?;
            let who = who.rsplit('/').next().context("no package")?;
            let known = asked.get(who).with_context(|| who.to_owned())?;
            for part in each["dependsOn"].as_array().context("no list")? {
                let Some(part) = part.as_str().and_then(|part| part.strip_prefix("pkg:cargo/"))
                else {
                    continue;
                };
                let name = part.split('@').next().context("no name")?;
                ensure!(known.contains(name), "{target}: {who} asks for {part}");
                edges += 1;
            }
        }
        ensure!(edges > 20, "{target}: {edges} edges");
    }
    Ok(())
}

#[test]
fn the_list_of_parts_has_every_package_that_is_compiled_and_its_digest() -> Result<()> {
    let locked = locked()?;
    for (target, sbom) in sboms()? {
        let root = &sbom["metadata"]["component"];
        let artifact = match target {
            "wasm32-wasip1" => wasm_tests::module()?,
            machine => program(machine),
        };
        let digest = sha256(&fs::read(artifact)?);
        assert_eq!(root["hashes"], json!([{ "alg": "SHA-256", "content": digest }]), "{target}");
        let components = sbom["components"].as_array().context("no components")?;
        let mut listed = BTreeSet::from([format!("traffic-split {VERSION}")]);
        for component in components {
            let purl = component["purl"].as_str().context("no address")?;
            if !purl.starts_with("pkg:cargo/") {
                continue;
            }
            let text = |field: &str| component[field].as_str().unwrap_or_default();
            let name = format!("{} {}", text("name"), text("version"));
            ensure!(purl == format!("pkg:cargo/{}", name.replace(' ', "@")), "{purl}");
            ensure!(
                component["hashes"][0]["content"] == json!(locked.get(&name)),
                "{name}: {component}"
            );
            listed.insert(name);
        }
        ensure!(listed.len() > 20, "{target}: {listed:?}");
        if target == MACHINES[0] {
            let listed = listed.iter().map(|name| name.replace(' ', "-")).collect();
            assert_eq!(compiled()?, listed);
        }

        // Everyone is someone's, and nobody asks for one that is not there.
        let references: BTreeSet<_> =
            components.iter().chain([root]).map(|each| each["bom-ref"].to_string()).collect();
        let asked = sbom["dependencies"].as_array().context("no graph")?;
        let asked: BTreeSet<_> = asked
            .iter()
            .flat_map(|each| each["dependsOn"].as_array().into_iter().flatten())
            .chain([&root["bom-ref"]])
            .map(Value::to_string)
            .collect();
        assert_eq!(asked, references, "{target}");
        let scope = |name: &str| {
            components.iter().find(|each| each["name"] == name).map(|each| each["scope"].clone())
        };
        assert_eq!(scope("serde_json"), Some(json!("required")), "{target}");
        let version = |name: &str| {
            components.iter().find(|each| each["name"] == name).map(|each| each["version"].clone())
        };
        assert_eq!(version("rust-std"), Some(json!("1.95.0")), "{target}");
        assert_eq!(version("musl"), target.ends_with("musl").then(|| json!("1.2.5")), "{target}");
        // An expression of SPDX, which has no slash.
        let slashes = components.iter().find(|each| each["licenses"].to_string().contains('/'));
        assert_eq!(slashes, None, "{target}");
        assert_eq!(scope("rust-std"), Some(json!("required")), "{target}");
        let macros = (target != "wasm32-wasip1").then(|| json!("excluded"));
        assert_eq!(scope("proc-macro2"), macros, "{target}");
        assert_eq!(scope("musl"), target.ends_with("musl").then(|| json!("required")), "{target}");
    }
    Ok(())
}

/// CycloneDX's own schema, which ships with its library for Python.
#[test]
fn the_list_of_parts_is_what_cyclonedx_asks_for() -> Result<()> {
    let folder = target().join("cyclonedx");
    let schemas = folder.join("cyclonedx/schema/_res");
    if !schemas.exists() {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--no-deps", "--target"]).arg(&folder);
        wheels::install(&mut pip, &["cyclonedx-python-lib==11.12.0"])?;
    }
    let schema = |name: &str| -> Result<Value> {
        let path = schemas.join(format!("{name}.SNAPSHOT.schema.json"));
        Ok(serde_json::from_slice(&fs::read(path)?)?)
    };
    let mut registry = jsonschema::Registry::new();
    for name in ["spdx", "jsf-0.82"] {
        let uri = format!("http://cyclonedx.org/schema/{name}.SNAPSHOT.schema.json");
        registry = registry.add(uri, schema(name)?)?;
    }
    let registry = registry.prepare()?;
    let validator = jsonschema::options().with_registry(&registry).build(&schema("bom-1.6")?)?;
    for (target, mut sbom) in sboms()? {
        let errors: Vec<_> = validator.iter_errors(&sbom).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{target}: {errors:#?}");
        sbom["components"][0]["type"] = json!("thing");
        assert!(!validator.is_valid(&sbom), "{target}: the schema takes anything");
    }
    Ok(())
}
