//! Programs of Debian's packages, unpacked into `target/`: the system stays as it is.

use crate::find::{run, which};
use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

/// The folder that a package is unpacked into, as its root; none where there is no apt.
pub fn unpacked(package: &str) -> Result<Option<PathBuf>> {
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
    apt(&["download", package])?;
    let mut files = fs::read_dir(&partial)?.filter_map(|file| Some(file.ok()?.path()));
    let archive = files.find(|file| file.extension().is_some_and(|extension| extension == "deb"));
    let archive = archive.with_context(|| format!("apt-get downloaded no {package}"))?;
    let unpacking = partial.join("root");
    run(Command::new("dpkg-deb").arg("--extract").arg(archive).arg(&unpacking))?;
    ensure!(unpacking.is_dir(), "{package} is empty");
    fs::rename(unpacking, &root)?;
    fs::remove_dir_all(partial)?;
    Ok(Some(root))
}
