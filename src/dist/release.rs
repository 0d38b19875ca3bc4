//! The files of a release, in one folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::archive::{File, files, gzip, read, sha256, tar};
use crate::packages::{MODULE, Packages, root};
use crate::provenance::{self, Build};
use crate::sbom::{self, Base};
use crate::{chart, image, licenses, notes};

/// The name of the list of digests.
pub const SUMS: &str = "SHA256SUMS";

/// A program that was built for a target.
#[derive(Clone, Debug)]
pub struct Program {
    /// The target, such as `aarch64-unknown-linux-musl`.
    pub target: String,
    /// The file.
    pub path: PathBuf,
}

/// The built things that a release is made from.
pub struct Built<'a> {
    /// The module.
    pub module: &'a Path,
    /// `splitctl` for each target.
    pub programs: &'a [Program],
    /// The one that runs here: it writes manual pages, completions and schema.
    pub runs: &'a Path,
    /// The version of musl that the programs are linked with.
    pub musl: &'a str,
}

/// Writes a release into `folder`, in the place of an older one.
///
/// # Errors
/// The version is not that of the project, a built file is missing, or cargo fails.
pub fn write(built: &Built<'_>, build: &Build<'_>, folder: &Path) -> Result<()> {
    let version = build.version;
    let own = env!("CARGO_PKG_VERSION");
    ensure!(
        version == own,
        "Cargo.toml has the version {own}: a release of {version} begins there"
    );
    let changes = fs::read_to_string(root().join("src/changes.md"))?;
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    fs::create_dir_all(folder)?;
    let mut all = module(built, build, folder)?;
    for program in built.programs {
        all.append(&mut splitctl(program, built, build)?);
    }
    all.push(File::new(format!("traffic-split-{version}.schema.json"), schema(built, version)?));
    all.push(File::new(format!("traffic-split-{version}.chart.tgz"), chart::archive()?));
    all.push(File::new("notes.md", notes::of(&changes, version, build.source)?));
    all.sort_by(|a, b| a.name.cmp(&b.name));
    let statement = text(&provenance::of(&all, build)?)?;
    all.push(File::new(format!("traffic-split-{version}.intoto.json"), statement));
    let sums: String =
        all.iter().map(|file| format!("{}  {}\n", sha256(&file.bytes), file.name)).collect();
    all.push(File::new(SUMS, sums));
    for file in all {
        fs::write(folder.join(&file.name), &file.bytes)?;
    }
    Ok(())
}

/// The module, its image and its list of parts.
fn module(built: &Built<'_>, build: &Build<'_>, folder: &Path) -> Result<Vec<File>> {
    let name = format!("traffic-split-{}", build.version);
    let bytes = read(built.module)?;
    let layout = folder.join("image");
    let digest = image::write(built.module, &licenses::text(MODULE)?, &layout)?;
    let image = tar(&files(&layout, "")?)?;
    fs::remove_dir_all(&layout)?;
    let base = Base { rust: build.rust, libc: None };
    let file = format!("{name}.wasm");
    let parts = sbom::of(&Packages::of(MODULE)?, &file, &sha256(&bytes), &base)?;
    Ok(vec![
        File::new(format!("{file}.sha256"), format!("{}  {file}\n", sha256(&bytes))),
        File::new(format!("{file}.cdx.json"), text(&parts)?),
        File::new(file, bytes),
        File::new(format!("{name}.image.tar"), image),
        File::new(format!("{name}.image.digest"), format!("{digest}\n")),
    ])
}

/// An archive with `splitctl` and what belongs to it, and its list of parts.
fn splitctl(program: &Program, built: &Built<'_>, build: &Build<'_>) -> Result<Vec<File>> {
    let machine = program.target.split('-').next().unwrap_or_default();
    let name = format!("splitctl-{}-{machine}-linux", build.version);
    let bytes = read(&program.path)?;
    let base = Base { rust: build.rust, libc: Some(("musl", built.musl)) };
    let parts = sbom::of(&Packages::of(&program.target)?, "splitctl", &sha256(&bytes), &base)?;
    let license = read(&root().join("LICENSE"))?;
    let mut members = vec![
        File { program: true, ..File::new(format!("{name}/splitctl"), bytes) },
        File::new(format!("{name}/LICENSE"), license),
        File::new(format!("{name}/licenses.txt"), licenses::text(&program.target)?),
    ];
    for (shell, file) in
        [("bash", "splitctl.bash"), ("fish", "splitctl.fish"), ("zsh", "_splitctl")]
    {
        let script = run(built, &["completion", shell])?;
        members.push(File::new(format!("{name}/completions/{file}"), script));
    }
    let pages = tempfile::tempdir()?;
    run(built, &["man", pages.path().to_str().context("a path that is not UTF-8")?])?;
    members.append(&mut files(pages.path(), &format!("{name}/man/"))?);
    Ok(vec![
        File::new(format!("{name}.tar.gz"), gzip(&tar(&members)?)?),
        File::new(format!("{name}.cdx.json"), text(&parts)?),
    ])
}

/// The schema of the configuration, which names itself.
fn schema(built: &Built<'_>, version: &str) -> Result<String> {
    let id = format!("{{\n  \"$id\": \"urn:traffic-split:configuration:{version}\",");
    Ok(run(built, &["schema"])?.replacen('{', &id, 1))
}

/// Runs `splitctl`; what it prints.
fn run(built: &Built<'_>, arguments: &[&str]) -> Result<String> {
    let output = Command::new(built.runs).args(arguments).output();
    let output = output.with_context(|| built.runs.display().to_string())?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "splitctl {}: {error}", arguments.join(" "));
    Ok(String::from_utf8(output.stdout)?)
}

fn text(document: &Value) -> Result<String> {
    Ok(format!("{}\n", serde_json::to_string_pretty(document)?))
}
