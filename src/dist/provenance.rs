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

/// The files in the repository that name by their hashes everything that the build fetches.
const LOCKS: [&str; 2] = ["Cargo.lock", "wasm-tests/wheels.txt"];

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
    for lock in LOCKS {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_says_what_was_built_from_what_by_whom() -> Result<()> {
        let files = [File::new("a", "alpha"), File::new("b", "")];
        let mut build = Build {
            version: "1.2.3",
            commit: "c0ffee",
            source: Some("https://example.com/split"),
            builder: "https://example.com/builder",
            rust: "1.95.0",
        };
        let statement = of(&files, &build)?;
        assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
        assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v1");
        let digest = "8ed3f6ad685b959ead7022518e1af76cd816f8e8ec7ccdda1ed4018e8f2223f8";
        let subject = &statement["subject"];
        assert_eq!(subject[0], json!({ "name": "a", "digest": { "sha256": digest } }));
        assert_eq!(subject[1]["name"], "b");
        let predicate = &statement["predicate"];
        assert_eq!(predicate["runDetails"]["builder"]["id"], "https://example.com/builder");
        let definition = &predicate["buildDefinition"];
        assert_eq!(definition["buildType"], "urn:traffic-split:make-dist:v1");
        assert_eq!(definition["externalParameters"]["command"], "make dist VERSION=1.2.3");
        let from = &definition["resolvedDependencies"];
        let uri = "git+https://example.com/split@refs/tags/v1.2.3";
        let source = json!({ "name": "source", "digest": { "gitCommit": "c0ffee" }, "uri": uri });
        assert_eq!(from[0], source);
        for (lock, one) in LOCKS.iter().zip([&from[1], &from[2]]) {
            let bytes = std::fs::read(root().join(lock))?;
            assert_eq!(*one, json!({ "name": lock, "digest": { "sha256": sha256(&bytes) } }));
        }
        assert_eq!(from[3], json!({ "name": "rust", "uri": "pkg:generic/rust@1.95.0" }));
        build.source = None;
        let from =
            of(&files, &build)?["predicate"]["buildDefinition"]["resolvedDependencies"][0].take();
        assert_eq!(from, json!({ "name": "source", "digest": { "gitCommit": "c0ffee" } }));
        Ok(())
    }
}
