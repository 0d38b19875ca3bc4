//! The check of a release that someone has downloaded: every file is the one that is listed, and the
//! files agree with each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::archive::sha256;
use crate::release::SUMS;

/// The signature of the list, which comes later.
const SIGNATURE: &str = "SHA256SUMS.sigstore.json";

/// Checks the release `version` in `folder`; how many files it has.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(version: &str, folder: &Path) -> Result<usize> {
    ensure!(folder.is_dir(), "{} is not there, or is no folder", folder.display());
    let read =
        |name: &str| fs::read(folder.join(name)).with_context(|| format!("{name} cannot be read"));
    let sums = String::from_utf8(read(SUMS)?)?;
    let mut listed = BTreeMap::new();
    for line in sums.lines() {
        let (digest, name) = line.split_once("  ").with_context(|| format!("{SUMS}: {line}"))?;
        ensure!(!name.contains('/'), "{SUMS} lists {name}, which is not in the folder");
        ensure!(sha256(&read(name)?) == digest, "{name} is not the file that {SUMS} lists");
        listed.insert(name.to_owned(), digest.to_owned());
    }
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name()));
    for name in entries.collect::<Result<Vec<_>>>()? {
        let name = name.to_string_lossy();
        let known = name == SUMS || name == SIGNATURE;
        ensure!(known || listed.contains_key(&*name), "{SUMS} does not list {name}");
    }
    let prefix = format!("traffic-split-{version}");
    let statement = format!("{prefix}.intoto.json");
    ensure!(
        listed.contains_key(&statement),
        "{SUMS} does not list {statement}: is this the release {version}?"
    );
    let statement: Value = serde_json::from_slice(&read(&statement)?)?;
    let subjects: BTreeSet<_> = statement["subject"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|subject| (subject["name"].as_str(), subject["digest"]["sha256"].as_str()))
        .collect();
    let others = listed.iter().filter(|(name, _)| !name.ends_with(".intoto.json"));
    let others =
        others.map(|(name, digest)| (Some(name.as_str()), Some(digest.as_str()))).collect();
    ensure!(subjects == others, "the provenance is of other files");
    let module = format!("{prefix}.wasm");
    let digest = String::from_utf8(read(&format!("{module}.sha256"))?)?;
    let of_module = listed.get(&module).context("there is no module")?;
    ensure!(digest == format!("{of_module}  {module}\n"), "{module}.sha256 is of another module");
    Ok(listed.len())
}
