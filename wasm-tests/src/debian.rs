//! Programs of Debian's packages, unpacked into `target/`: the system stays as it is.

use crate::find::which;
use crate::process::run;
use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder that a package is unpacked into, as its root; none where there is no apt.
pub fn unpacked(package: &str) -> Result<Option<PathBuf>> {
    fetched(package, &["download", package])
}

/// The same of a package with every other one that it needs and that the system does not have. Versions
/// are those of the system's Debian, whose signatures apt checks: a browser of last year is not to be
/// had there any more.
pub fn unpacked_with_needs(package: &str) -> Result<Option<PathBuf>> {
    let only = ["--download-only", "--no-install-recommends", "--yes", "-o", "Debug::NoLocking=1"];
    fetched(package, &[&["install"], &only[..], &[package]].concat())
}

/// The folder with what apt downloads by these arguments.
fn fetched(package: &str, arguments: &[&str]) -> Result<Option<PathBuf>> {
    let folder = crate::target().join("debian");
    let root = folder.join(package);
    if root.is_dir() {
        return Ok(Some(root));
    }
    let Some(apt) = which("apt-get") else { return Ok(None) };
    fs::create_dir_all(folder.join("lists/partial"))?;
    let lock = File::create(folder.join("lock"))?;
    lock.lock().context("waiting for another process that unpacks a package")?;
    if root.is_dir() {
        return Ok(Some(root));
    }
    crate::say(&format!("Unpacking Debian's {package} into target/, once ..."));
    let partial = folder.join("partial");
    if partial.exists() {
        fs::remove_dir_all(&partial)?;
    }
    fs::create_dir_all(partial.join("archives/partial"))?;
    // Lists of its own: the system's may be missing, and only root can bring them.
    let apt = |arguments: &[&str]| {
        let option = |name: &str, path: PathBuf| format!("{name}={}", path.display());
        let mut command = Command::new(&apt);
        command.current_dir(&partial).arg("--quiet=2");
        command.args(["-o", &option("Dir::State::lists", folder.join("lists"))]);
        command.args(["-o", &option("Dir::Cache", partial.clone())]);
        command.args(["-o", "APT::Sandbox::User=root"]).args(arguments);
        run(&mut command)
    };
    apt(&["update"])?;
    apt(arguments)?;
    let unpacking = partial.join("root");
    for archive in archives(&partial)?.into_iter().chain(archives(&partial.join("archives"))?) {
        run(Command::new("dpkg-deb").arg("--extract").arg(archive).arg(&unpacking))?;
    }
    ensure!(unpacking.is_dir(), "apt-get downloaded no {package}");
    fs::rename(unpacking, &root)?;
    fs::remove_dir_all(partial)?;
    Ok(Some(root))
}

/// The packages in a folder.
fn archives(folder: &Path) -> Result<Vec<PathBuf>> {
    let files = fs::read_dir(folder)?.filter_map(|file| Some(file.ok()?.path()));
    Ok(files.filter(|file| file.extension().is_some_and(|it| it == "deb")).collect())
}
