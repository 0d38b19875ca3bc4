//! Istio itself, as released, in front of a real Kubernetes API: no cluster and no containers.
//!
//! - [`tools`] builds the programs from their Go modules.
//! - [`kubernetes`] is etcd and the API server, which keep what is applied; nothing is scheduled.
//! - [`control_plane`] is istiod, which reads from there.
//! - [`proxy`] is a pilot-agent with its Envoy, in the place of a pod.
//! - [`registry`] serves the module's image; [`folder`] is a user's copy of the manifests.
//! - [`mesh`] is the usual whole.

pub mod control_plane;
pub mod folder;
pub mod kubernetes;
pub mod mesh;
pub mod proxy;
pub mod registry;
pub mod tools;

use anyhow::{Context, Result};
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The minor version that Istio's own proxy is built from: Istio 1.31 ships Envoy 1.39.
pub const ENVOY: &str = "1.39.3";

/// Long enough for a busy machine; only what hangs takes it.
const LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// A loopback port that is free now. Several of these programs cannot choose one themselves.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Polls until `attempt` gives a value. The error after the limit is the attempt's last one.
pub async fn eventually<T>(what: &str, mut attempt: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let started = Instant::now();
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) if started.elapsed() > LIMIT => {
                return Err(error).with_context(|| format!("{what}: not after {LIMIT:?}"));
            }
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

/// The log of a program in its folder, and the file to write it to.
fn log(folder: &Path, name: &str) -> Result<(PathBuf, File)> {
    let path = folder.join(format!("{name}.log"));
    let file = File::create(&path)?;
    Ok((path, file))
}

/// The end of a log, for an error's message.
fn tail(path: &Path) -> String {
    let text = fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let text = text.unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    format!("{}:\n{}", path.display(), lines[lines.len().saturating_sub(20)..].join("\n"))
}
