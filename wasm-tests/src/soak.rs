//! A real Envoy under load for long, with every feature on and its configuration changing.

use crate::bootstrap::{self, DEFAULT, Listener, typed};
use crate::client::{Client, Protocol};
use crate::envoy::{self, Envoy, Setup};
use crate::find;
use crate::message::Request;
use crate::upstream::{self, Upstream};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const NAME: &str = "soak";
const PATIENCE: Duration = Duration::from_secs(60);

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Requests, before the updates begin.
    pub requests: u64,
    /// Good configurations, under load.
    pub good: u32,
    /// Bad ones among them.
    pub bad: u32,
    /// Envoy's workers, and as many connections for each.
    pub workers: u32,
}

/// What was seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Requests answered, over all.
    pub requests: u64,
    /// Requests that no upstream answered.
    pub failed: u64,
    /// Seconds that the requests before the updates took.
    pub seconds: f64,
    /// Updates that Envoy took and refused.
    pub updates: (u64, u64),
    /// Memory of Envoy with its VMs in KiB: warm, after the requests, after a tenth of the updates,
    /// after all.
    pub resident: [u64; 4],
    /// VMs there are at the end and were before the updates.
    pub vms: (u64, u64),
}

impl Figures {
    /// Growth of the memory over the requests, and over the updates, in percent.
    pub fn growth(&self) -> [f64; 2] {
        let [warm, requests, tenth, all] = self.resident.map(|kib| kib as f64);
        [100.0 * (requests / warm - 1.0), 100.0 * (all / tenth - 1.0)]
    }
}

/// Every feature; another salt is another configuration.
fn configuration(salt: u32) -> Value {
    let signing = json!({"env": "SPLIT_COOKIE_KEYS"});
    let issue = json!({"cookie": "id", "maxAge": "30d", "signing": signing});
    json!({
        "clusterHeader": "x-split-cluster",
        "variantHeader": "x-split-variant",
        "variants": {"stable": {"cluster": "stable"}, "canary": {"cluster": "canary"}},
        "rules": [
            {"name": "agents", "match": [{"headers": {"user-agent": {"regex": "(curl|wget)/[0-9.]+"}}}], "to": "stable"},
            {"name": "testers", "match": [{"cookies": {"group": {"in": ["beta", "alpha"]}}}], "to": "canary"},
            {"name": "near", "match": [{"sourceIp": ["10.0.0.0/8"]}], "to": "canary"},
            {"name": "slice", "layer": "l", "slice": [0, 10], "to": "canary",
             "sticky": {"key": [{"cookie": "uid"}], "issue": issue}},
            {"name": "kept", "match": [{"path": {"prefix": "/kept"}}], "split": {"stable": 1, "canary": 1},
             "persist": {"cookie": "kept", "maxAge": "1h", "signing": signing}},
            {"name": "rest", "split": {"stable": 90, "canary": 10}, "history": [{"stable": 1}],
             "sticky": {"key": [{"cookie": "uid"}], "issue": issue, "salt": format!("salt {salt}")}}
        ]
    })
}

fn request(n: u64) -> Request {
    let uid = format!("uid=user-{n}; a=b");
    match n % 5 {
        0 => Request::get("/").with("user-agent", "curl/8.1"),
        1 => Request::get("/").with("cookie", "group=beta"),
        2 => Request::get("/kept?a=b").with("cookie", "kept=forged.0.1.AAAA; uid=7"),
        3 => Request::get("/"),
        _ => Request::get("/reviews").with("cookie", uid.as_str()),
    }
}

struct Soak {
    envoy: Envoy,
    path: PathBuf,
    _upstreams: BTreeMap<String, Upstream>,
    sent: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
}

/// Runs it, and tells of its progress.
pub async fn run(scale: Scale) -> Result<Figures> {
    let soak = Soak::start(scale.workers).await?;
    let mut figures = Figures::default();
    soak.load(scale.workers, scale.requests / 10).await?;
    figures.resident[0] = soak.resident()?;
    let started = Instant::now();
    soak.load(scale.workers, scale.requests - scale.requests / 10).await?;
    figures.seconds = started.elapsed().as_secs_f64();
    figures.resident[1] = soak.resident()?;
    figures.vms.1 = soak.vms().await?;
    eprintln!("{figures:?}");
    soak.updates(scale, &mut figures).await?;
    figures.vms.0 = soak.vms().await?;
    figures.requests = soak.sent.load(Ordering::Relaxed);
    figures.failed = soak.failed.load(Ordering::Relaxed);
    Ok(figures)
}

impl Soak {
    async fn start(workers: u32) -> Result<Self> {
        let upstreams = upstream::start([DEFAULT, "stable", "canary"]).await?;
        let folder = envoy::folder()?;
        let path = folder.path().join("filter.json");
        write(&path, &configuration(0).to_string())?;
        let source = json!({"path_config_source": {"path": path}, "resource_api_version": "V3"});
        let kind = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
        let mut listener = Listener::without_filter(NAME);
        let discovery = json!({"config_source": source, "type_urls": [kind]});
        listener.filters = vec![json!({"name": NAME, "config_discovery": discovery})];
        let bootstrap = bootstrap::bootstrap(&[listener], &upstreams);
        let setup = Setup { bootstrap, concurrency: workers, listeners: 1, folder: Some(folder) };
        let envoy = Envoy::start(&find::launcher()?, setup).await?;
        let (sent, failed) = Default::default();
        Ok(Self { envoy, path, _upstreams: upstreams, sent, failed })
    }

    /// Sends so many requests, over a few connections to each worker.
    async fn load(&self, workers: u32, count: u64) -> Result<()> {
        let until = self.sent.load(Ordering::Relaxed) + count;
        self.ask(workers, move |sent| sent < until).await
    }

    async fn ask(
        &self,
        workers: u32,
        go_on: impl Fn(u64) -> bool + Copy + Send + 'static,
    ) -> Result<()> {
        let mut tasks = JoinSet::new();
        for _ in 0..workers * 4 {
            let (sent, failed) = (Arc::clone(&self.sent), Arc::clone(&self.failed));
            let address = self.envoy.address(NAME)?;
            tasks.spawn(async move {
                let mut client = Client::connect(Protocol::Http1, address).await?;
                loop {
                    let n = sent.fetch_add(1, Ordering::Relaxed);
                    if !go_on(n) {
                        sent.fetch_sub(1, Ordering::Relaxed);
                        return anyhow::Ok(());
                    }
                    let reply = client.send(&request(n)).await?;
                    if reply.status != 200 || reply.upstream().is_none() {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        while let Some(task) = tasks.join_next().await {
            task??;
        }
        Ok(())
    }

    /// Configurations one after the other while requests go on; every so many-th is bad.
    async fn updates(&self, scale: Scale, figures: &mut Figures) -> Result<()> {
        static STOP: AtomicBool = AtomicBool::new(false);
        let all = scale.good + scale.bad;
        let every = all.checked_div(scale.bad).unwrap_or(u32::MAX);
        let pushing = async {
            let mut bad = 0;
            for n in 1..=all {
                let is_bad = n % every == 0 && bad < scale.bad;
                bad += u32::from(is_bad);
                let config = configuration(n).to_string();
                let config = if is_bad { config.replace("\"to\"", "\"too\"") } else { config };
                let taken = self.push(&config).await?;
                ensure!(taken != is_bad, "update {n} of {all}: taken: {taken}");
                figures.updates.0 += u64::from(taken);
                figures.updates.1 += u64::from(!taken);
                if n == (all / 10).max(1) {
                    figures.resident[2] = self.resident()?;
                }
                if n % 100 == 0 {
                    eprintln!("{n} of {all} updates, {} KiB", self.resident()?);
                }
            }
            figures.resident[3] = self.resident()?;
            anyhow::Ok(())
        };
        let pushing = async {
            let outcome = pushing.await;
            STOP.store(true, Ordering::Relaxed);
            outcome
        };
        let (pushed, asked) =
            tokio::join!(pushing, self.ask(scale.workers, |_| !STOP.load(Ordering::Relaxed)));
        asked?;
        pushed
    }

    /// Whether Envoy takes this configuration of the filter.
    async fn push(&self, configuration: &str) -> Result<bool> {
        let before = self.verdicts().await?;
        write(&self.path, configuration)?;
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            let now = self.verdicts().await?;
            if now != before {
                return Ok(now.1 == before.1);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bail!("Envoy did not read {}:\n{}", self.path.display(), self.envoy.log())
    }

    /// Updates taken and refused.
    async fn verdicts(&self) -> Result<(u64, u64)> {
        let stats = self.envoy.stats().await?;
        let sum = |end: &str| {
            let ours =
                |name: &str| name.contains("extension_config_discovery") && name.ends_with(end);
            stats.iter().filter(|(name, _)| ours(name)).map(|(_, count)| count).sum::<u64>()
        };
        Ok((sum(".config_reload"), sum(".update_rejected")))
    }

    async fn vms(&self) -> Result<u64> {
        self.envoy.stat("wasm.envoy.wasm.runtime.v8.active").await
    }

    /// Memory of the Envoy in this folder, its VMs included, in KiB.
    fn resident(&self) -> Result<u64> {
        let folder = self.path.parent().context("no folder")?.display().to_string();
        for process in fs::read_dir("/proc")? {
            let process = process?.path();
            // What has ended meanwhile cannot be read, and is not the one.
            let line = fs::read(process.join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).into_owned();
            let program = line.split('\0').next().unwrap_or_default();
            if program.ends_with("envoy") && line.contains(&folder) {
                let status = fs::read_to_string(process.join("status"))?;
                let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
                let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
                return Ok(kib.context("no VmRSS")?.trim().parse()?);
            }
        }
        bail!("no Envoy runs in {folder}")
    }
}

/// Moves it into place: Envoy watches for that.
fn write(path: &Path, configuration: &str) -> Result<()> {
    let mut filter = Listener::new(NAME, configuration)?.filters.pop().context("no filter")?;
    let resource = json!({"name": NAME, "typed_config": filter["typed_config"].take()});
    let resource = typed("envoy.config.core.v3.TypedExtensionConfig", resource);
    let next = path.with_extension("next");
    fs::write(&next, json!({"resources": [resource]}).to_string())?;
    fs::rename(&next, path)?;
    Ok(())
}
