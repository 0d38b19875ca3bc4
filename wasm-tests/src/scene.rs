//! Configurations of the filter in one Envoy, with an upstream for each cluster they name.

use crate::bootstrap::{self, DEFAULT, Listener};
use crate::client::{Client, Protocol};
use crate::envoy::{Envoy, Setup};
use crate::message::Request;
use crate::upstream::{self, Upstream};
use crate::wait::eventually;
use crate::{find, manifest};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;

const LISTENER: &str = "scene";

/// An Envoy with its upstreams.
pub struct Scene {
    /// The address of the first listener.
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
        Self::with(&[listener], bootstrap::clusters(configuration), concurrency).await
    }

    /// Starts it with the manifest's access log, which is in Envoy's own.
    pub async fn logged(configuration: &Value, concurrency: u32) -> Result<Self> {
        let mut listener = Listener::new(LISTENER, &configuration.to_string())?;
        listener.access_log = manifest::access_log()?;
        Self::with(&[listener], bootstrap::clusters(configuration), concurrency).await
    }

    /// Starts one with several listeners; `address` is that of the first.
    pub async fn with<'a>(
        listeners: &[Listener],
        clusters: impl Iterator<Item = &'a str>,
        concurrency: u32,
    ) -> Result<Self> {
        let upstreams = upstream::start(clusters.chain([DEFAULT])).await?;
        let bootstrap = bootstrap::bootstrap(listeners, &upstreams);
        let setup = Setup { bootstrap, concurrency, listeners: listeners.len(), folder: None };
        let envoy = Envoy::start(&find::launcher()?, setup).await?;
        let first = listeners.first().map_or(LISTENER, |listener| &listener.name);
        Ok(Self { address: envoy.address(first)?, envoy, upstreams })
    }

    /// A client that goes away once its request, which must go to this cluster, is at the upstream.
    pub async fn give_up(&self, cluster: &str, request: Request) -> Result<()> {
        let upstream = self.upstreams.get(cluster).with_context(|| format!("no {cluster}"))?;
        let before = upstream.count();
        let mut client = Client::connect(Protocol::Http1, self.address).await?;
        let waiting = tokio::spawn(async move { client.send(&request).await });
        eventually("the request", async || {
            ensure!(upstream.count() > before, "it did not arrive");
            Ok(())
        })
        .await?;
        waiting.abort();
        Ok(())
    }

    /// The number of connections that each worker has accepted, in the order of the workers.
    pub async fn connections(&self) -> Result<Vec<u64>> {
        let stats = self.envoy.stats().await?;
        let worker = |(name, count): (String, u64)| {
            let ours = name.starts_with("listener.127.0.0.1_") && name.contains(".worker_");
            (ours && name.ends_with(".downstream_cx_total")).then_some(count)
        };
        Ok(stats.into_iter().filter_map(worker).collect())
    }
}
