//! A real Envoy under load for long, with every feature on and its configuration changing.

mod features;
mod figures;
mod memory;
mod traffic;

pub use figures::Figures;
pub use memory::Memory;

use crate::bootstrap::{self, DEFAULT, Listener};
use crate::discovery::Discovered;
use crate::envoy::{self, Envoy, Setup};
use crate::find;
use crate::load::at_once;
use crate::upstream::Upstream;
use anyhow::{Context, Result, ensure};
use clap::Args;
use figures::{END, HALF, TENTH, UPDATED, WARM};
use serde_json::Value;
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::time::MissedTickBehavior;
use traffic::Traffic;

const NAME: &str = "soak";
/// The time between two questions whether Envoy has taken an update.
const ASK: Duration = Duration::from_millis(5);
/// Connections to each worker: one that waits for the client leaves another one to serve.
const CONNECTIONS: u32 = 4;

/// The amount of work.
#[derive(Args, Clone, Copy, Debug)]
pub struct Scale {
    /// Requests at least: a tenth to warm up, half before the updates, the others during and after.
    #[arg(default_value_t = 5_000_000)]
    pub requests: u64,
    /// Good configurations, under load; the first tenth warms up.
    #[arg(default_value_t = 1_000)]
    pub good: u32,
    /// Bad ones among them.
    #[arg(default_value_t = 200)]
    pub bad: u32,
    /// Envoy's workers.
    #[arg(default_value_t = 8)]
    pub workers: u32,
}

struct Soak {
    envoy: Envoy,
    filter: Discovered,
    traffic: Arc<Traffic>,
    workers: u32,
    _upstreams: BTreeMap<String, Upstream>,
}

/// Runs it, and tells of its progress.
pub async fn run(scale: Scale) -> Result<Figures> {
    let soak = Soak::start(scale.workers).await?;
    let mut figures = Figures::default();
    soak.load(scale.requests / 10).await?;
    figures.memory.push((WARM, soak.memory().await?));
    let started = Instant::now();
    let half = scale.requests / 2 - scale.requests / 10;
    soak.load(half).await?;
    figures.rate = half as f64 / started.elapsed().as_secs_f64();
    figures.memory.push((HALF, soak.memory().await?));
    figures.vms.0 = soak.vms().await?;
    soak.updates(scale, &mut figures).await?;
    soak.load(scale.requests.saturating_sub(soak.traffic.sent.load(Relaxed))).await?;
    figures.memory.push((END, soak.memory().await?));
    figures.vms.1 = soak.vms().await?;
    figures.connections = soak.connections().await?;
    let traffic = &soak.traffic;
    figures.requests = traffic.sent.load(Relaxed);
    figures.failed = traffic.failed.load(Relaxed);
    figures.first = traffic.first.get().cloned();
    figures.moved = traffic.moved.load(Relaxed);
    figures.identities = (traffic.issued.load(Relaxed), traffic.distinct());
    Ok(figures)
}

impl Soak {
    async fn start(workers: u32) -> Result<Self> {
        let mut upstreams = BTreeMap::new();
        for name in [DEFAULT, "stable", "canary", "old"] {
            upstreams.insert(name.into(), Upstream::terse(name).await?);
        }
        let run = envoy::folder()?;
        let filter = Discovered::new(run.path(), NAME);
        filter.write(&configured(&features::configuration(0).to_string())?)?;
        let mut listener = Listener::without_filter(NAME);
        listener.filters = vec![filter.filter()];
        let bootstrap = bootstrap::bootstrap(&[listener], &upstreams);
        let setup = Setup { bootstrap, concurrency: workers, listeners: 1, folder: Some(run) };
        let envoy = Envoy::start(&find::launcher()?, setup).await?;
        let traffic = Arc::new(Traffic::new());
        Ok(Self { envoy, filter, traffic, workers, _upstreams: upstreams })
    }

    /// Sends so many requests.
    async fn load(&self, count: u64) -> Result<()> {
        let until = self.traffic.sent.load(Relaxed) + count;
        self.ask(move |sent| sent < until).await
    }

    async fn ask(&self, go_on: impl Fn(u64) -> bool + Copy + Send + 'static) -> Result<()> {
        let address = self.envoy.address(NAME)?;
        let mut asking = pin!(at_once((self.workers * CONNECTIONS) as usize, |_| {
            let traffic = Arc::clone(&self.traffic);
            async move { traffic.ask(address, go_on).await }
        }));
        let mut last = (Instant::now(), self.traffic.sent.load(Relaxed));
        let mut tick = tokio::time::interval(Duration::from_secs(10));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick.tick().await;
        loop {
            tokio::select! {
                asked = &mut asking => return asked.map(drop),
                _ = tick.tick() => last = self.tell(last).await?,
            }
        }
    }

    /// Says how it goes.
    async fn tell(&self, (since, before): (Instant, u64)) -> Result<(Instant, u64)> {
        let (sent, failed) = (self.traffic.sent.load(Relaxed), self.traffic.failed.load(Relaxed));
        let rate = (sent - before) as f64 / since.elapsed().as_secs_f64();
        let Memory { envoy, vms, .. } = self.memory().await?;
        crate::say(&format!(
            "{sent} requests, {failed} failed, {rate:.0} a second; Envoy {envoy} KiB, VMs {vms} KiB"
        ));
        Ok((Instant::now(), sent))
    }

    /// Configurations one after the other while requests go on; every so many-th is bad.
    async fn updates(&self, scale: Scale, figures: &mut Figures) -> Result<()> {
        static STOP: AtomicBool = AtomicBool::new(false);
        STOP.store(false, Relaxed);
        let pushing = async {
            let outcome = self.push_all(scale, figures).await;
            STOP.store(true, Relaxed);
            outcome
        };
        let (pushed, asked) = tokio::join!(pushing, self.ask(|_| !STOP.load(Relaxed)));
        asked?;
        pushed
    }

    async fn push_all(&self, scale: Scale, figures: &mut Figures) -> Result<()> {
        let all = scale.good + scale.bad;
        let every = all.checked_div(scale.bad).unwrap_or(u32::MAX);
        let mut bad = 0;
        for n in 1..=all {
            let is_bad = n % every == 0 && bad < scale.bad;
            let config = if is_bad {
                bad += 1;
                features::mistaken(bad)
            } else {
                features::configuration(n).to_string()
            };
            let taken = self.push(&config).await?;
            ensure!(taken != is_bad, "update {n} of {all}: taken: {taken}");
            figures.updates.0 += u64::from(taken);
            figures.updates.1 += u64::from(!taken);
            if n == (all / 10).max(1) {
                figures.tenth = figures.updates.0;
                figures.memory.push((TENTH, self.memory().await?));
            }
            if n % 100 == 0 {
                crate::say(&format!("{n} of {all} updates"));
            }
        }
        figures.memory.push((UPDATED, self.memory().await?));
        Ok(())
    }

    /// Whether Envoy takes this configuration of the filter.
    async fn push(&self, configuration: &str) -> Result<bool> {
        self.filter.push(&self.envoy, &configured(configuration)?, ASK).await
    }

    async fn vms(&self) -> Result<u64> {
        self.envoy.stat("wasm.envoy.wasm.runtime.v8.active").await
    }

    async fn connections(&self) -> Result<Vec<u64>> {
        let stats = self.envoy.stats_like("worker_.*downstream_cx_total").await?;
        let ours = stats.into_iter().filter(|(name, _)| name.starts_with("listener.127"));
        Ok(ours.map(|(_, count)| count).collect())
    }

    async fn memory(&self) -> Result<Memory> {
        memory::of(&self.envoy).await
    }
}

/// The filter with this configuration.
fn configured(configuration: &str) -> Result<Value> {
    Listener::new(NAME, configuration)?.filters.pop().context("no filter")
}
