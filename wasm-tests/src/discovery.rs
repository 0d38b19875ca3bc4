//! A filter that Envoy reads from a file of its own, and again each time that the file changes.

use crate::bootstrap::typed;
use crate::envoy::Envoy;
use crate::wait::polling;
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A filter with a file of its own.
pub struct Discovered {
    name: String,
    path: PathBuf,
}

impl Discovered {
    /// The Wasm filter of this name, whose file is in this folder.
    pub fn new(folder: &Path, name: &str) -> Self {
        Self { name: name.into(), path: folder.join(format!("{name}.json")) }
    }

    /// The entry for it among a listener's filters.
    pub fn filter(&self) -> Value {
        let source =
            json!({"path_config_source": {"path": self.path}, "resource_api_version": "V3"});
        let kind = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
        let discovery = json!({"config_source": source, "type_urls": [kind]});
        json!({"name": self.name, "config_discovery": discovery})
    }

    /// Makes this filter, as a listener has it, the one to be read.
    pub fn write(&self, filter: &Value) -> Result<()> {
        let resource = json!({"name": self.name, "typed_config": filter["typed_config"]});
        let resource = typed("envoy.config.core.v3.TypedExtensionConfig", resource);
        let next = self.path.with_extension("next");
        fs::write(&next, json!({"resources": [resource]}).to_string())?;
        // Envoy watches for a file that is moved into place.
        fs::rename(&next, &self.path)?;
        Ok(())
    }

    /// Writes the filter and returns whether Envoy takes it. Envoy is asked once every `time`.
    pub async fn push(&self, envoy: &Envoy, filter: &Value, time: Duration) -> Result<bool> {
        let before = self.verdicts(envoy).await?;
        self.write(filter)?;
        tokio::time::sleep(time).await;
        polling("Envoy's verdict", time, async || {
            let now = self.verdicts(envoy).await?;
            ensure!(now != before, "Envoy did not read {}: {}", self.path.display(), envoy.log());
            Ok(now.1 == before.1)
        })
        .await
    }

    /// Updates taken and refused.
    async fn verdicts(&self, envoy: &Envoy) -> Result<(u64, u64)> {
        let prefix = format!("extension_config_discovery.http_filter.{}.", self.name);
        let stats = envoy.stats_like(&prefix).await?;
        let of = |what| stats.get(&format!("{prefix}{what}")).copied().unwrap_or_default();
        Ok((of("config_reload"), of("update_rejected")))
    }
}
