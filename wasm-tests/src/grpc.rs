//! gRPC's own client and server (the wheel `grpcio`), installed into `target/`.

use crate::process::Process;
use crate::{envoy, wheels};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use tempfile::TempDir;

/// About 18 MB.
const GRPCIO: &str = "grpcio==1.76.0";
const TYPING: &str = "typing-extensions==4.15.0";

/// A gRPC server, or a client that goes on calling. It ends when this value is dropped.
pub struct Peer {
    process: Process,
    _folder: TempDir,
}

impl Peer {
    /// Starts a server that answers calls with this status.
    pub async fn serve(code: &str) -> Result<(Self, SocketAddr)> {
        let mut peer = Self::start(&["serve", code])?;
        let log = peer.process.log_path().to_owned();
        let address = peer.process.until("a gRPC server", async || {
            let log = fs::read_to_string(&log)?;
            let line = log.lines().find_map(|line| line.strip_prefix("listening "));
            Ok(line.context("it does not listen")?.parse()?)
        });
        let address = address.await?;
        Ok((peer, address))
    }

    /// Makes many calls, one by one, for as long as the value lives.
    pub fn keep_calling(address: SocketAddr, method: &str) -> Result<Self> {
        Self::start(&["call", &address.to_string(), method, "1000000", ""])
    }

    fn start(arguments: &[&str]) -> Result<Self> {
        let folder = envoy::folder()?;
        let log = folder.path().join("grpc.log");
        let [path, python, script] = words()?;
        let arguments = arguments.iter().map(OsString::from);
        let words = [path, python, script].into_iter().chain(arguments);
        Ok(Self { process: Process::spawn("env", words, log)?, _folder: folder })
    }
}

/// Makes so many calls, each with this answer wanted; how many ended with each status.
pub fn call(address: SocketAddr, method: &str, count: u32, answer: &str) -> Result<Value> {
    let mut command = Command::new("env");
    command.args(words()?).args(["call", &address.to_string(), method, &count.to_string(), answer]);
    let output = command.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The arguments of `env` that run the script.
fn words() -> Result<[OsString; 3]> {
    let mut path = OsString::from("PYTHONPATH=");
    path.push(wheels::installed("gRPC", &[GRPCIO, TYPING])?);
    let script = crate::root().join("wasm-tests/src/grpc/peer.py");
    Ok([path, "python3".into(), script.into()])
}
