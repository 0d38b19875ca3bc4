//! What the project is built from: licences, sources and duplicates, as Cargo tells of them. (Known
//! vulnerabilities are told by a database that has to be downloaded: `cargo audit` where there is
//! a network.)

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Licences that ask for no more than to be named, or for nothing.
const LICENCES: [&str; 13] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// What the module itself may be built from; a new name here is a decision.
const MODULE: [&str; 28] = [
    "allocator-api2",
    "base64ct",
    "block-buffer",
    "cfg-if",
    "crypto-common",
    "digest",
    "equivalent",
    "fastrand",
    "foldhash",
    "generic-array",
    "getrandom",
    "hashbrown",
    "hmac",
    "itoa",
    "libm",
    "log",
    "memchr",
    "proxy-wasm",
    "regex-lite",
    "serde",
    "serde_core",
    "serde_json",
    "sha2",
    "subtle",
    "traffic-split",
    "typenum",
    "xxhash-rust",
    "zmij",
];

fn metadata(more: &[&str]) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root).args(["metadata", "--locked", "--format-version", "1"]).args(more);
    let output = command.output().expect("cargo metadata");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn text<'a>(package: &'a Value, field: &str) -> &'a str {
    package[field].as_str().unwrap_or_default()
}

/// Whether one of the alternatives of an SPDX expression is allowed whole.
fn allowed(expression: &str) -> bool {
    let plain = expression.replace(['(', ')'], " ").replace('/', " OR ");
    let any = |part: &str| part.split(" OR ").any(|one| LICENCES.contains(&one.trim()));
    plain.split(" AND ").all(any)
}

#[test]
fn every_licence_is_allowed_and_every_source_is_the_registry() {
    let metadata = metadata(&[]);
    let mut wrong = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let (name, licence) = (text(package, "name"), text(package, "license"));
        if !allowed(licence) {
            wrong.push(format!("{name}: licence {licence:?}"));
        }
        let source = text(package, "source");
        if !source.is_empty() && !source.starts_with("registry+") {
            wrong.push(format!("{name}: from {source}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The packages that the module is linked from, by version.
fn module() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = metadata(&["--filter-platform", "wasm32-wasip1"]);
    let nodes = metadata["resolve"]["nodes"].as_array().cloned().unwrap_or_default();
    let root = nodes.iter().find(|node| text(node, "id").contains("traffic-split"));
    let mut waiting = vec![text(root.expect("the filter"), "id").to_owned()];
    let mut seen = BTreeSet::new();
    let packages = metadata["packages"].as_array().cloned().unwrap_or_default();
    let is_macro = |id: &str| {
        let package = packages.iter().find(|package| text(package, "id") == id);
        let targets = package.and_then(|package| package["targets"].as_array()).into_iter();
        targets.flatten().any(|target| target["kind"][0] == "proc-macro")
    };
    while let Some(id) = waiting.pop() {
        // A macro runs in the compiler.
        if is_macro(&id) || !seen.insert(id.clone()) {
            continue;
        }
        let node = nodes.iter().find(|node| text(node, "id") == id).expect("a node");
        for dependency in node["deps"].as_array().into_iter().flatten() {
            let kinds = dependency["dep_kinds"].as_array().cloned().unwrap_or_default();
            // Neither what only builds nor what only tests.
            if kinds.iter().any(|kind| kind["kind"].is_null()) {
                waiting.push(text(dependency, "pkg").to_owned());
            }
        }
    }
    let mut packages: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        if seen.contains(text(package, "id")) {
            let versions = packages.entry(text(package, "name").into()).or_default();
            versions.insert(text(package, "version").into());
        }
    }
    packages
}

#[test]
fn the_module_is_linked_from_what_is_listed_and_from_no_two_versions() {
    let packages = module();
    let names: Vec<_> = packages.keys().map(String::as_str).collect();
    assert_eq!(names, MODULE);
    for (name, versions) in packages {
        assert_eq!(versions.len(), 1, "{name}: {versions:?}");
    }
}
