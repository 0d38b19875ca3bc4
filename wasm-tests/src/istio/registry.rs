//! A registry on loopback, and the module's image in it.

use super::free_port;
use super::tools::Tools;
use crate::process::Process;
use anyhow::{Context, Result, ensure};
use dist::packages::MODULE;
use std::path::Path;

/// A running registry. It ends when this value is dropped.
pub struct Registry {
    host: String,
    _process: Process,
}

impl Registry {
    /// Starts `crane registry serve`.
    pub async fn start(tools: &Tools, folder: &Path) -> Result<Self> {
        let host = format!("127.0.0.1:{}", free_port()?);
        let arguments = ["registry", "serve", "--address", &host];
        let log = folder.join("registry.log");
        let mut process = Process::spawn(tools.path("crane"), arguments, log)?;
        process.until("the registry", async || tools.run("crane", &["catalog", &host])).await?;
        Ok(Self { host, _process: process })
    }

    /// An image's name in this registry.
    pub fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.host)
    }

    /// Writes the module's image and pushes it; its reference by digest, as a `WasmPlugin` names
    /// it.
    pub fn push(&self, tools: &Tools, folder: &Path) -> Result<String> {
        let layout = folder.join("image");
        let digest =
            dist::image::write(&crate::module()?, &dist::licenses::text(MODULE)?, &layout)?;
        let name = self.image("traffic-split:test");
        let layout = layout.to_str().context("the path is not UTF-8")?;
        let pushed = tools.run("crane", &["push", layout, &name])?;
        let expected = format!("{}@{digest}", self.image("traffic-split"));
        ensure!(pushed.trim() == expected, "pushed {pushed}, not {expected}");
        Ok(format!("oci://{expected}"))
    }
}
