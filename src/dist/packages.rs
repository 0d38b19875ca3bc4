//! The packages that a program is built from, as cargo knows them for its target.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// The package that module and program are built from.
const ROOT: &str = "traffic-split";

/// The target of the module.
pub const MODULE: &str = "wasm32-wasip1";

/// A package: `NAME VERSION`, which is unique for one target.
pub type Id = String;

/// The packages that are built for one target.
#[derive(Debug)]
pub struct Packages {
    /// Every package, also those that only take part in the build: macros, and build scripts with
    /// what they use.
    pub all: BTreeMap<Id, Package>,
    /// The packages that each one asks for.
    pub edges: BTreeMap<Id, BTreeSet<Id>>,
}

/// A package.
#[derive(Debug, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The expression of its licence (SPDX), as it was written.
    pub license: Option<String>,
    manifest_path: PathBuf,
    /// The SHA-256 digest of its archive, in hexadecimal; the project's own has none.
    #[serde(skip)]
    pub checksum: Option<String>,
    /// Whether the result is linked from it.
    #[serde(skip)]
    pub linked: bool,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

impl Packages {
    /// The packages of a target, such as [`MODULE`].
    ///
    /// # Errors
    /// Cargo fails, or its answers do not agree.
    pub fn of(target: &str) -> Result<Self> {
        let edges = tree(target, "normal,build")?;
        let linked = tree(target, "normal,no-proc-macro")?;
        let metadata = ["metadata", "--locked", "--format-version", "1", "--filter-platform"];
        let Metadata { packages } =
            serde_json::from_str(&cargo(&[&metadata[..], &[target]].concat())?)?;
        let checksums = checksums(&fs::read_to_string(root().join("Cargo.lock"))?);
        let with_id = packages.into_iter().map(|package| {
            let id = format!("{} {}", package.name, package.version);
            let checksum = checksums.get(&id).cloned();
            let linked = linked.contains_key(&id);
            (id, Package { checksum, linked, ..package })
        });
        let all: BTreeMap<_, _> = with_id.filter(|(id, _)| edges.contains_key(id)).collect();
        ensure!(all.len() == edges.len(), "cargo knows {} of {} packages", all.len(), edges.len());
        Ok(Self { all, edges })
    }

    /// The package that the others are for.
    pub fn root(&self) -> Result<(&Id, &Package)> {
        self.all.iter().find(|(_, package)| package.is_root()).context("cargo has no such package")
    }
}

impl Package {
    /// Whether it is the project's own.
    pub fn is_root(&self) -> bool {
        self.name == ROOT
    }

    /// The folder with its sources.
    pub fn folder(&self) -> Result<&Path> {
        self.manifest_path.parent().context("a manifest has a folder")
    }
}

/// Everyone, with those for whom each one asks.
fn tree(target: &str, edges: &str) -> Result<BTreeMap<Id, BTreeSet<Id>>> {
    let of = ["tree", "--locked", "--package", ROOT, "--target", target];
    let text = cargo(
        &[&of[..], &["--edges", edges, "--prefix", "depth", "--no-dedupe", "--charset", "ascii"]]
            .concat(),
    )?;
    let (mut asks, mut path) = (BTreeMap::<_, BTreeSet<_>>::new(), Vec::<Id>::new());
    for line in text.lines() {
        let name = line.trim_start_matches(|c: char| c.is_ascii_digit());
        let depth: usize = line.strip_suffix(name).context("a prefix")?.parse()?;
        let (name, rest) = name.split_once(" v").with_context(|| line.to_owned())?;
        let version = rest.split(' ').next().context("a version")?;
        path.truncate(depth);
        let id = format!("{name} {version}");
        if let Some(asking) = path.last() {
            asks.entry(asking.clone()).or_default().insert(id.clone());
        }
        asks.entry(id.clone()).or_default();
        path.push(id);
    }
    Ok(asks)
}

/// The digests in a `Cargo.lock`.
fn checksums(lock: &str) -> BTreeMap<Id, String> {
    let field = |text: &str, name: &str| {
        let start = format!("{name} = \"");
        let value = text.lines().find_map(|line| line.strip_prefix(&start))?;
        value.strip_suffix('"').map(str::to_owned)
    };
    let package = |text: &str| {
        let id = format!("{} {}", field(text, "name")?, field(text, "version")?);
        Some((id, field(text, "checksum")?))
    };
    lock.split("[[package]]").filter_map(package).collect()
}

fn cargo(arguments: &[&str]) -> Result<String> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let output = Command::new(program).args(arguments).current_dir(root()).output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo {}: {error}", arguments.join(" "));
    Ok(String::from_utf8(output.stdout)?)
}

/// The project's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
