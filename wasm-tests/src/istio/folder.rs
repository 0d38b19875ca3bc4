//! A copy of `manifests/`, changed as its README says a user changes it.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// The copy.
pub struct Folder(PathBuf);

/// The settings of the folders under `istio`.
pub const SETTINGS: &str = "istio/settings/settings.yaml";

/// The lines of `settings.yaml` that every user changes.
pub struct Settings<'a> {
    /// The image.
    pub image: &'a str,
    /// The service to split.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
}

impl Folder {
    /// Copies `manifests/`.
    pub fn copy(to: &Path) -> Result<Self> {
        copy(&crate::root().join("manifests"), to)?;
        Ok(Self(to.to_owned()))
    }

    /// Changes these lines.
    pub fn set(&self, settings: &Settings<'_>) -> Result<()> {
        self.set_in(SETTINGS, settings)
    }

    /// Changes these lines of another file of settings.
    pub fn set_in(&self, file: &str, settings: &Settings<'_>) -> Result<()> {
        self.line(file, "  image: ", settings.image)?;
        self.line(file, "  host: ", settings.host)?;
        self.line(file, "  port: ", &format!("\"{}\"", settings.port))
    }

    /// Gives the one line that starts like this another value.
    pub fn line(&self, file: &str, start: &str, value: &str) -> Result<()> {
        let path = self.0.join(file);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let found = text.lines().filter(|line| line.starts_with(start)).count();
        ensure!(found == 1, "{file} has {found} lines that start with `{start}`, not one");
        let change = |line: &str| {
            if line.starts_with(start) { format!("{start}{value}\n") } else { format!("{line}\n") }
        };
        fs::write(&path, text.lines().map(change).collect::<String>())?;
        Ok(())
    }

    /// Replaces what occurs once.
    pub fn replace(&self, file: &str, from: &str, to: &str) -> Result<()> {
        self.replace_all(file, 1, from, to)
    }

    /// Replaces what occurs so many times.
    pub fn replace_all(&self, file: &str, times: usize, from: &str, to: &str) -> Result<()> {
        let path = self.0.join(file);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let found = text.matches(from).count();
        ensure!(found == times, "{file} holds `{from}` {found} times, not {times}");
        fs::write(&path, text.replace(from, to))?;
        Ok(())
    }

    /// The path of a folder or file of the copy, as kubectl takes it.
    pub fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

/// The resources in a stream of YAML documents.
pub fn resources(yaml: &str) -> Result<Vec<Value>> {
    Ok(serde_saphyr::from_multiple(yaml)?)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), &to)?;
        }
    }
    Ok(())
}
