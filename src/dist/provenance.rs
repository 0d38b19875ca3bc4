//! Where the files of a release come from, as an in-toto statement with SLSA's provenance (v1). It says
//! neither when nor where they were built: the same source gives the same statement.

use anyhow::Result;
use serde_json::{Value, json};

use crate::archive::{File, sha256};
use crate::packages::root;

/// The facts about a build that its files do not have.
pub struct Build<'a> {
    /// The version of the release.
    pub version: &'a str,
    /// The commit that was built.
    pub commit: &'a str,
    /// The repository's address, where it is published.
    pub source: Option<&'a str>,
    /// The address that stands for who built it.
    pub builder: &'a str,
    /// The version of Rust.
    pub rust: &'a str,
}

/// The statement about these files.
///
/// # Errors
/// A lock file cannot be read.
pub fn of(files: &[File], build: &Build<'_>) -> Result<Value> {
    let Build { version, commit, source, builder, rust } = build;
    let digest = |bytes: &[u8]| json!({ "sha256": sha256(bytes) });
    let subjects: Vec<_> = files
        .iter()
        .map(|file| json!({ "name": file.name, "digest": digest(&file.bytes) }))
        .collect();
    let mut from = json!({ "name": "source", "digest": { "gitCommit": commit } });
    if let Some(source) = source {
        from["uri"] = json!(format!("git+{source}@refs/tags/v{version}"));
    }
    let mut dependencies = vec![from];
    // Everything else that the build fetches is named in these files, by its hash.
    for lock in ["Cargo.lock", "wasm-tests/wheels.txt"] {
        let bytes = std::fs::read(root().join(lock))?;
        dependencies.push(json!({ "name": lock, "digest": digest(&bytes) }));
    }
    dependencies.push(json!({ "name": "rust", "uri": format!("pkg:generic/rust@{rust}") }));
    Ok(json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "urn:traffic-split:make-dist:v1",
                "externalParameters": { "command": format!("make dist VERSION={version}") },
                "resolvedDependencies": dependencies,
            },
            "runDetails": { "builder": { "id": builder } },
        },
    }))
}
