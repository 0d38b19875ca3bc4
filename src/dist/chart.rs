//! The chart as the archive that helm takes: the folder `manifests/chart` below its name.

use anyhow::{Context, Result};

use crate::archive::{self, gzip, tar};
use crate::packages::root;

/// The archive. Links are the files that they lead to.
///
/// # Errors
/// The folder cannot be read.
pub fn archive() -> Result<Vec<u8>> {
    let mut files = archive::files(&root().join("manifests/chart"), "traffic-split/")?;
    // Helm takes the first file for the chart's description.
    let first = files.iter().position(|file| file.name == "traffic-split/Chart.yaml");
    let description = files.remove(first.context("there is no Chart.yaml")?);
    files.insert(0, description);
    gzip(&tar(&files)?)
}
