//! One configuration of the filter in one Envoy, with an upstream for each cluster it names.

use crate::bootstrap::{self, DEFAULT, Listener};
use crate::envoy::{Envoy, Setup};
use crate::find;
use crate::upstream::{self, Upstream};
use anyhow::Result;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;

const LISTENER: &str = "scene";

/// What is needed to ask, and what has to live while asking.
pub struct Scene {
    /// Where Envoy serves.
    pub address: SocketAddr,
    /// The Envoy.
    pub envoy: Envoy,
    /// Its upstreams, [`DEFAULT`] among them.
    pub upstreams: BTreeMap<String, Upstream>,
}

impl Scene {
    /// Starts it, with so many workers.
    pub async fn start(configuration: &Value, concurrency: u32) -> Result<Self> {
        let listener = Listener::new(LISTENER, &configuration.to_string())?;
        let names = bootstrap::clusters(configuration).chain([DEFAULT]);
        let upstreams = upstream::start(names).await?;
        let bootstrap = bootstrap::bootstrap(&[listener], &upstreams);
        let setup = Setup { bootstrap, concurrency, listeners: 1, folder: None };
        let envoy = Envoy::start(&find::launcher()?, setup).await?;
        Ok(Self { address: envoy.address(LISTENER)?, envoy, upstreams })
    }

    /// How many connections each worker has accepted, in the order of the workers.
    pub async fn connections(&self) -> Result<Vec<u64>> {
        let stats = self.envoy.stats().await?;
        let worker = |(name, count): (String, u64)| {
            let ours = name.starts_with("listener.127.0.0.1_") && name.contains(".worker_");
            (ours && name.ends_with(".downstream_cx_total")).then_some(count)
        };
        Ok(stats.into_iter().filter_map(worker).collect())
    }
}
