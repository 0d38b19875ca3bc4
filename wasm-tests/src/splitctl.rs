//! The program `splitctl`.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds it and says where it is.
pub fn program() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let build = Command::new(cargo)
        .args(["build", "--package", "traffic-split", "--bin", "splitctl"])
        .args(["--profile", "test", "--message-format", "json"])
        .current_dir(crate::root())
        .output()?;
    ensure!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
    let messages = String::from_utf8(build.stdout)?;
    let executable = messages.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message["executable"].as_str()?))
    });
    executable.context("cargo names no program")
}

/// Checks that `splitctl validate` takes a file, and warns of nothing but placeholders.
pub fn check(file: &Path) -> Result<()> {
    let mut command = Command::new(program()?);
    let output = command.args(["validate", "-o", "json", "-f"]).arg(file).output()?;
    let report: Value = serde_json::from_slice(&output.stdout).context("no report")?;
    let mut warnings = report["warnings"].as_array().context("no warnings")?.iter();
    let is_clean = warnings.all(|each| each["lint"] == "placeholder");
    ensure!(report["valid"] == true && is_clean, "{report:#}");
    Ok(())
}
