//! The licences of everything that the module is linked from, as a text: they ask to go along with what
//! is shipped. Cargo knows the packages, and each brings its own texts.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The package that the module is built from.
const MODULE: &str = "traffic-split";

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    manifest_path: PathBuf,
}

/// The licences of the module, as they stand in the packages.
pub fn text() -> Result<String> {
    let linked = linked()?;
    let metadata = ["metadata", "--locked", "--format-version", "1", "--filter-platform", TARGET];
    let Metadata { packages } = serde_json::from_str(&cargo(&metadata)?)?;
    // Many packages have the same text, but for the line that names the holder.
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut found = 0;
    for package in &packages {
        let name = format!("{} {}", package.name, package.version);
        if !linked.contains(&name) {
            continue;
        }
        found += 1;
        let license =
            package.license.as_deref().with_context(|| format!("{name} has no licence"))?;
        let own = files(package.manifest_path.parent().context("a folder")?)?;
        ensure!(!own.is_empty() || package.name == MODULE, "{name} brings no text of its licence");
        for text in own {
            texts.entry(text).or_default().push(format!("{name} ({license})"));
        }
    }
    ensure!(found == linked.len(), "cargo knows {found} of {} packages", linked.len());
    let text =
        |(text, names): (String, Vec<String>)| format!("{}\n\n{}\n", names.join("\n"), text.trim());
    let texts: Vec<_> = texts.into_iter().map(text).collect();
    Ok(format!("{HEAD}\n{}", texts.join(&format!("\n{}\n\n", "-".repeat(80)))))
}

const HEAD: &str = "The filter is under Apache-2.0. It is linked from these packages, and from Rust's standard library \
(MIT OR Apache-2.0).\n";

const TARGET: &str = "wasm32-wasip1";

/// Name and version of each package that the module is linked from: macros are not among them.
fn linked() -> Result<Vec<String>> {
    let edges = ["--edges", "normal,no-proc-macro", "--prefix", "none", "--no-dedupe"];
    let tree = ["tree", "--locked", "--package", MODULE, "--target", TARGET];
    let text = cargo(&[&tree[..], &edges].concat())?;
    let package = |line: &str| {
        let (name, rest) = line.split_once(" v")?;
        Some(format!("{name} {}", rest.split(' ').next()?))
    };
    let mut packages: Vec<_> = text.lines().filter_map(package).collect();
    packages.sort_unstable();
    packages.dedup();
    Ok(packages)
}

fn cargo(arguments: &[&str]) -> Result<String> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(program).args(arguments).current_dir(root).output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo {}: {error}", arguments.join(" "));
    Ok(String::from_utf8(output.stdout)?)
}

/// The texts of licences in a package, in the order of their names.
fn files(folder: &Path) -> Result<Vec<String>> {
    let mut paths: Vec<_> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.retain(|path| {
        let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_uppercase());
        let known = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE", "COPYRIGHT"];
        path.is_file() && name.is_some_and(|name| known.iter().any(|known| name.starts_with(known)))
    });
    paths.sort();
    let read =
        |path: &PathBuf| fs::read_to_string(path).with_context(|| path.display().to_string());
    paths.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_that_the_module_is_linked_from_is_named() -> Result<()> {
        let text = text()?;
        for package in linked()? {
            assert!(
                text.lines().any(|line| line.starts_with(&format!("{package} ("))),
                "{package}"
            );
        }
        for phrase in ["Permission is hereby granted", "Apache License", "proxy-wasm 0.2"] {
            assert!(text.contains(phrase), "{phrase}");
        }
        assert_eq!(text, self::text()?, "the same each time");
        Ok(())
    }
}
