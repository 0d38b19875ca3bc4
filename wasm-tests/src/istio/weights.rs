//! The weights of a route as Envoy has them, and how they change.

use super::proxy::Proxy;
use anyhow::{Context, Result};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// The weights of one route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weights {
    /// The header that Envoy takes instead of chance; empty where there is none.
    pub header: String,
    /// The sum of the weights of clusters whose name holds `canary`, in percent of all.
    pub canary: u32,
}

/// The first route of a virtual host; none where it has a single cluster.
pub async fn weights(proxy: &Proxy, virtual_host: &str) -> Result<Option<Weights>> {
    read(proxy.admin, virtual_host).await
}

async fn read(admin: SocketAddr, virtual_host: &str) -> Result<Option<Weights>> {
    let page = "/config_dump?resource=dynamic_route_configs";
    let dump: Value = serde_json::from_slice(&crate::envoy::get(admin, page).await?)?;
    let configs = dump["configs"].as_array().into_iter().flatten();
    let hosts = configs.flat_map(|each| each["route_config"]["virtual_hosts"].as_array());
    let mut hosts = hosts.flatten();
    let host = hosts.find(|host| host["name"] == virtual_host).context("no such virtual host")?;
    let action = &host["routes"][0]["route"]["weighted_clusters"];
    let Some(clusters) = action["clusters"].as_array() else { return Ok(None) };
    let weight = |cluster: &Value| cluster["weight"].as_u64().unwrap_or_default();
    let canary = |cluster: &&Value| cluster["name"].as_str().unwrap_or_default().contains("canary");
    let total: u64 = clusters.iter().map(weight).sum();
    let part: u64 = clusters.iter().filter(canary).map(weight).sum();
    let header = action["header_name"].as_str().unwrap_or_default().to_owned();
    Ok(Some(Weights { header, canary: u32::try_from(part * 100 / total.max(1))? }))
}

/// The time from which on a route had a weight: Envoy took it between the two.
#[derive(Clone, Debug)]
pub struct Change {
    /// It was not there yet.
    pub before: Duration,
    /// It was there.
    pub after: Duration,
    /// The canary's weight in percent.
    pub canary: u32,
}

/// Looks all the time. It ends when this value is dropped.
pub struct Watch {
    changes: Arc<Mutex<Vec<Change>>>,
    task: JoinHandle<()>,
}

const PAUSE: Duration = Duration::from_millis(50);

impl Watch {
    /// Starts to look; times are since `started`.
    pub fn start(proxy: &Proxy, virtual_host: &str, started: Instant) -> Self {
        let (admin, virtual_host) = (proxy.admin, virtual_host.to_owned());
        let changes = Arc::<Mutex<Vec<Change>>>::default();
        let seen = Arc::clone(&changes);
        let task = tokio::spawn(async move {
            let mut before = Duration::ZERO;
            loop {
                let asked = started.elapsed();
                if let Ok(weights) = read(admin, &virtual_host).await {
                    let canary = weights.map_or(0, |weights| weights.canary);
                    let mut changes = seen.lock().unwrap_or_else(PoisonError::into_inner);
                    if changes.last().is_none_or(|last: &Change| last.canary != canary) {
                        changes.push(Change { before, after: started.elapsed(), canary });
                    }
                }
                before = asked;
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self { changes, task }
    }

    /// The changes so far.
    pub fn changes(&self) -> Vec<Change> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}
