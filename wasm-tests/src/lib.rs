//! Runs the traffic-split filter in a real Envoy, between real clients and real upstreams.
//!
//! - [`find`] brings an Envoy, [`envoy`] runs it, [`process`] ends it whatever happens to us, and
//!   [`wait`] polls until it serves.
//! - [`bootstrap`] and [`manifest`] say what it runs.
//! - [`scene`] is the usual whole: one configuration of the filter, in one Envoy.
//! - [`redirects`] makes Envoy run requests a second time.
//! - [`updated`] is one whose configuration changes while it serves.
//! - [`discovery`] is a filter that changes without its listener.
//! - [`upstream`] answers behind it, [`client`], [`raw`] and [`load`] ask in front of it.
//! - [`held`] is connections that stay open meanwhile.
//! - [`gateway`] is Envoy Gateway.
//! - [`grpc`] is gRPC's own client and server.
//! - [`traffic`] is users who keep asking, while something changes.
//! - [`prometheus`] runs a Prometheus that scrapes it, brought by [`debian`]; [`picture`] draws what
//!   that knows.
//! - [`browser`] is a headless Chromium before it.
//! - [`session`] runs a program of ours as a person does; [`splitctl`] is one.
//! - [`sdk`] asks the SDKs of flag engines, and nginx.
//! - [`host`] runs its module without Envoy, in an interpreter that counts.
//! - [`fault`] puts a fault into the module, for Envoy to run.
//! - [`attack`] sends requests at random, and checks each answer.
//! - [`soak`] keeps an Envoy under load for long.
//! - [`release`] writes the files of a release, and [`istio::chart`] has helm render the chart.
//! - [`case`] reads the cases that [`native`], the core itself, and Envoy both have to pass.

use std::io::Write;
use std::path::PathBuf;

pub mod attack;
pub mod bootstrap;
pub mod browser;
pub mod case;
pub mod client;
pub mod costly;
pub mod debian;
pub mod discovery;
pub mod duckdb;
pub mod envoy;
pub mod fault;
pub mod find;
pub mod gateway;
pub mod grpc;
pub mod held;
pub mod host;
pub mod istio;
pub mod load;
pub mod manifest;
pub mod message;
pub mod native;
pub mod picture;
pub mod process;
pub mod prometheus;
pub mod raw;
pub mod readme;
pub mod redirects;
pub mod release;
pub mod route;
pub mod scene;
pub mod sdk;
pub mod session;
pub mod soak;
pub mod splitctl;
pub mod standard;
pub mod traffic;
pub mod updated;
pub mod upstream;
pub mod wait;
pub mod wheels;

/// The folder of the workspace.
pub fn root() -> PathBuf {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root
}

/// The folder that holds everything built, downloaded or run.
pub fn target() -> PathBuf {
    root().join("target")
}

/// The filter as Envoy loads it: `WASM`, else what `make wasm` leaves.
pub fn module() -> anyhow::Result<PathBuf> {
    let path = match std::env::var_os("WASM") {
        Some(path) => std::path::absolute(path)?,
        None => target().join("traffic_split.wasm"),
    };
    anyhow::ensure!(path.is_file(), "{} is not there: run `make wasm`", path.display());
    Ok(path)
}

/// The filter as the compiler leaves it, before anything is taken out.
pub fn linked_module() -> anyhow::Result<PathBuf> {
    let builds = std::env::var_os("CARGO_TARGET_DIR").map_or_else(target, PathBuf::from);
    let path = builds.join("wasm32-wasip1/release/traffic_split.wasm");
    anyhow::ensure!(path.is_file(), "{} is not there: run `make wasm`", path.display());
    Ok(std::path::absolute(path)?)
}

/// Says that a test cannot run here, and why; an error where `CI` is set, for there it has to run.
pub fn cannot_run(reason: &str) -> anyhow::Result<()> {
    anyhow::ensure!(std::env::var_os("CI").is_none(), "cannot run, and CI is set: {reason}");
    say(&format!("skipped: {reason}"));
    Ok(())
}

/// Prints a line on standard error, also from a test that passes: unlike what the `print` macros
/// print, it is not captured.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
