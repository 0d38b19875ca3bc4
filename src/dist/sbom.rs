//! The list of what an artifact is made from (SBOM), as CycloneDX 1.6. Packages that only take part in
//! the build have the scope `excluded`: nothing of them is in the artifact.
//!
//! The document is written here, since a library for it brings parsers of XML, times and UUIDs, in second
//! versions of what is there; a test holds it to CycloneDX's own schema.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::packages::{Package, Packages};

/// The linked parts that are no packages of cargo's.
pub struct Base<'a> {
    /// The version of Rust, whose standard library is linked.
    pub rust: &'a str,
    /// The C library and its version; the module's comes with Rust's standard library.
    pub libc: Option<(&'a str, &'a str)>,
}

/// The list of an artifact's parts.
///
/// # Errors
/// A package without a licence.
pub fn of(packages: &Packages, artifact: &str, sha256: &str, base: &Base<'_>) -> Result<Value> {
    let (root_id, root) = packages.root()?;
    let mut own = component(root)?;
    own["type"] = json!("application");
    own["description"] = json!(artifact);
    own["hashes"] = json!([{ "alg": "SHA-256", "content": sha256 }]);
    let mut components = vec![rust(base.rust)];
    components.extend(base.libc.map(|(name, version)| generic(name, version, "MIT")));
    let others = packages.all.values().filter(|package| !package.is_root());
    let others: Vec<_> = others.map(component).collect::<Result<_>>()?;
    let mut asked: Vec<Value> = components.iter().map(|base| base["bom-ref"].clone()).collect();
    components.extend(others);
    let mut dependencies = Vec::new();
    for (id, asks) in &packages.edges {
        let mut on = Vec::new();
        for id in asks {
            on.push(json!(reference(packages.all.get(id).context("a package without a name")?)));
        }
        if id == root_id {
            on.append(&mut asked);
        }
        let package = packages.all.get(id).context("a package without a name")?;
        dependencies.push(json!({ "ref": reference(package), "dependsOn": on }));
    }
    Ok(json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": { "lifecycles": [{ "phase": "build" }], "component": own },
        "components": components,
        "dependencies": dependencies,
    }))
}

fn component(package: &Package) -> Result<Value> {
    let Package { name, version, license, checksum, linked, .. } = package;
    let license = license.as_ref().with_context(|| format!("{name} has no licence"))?;
    let reference = reference(package);
    let mut component = json!({
        "type": "library",
        "bom-ref": reference,
        "name": name,
        "version": version,
        // Cargo once took `MIT/Apache-2.0`, which is no expression of SPDX.
        "licenses": [{ "expression": license.replace('/', " OR ") }],
        "purl": reference,
    });
    // The subject itself has no scope.
    if !package.is_root() {
        component["scope"] = json!(if *linked { "required" } else { "excluded" });
    }
    if let Some(checksum) = checksum {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    Ok(component)
}

/// The address of a package (purl), which is its name in the list too.
fn reference(package: &Package) -> String {
    let kind = if package.checksum.is_some() { "cargo" } else { "generic" };
    format!("pkg:{kind}/{}@{}", package.name, package.version)
}

fn rust(version: &str) -> Value {
    generic("rust-std", version, "MIT OR Apache-2.0")
}

fn generic(name: &str, version: &str, license: &str) -> Value {
    let reference = format!("pkg:generic/{name}@{version}");
    json!({
        "type": "library",
        "bom-ref": reference,
        "name": name,
        "version": version,
        "scope": "required",
        "licenses": [{ "expression": license }],
        "purl": reference,
    })
}
