//! An Envoy that reads its one listener from a file, so that its configuration can change.

use crate::bootstrap::{self, DEFAULT, Listener};
use crate::envoy::{self, Envoy, Setup};
use crate::message::Request;
use crate::upstream::{self, Upstream};
use crate::wait::eventually;
use crate::{find, raw};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

const LISTENER: &str = "updated";
/// The path of a rule by which a worker says which configuration it has.
const PROBE: &str = "/which-configuration";

/// An Envoy with a single worker, which holds exactly one configuration at a time.
pub struct Updated {
    envoy: Envoy,
    path: PathBuf,
    generation: u32,
    _upstreams: BTreeMap<String, Upstream>,
}

impl Updated {
    /// Starts it; `clusters` are those of every configuration to come.
    pub async fn start(
        configuration: &Value,
        environment: &[(&str, &str)],
        clusters: &[&str],
    ) -> Result<Self> {
        Self::before(configuration, environment, upstream::start(clusters.iter().copied()).await?)
            .await
    }

    /// Starts it before these upstreams.
    pub async fn before(
        configuration: &Value,
        environment: &[(&str, &str)],
        mut upstreams: BTreeMap<String, Upstream>,
    ) -> Result<Self> {
        upstreams.extend(upstream::start([DEFAULT]).await?);
        let folder = envoy::folder()?;
        let path = folder.path().join("listeners.json");
        std::fs::write(&path, listeners(configuration, environment, 0)?.to_string())?;
        let bootstrap = bootstrap::dynamic(&path, &upstreams);
        let setup = Setup { bootstrap, concurrency: 1, listeners: 1, folder: Some(folder) };
        let envoy = Envoy::start(&find::launcher()?, setup).await?;
        Ok(Self { envoy, path, generation: 0, _upstreams: upstreams })
    }

    /// The address of its listener, under every configuration.
    pub fn address(&self) -> Result<SocketAddr> {
        self.envoy.address(LISTENER)
    }

    /// The Envoy.
    pub fn envoy(&self) -> &Envoy {
        &self.envoy
    }

    /// Changes the configuration and the VM's environment, and waits until the worker has both.
    pub async fn update(
        &mut self,
        configuration: &Value,
        environment: &[(&str, &str)],
    ) -> Result<()> {
        self.generation += 1;
        let resources = listeners(configuration, environment, self.generation)?;
        let taken = self.envoy.update(&self.path, &resources).await?;
        ensure!(taken, "{configuration}: refused\n{}", self.envoy.log());
        let expected = name(self.generation);
        eventually("the worker's configuration", async || {
            // A connection of its own each time: an old one ends in the old configuration.
            let reply = raw::send(self.address()?, &Request::get(PROBE)).await?;
            let told = reply.header("x-split-debug").unwrap_or_default();
            // Under a hold, the debug header alone knows the rule.
            let new = told.starts_with(&format!("rule={expected};"))
                || reply.seen()?.all("x-split-variant") == [expected.as_bytes()];
            ensure!(new, "still the old: {}", self.envoy.log());
            Ok(())
        })
        .await
    }
}

fn name(generation: u32) -> String {
    format!("generation-{generation}")
}

fn listeners(
    configuration: &Value,
    environment: &[(&str, &str)],
    generation: u32,
) -> Result<Value> {
    let mut configuration = configuration.clone();
    let name = name(generation);
    configuration["variants"][&name] = json!({"cluster": DEFAULT});
    if let Some(rules) = configuration["rules"].as_array_mut() {
        let probe = json!({"name": name, "match": [{"path": {"exact": PROBE}}], "to": name});
        rules.insert(0, probe);
    }
    let text = configuration.to_string();
    let listener = Listener::in_environment(LISTENER, &text, environment)?;
    Ok(bootstrap::discovered(&[listener]))
}
