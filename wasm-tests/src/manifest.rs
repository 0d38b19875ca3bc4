//! The manifests for Envoy, as they are and as a test runs them.

use crate::envoy::{self, Setup};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The listener's name in the manifest.
pub const LISTENER: &str = "http";

/// The manifest of a route that has the weights.
pub const ROUTE_WEIGHTS: &str = "envoy-route-weights.yaml";

const PLAIN: &str = "envoy.yaml";

/// The file from which that Envoy takes its filter, and reads it again.
pub const FILTER: &str = "traffic-split.yaml";

/// The text of that file.
pub fn filter() -> Result<String> {
    read(FILTER)
}

fn read(file: &str) -> Result<String> {
    let path = crate::root().join("manifests").join(file);
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// The manifest as data.
pub fn parsed() -> Result<Value> {
    Ok(serde_saphyr::from_str(&read(PLAIN)?)?)
}

const MANAGER: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";

/// The filter's configuration in a file like the manifest's.
const CONFIGURATION: &str = "/resources/0/typed_config/config/configuration/value";

/// The filter's configuration in the manifest, as the filter gets it.
pub fn configuration() -> Result<String> {
    let filter: Value = serde_saphyr::from_str(&filter()?)?;
    let value = filter.pointer(CONFIGURATION).and_then(Value::as_str);
    value.map(str::to_owned).context("the configuration is no text")
}

/// The labels and buckets of the filter's metrics, in Envoy's configuration.
pub fn stats_config() -> Result<Value> {
    Ok(parsed()?["stats_config"].take())
}

/// The access log there.
pub fn access_log() -> Result<Value> {
    let manifest = parsed()?;
    let manager = manifest.pointer(MANAGER).context("no connection manager")?;
    Ok(manager["access_log"].clone())
}

/// A manifest with free loopback ports, its upstreams on these ports of the loopback interface, and
/// the module that was built here; everything else as it is written.
pub struct Runnable {
    /// Envoy's configuration.
    pub bootstrap: String,
    /// The text of the filter's own file; empty if the bootstrap has the filter.
    pub filter: String,
    folder: TempDir,
}

/// `manifests/envoy.yaml`, to run.
pub fn runnable(stable: u16, canary: u16) -> Result<Runnable> {
    runnable_of(PLAIN, stable, canary)
}

/// The same for another manifest.
pub fn runnable_of(file: &str, stable: u16, canary: u16) -> Result<Runnable> {
    let replacements = [
        ("0.0.0.0, port_value: 10000 }", "127.0.0.1, port_value: 0 }"),
        ("127.0.0.1, port_value: 9901 }", "127.0.0.1, port_value: 0 }"),
        ("port_value: 8081 }", &format!("port_value: {stable} }}")),
        ("port_value: 8082 }", &format!("port_value: {canary} }}")),
    ];
    Runnable::new(file, &replacements)
}

/// `manifests/inner-hop.yaml` in the same way. It trusts 127.0.0.1.
pub fn inner_hop(stable: u16, canary: u16) -> Result<Runnable> {
    let replacements = [
        ("0.0.0.0, port_value: 10001 }", "127.0.0.1, port_value: 0 }"),
        ("127.0.0.1, port_value: 9902 }", "127.0.0.1, port_value: 0 }"),
        ("address_prefix: 10.1.0.0, prefix_len: 16", "address_prefix: 127.0.0.1, prefix_len: 32"),
        ("port_value: 8083 }", &format!("port_value: {stable} }}")),
        ("port_value: 8084 }", &format!("port_value: {canary} }}")),
    ];
    Runnable::new("inner-hop.yaml", &replacements)
}

impl Runnable {
    fn new(file: &str, replacements: &[(&str, &str)]) -> Result<Self> {
        let folder = envoy::folder()?;
        let module = crate::module()?;
        let module = module.to_str().context("the module's path is not UTF-8")?;
        let path = folder.path().to_str().context("the folder's path is not UTF-8")?;
        if file != PLAIN {
            let module = ("/etc/envoy/traffic_split.wasm", module);
            let bootstrap = replaced(file, replacements.iter().chain(&[module]))?;
            return Ok(Self { bootstrap, filter: String::new(), folder });
        }
        let own = [
            ("path: manifests/traffic-split.yaml", &*format!("path: {path}/{FILTER}")),
            (
                "watched_directory: { path: manifests }",
                &format!("watched_directory: {{ path: {path} }}"),
            ),
        ];
        let bootstrap = replaced(file, replacements.iter().chain(&own))?;
        let filter = replaced(FILTER, &[("target/traffic_split.wasm", module)])?;
        Ok(Self { bootstrap, filter, folder })
    }

    /// Gives the filter of the manifest another configuration.
    pub fn reconfigured(mut self, configuration: &Value) -> Result<Self> {
        let mut filter: Value = serde_saphyr::from_str(&self.filter)?;
        let value = filter.pointer_mut(CONFIGURATION).context("no configuration")?;
        *value = configuration.to_string().into();
        self.filter = filter.to_string();
        Ok(self)
    }

    /// Changes Envoy's configuration as data.
    pub fn changed(mut self, change: impl FnOnce(&mut Value) -> Result<()>) -> Result<Self> {
        let mut bootstrap = serde_saphyr::from_str(&self.bootstrap)?;
        change(&mut bootstrap)?;
        self.bootstrap = bootstrap.to_string();
        Ok(self)
    }

    /// Replaces what occurs once.
    pub fn replaced(mut self, from: &str, to: &str) -> Result<Self> {
        let found = self.bootstrap.matches(from).count() + self.filter.matches(from).count();
        ensure!(found == 1, "the manifest holds `{from}` {found} times, not once");
        self.bootstrap = self.bootstrap.replace(from, to);
        self.filter = self.filter.replace(from, to);
        Ok(self)
    }

    /// Writes the filter's file, and says what an Envoy needs to run this.
    pub fn setup(self, concurrency: u32) -> Result<Setup> {
        if !self.filter.is_empty() {
            fs::write(self.folder.path().join(FILTER), &self.filter)?;
        }
        Ok(Setup {
            bootstrap: self.bootstrap,
            concurrency,
            listeners: 1,
            folder: Some(self.folder),
        })
    }
}

/// The file of the filter of an Envoy that runs `manifests/envoy.yaml`.
pub fn filter_of(envoy: &envoy::Envoy) -> PathBuf {
    envoy.log_path().with_file_name(FILTER)
}

/// Moves a text into the place of a file, as `mv` does: a reader sees the old file or the new one.
pub fn put(path: &Path, text: &str) -> Result<()> {
    let next = path.with_extension("next");
    fs::write(&next, text)?;
    Ok(fs::rename(&next, path)?)
}

fn replaced<'r>(
    file: &str,
    replacements: impl IntoIterator<Item = &'r (&'r str, &'r str)>,
) -> Result<String> {
    let mut text = read(file)?;
    for (from, to) in replacements {
        let found = text.matches(from).count();
        ensure!(found == 1, "manifests/{file} holds `{from}` {found} times, not once");
        text = text.replace(from, to);
    }
    Ok(text)
}
