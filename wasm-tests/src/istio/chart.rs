//! The chart, as helm renders it.

use super::tools::Tools;
use anyhow::{Context, Result};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// The chart's folder.
pub fn folder() -> String {
    crate::root().join("manifests/chart").display().to_string()
}

/// Writes values to a file in `folder`; its path.
pub fn values(values: &Value, folder: &Path) -> Result<String> {
    let file = folder.join("values.json");
    fs::write(&file, values.to_string())?;
    Ok(file.to_str().context("the path is not UTF-8")?.to_owned())
}

/// The objects that helm makes of the chart and these values for a release.
pub fn render(tools: &Tools, release: &str, given: &Value, temporary: &Path) -> Result<String> {
    let values = values(given, temporary)?;
    tools.run("helm", &["template", release, &folder(), "--values", &values])
}
