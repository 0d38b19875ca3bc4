//! What an Envoy holds of the machine's memory, as the kernel and as Envoy itself count it.

use crate::envoy::{self, Envoy};
use anyhow::{Context, Result};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// In KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// All that is resident.
    pub envoy: u64,
    /// What Envoy has asked of its allocator and not given back: without what the allocator keeps
    /// for later, which grows and shrinks by megabytes, and without programs and VMs.
    pub heap: u64,
    /// The linear memories of the filter's VMs: what the module has asked for, touched or not.
    pub vms: u64,
}

/// V8 keeps so many bytes of addresses for a linear memory, and lets the module at those it has.
const RESERVED: u64 = 4 << 30;

/// Of this Envoy, whose files are in this folder.
pub(super) async fn of(envoy: &Envoy, folder: &Path) -> Result<Memory> {
    let answer: Value = serde_json::from_slice(&envoy::get(envoy.admin(), "/memory").await?)?;
    let allocated = answer["allocated"].as_str().and_then(|bytes| bytes.parse::<u64>().ok());
    let heap = allocated.context("/memory without allocated")? / 1024;
    Ok(Memory { heap, ..resident(folder)? })
}

fn resident(folder: &Path) -> Result<Memory> {
    let folder = folder.display().to_string();
    for process in fs::read_dir("/proc")? {
        let process = process?.path();
        // What has ended meanwhile cannot be read, and is not the one.
        let line = fs::read(process.join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        let program = line.split('\0').next().unwrap_or_default();
        if program.ends_with("envoy") && line.contains(&folder) {
            return Ok(mappings(&fs::read_to_string(process.join("smaps"))?));
        }
    }
    anyhow::bail!("no Envoy runs in {folder}")
}

/// A mapping that can be written, followed at once by addresses that cannot be touched, which
/// together are as many as are kept for a linear memory, is one.
fn mappings(smaps: &str) -> Memory {
    let mut memory = Memory::default();
    let mut before = None;
    for line in smaps.lines() {
        if let Ok((start, end, rights)) = range(line) {
            if let Some((begun, ended)) = before
                && ended == start
                && rights == "---p"
                && end - begun >= RESERVED
            {
                memory.vms += (ended - begun) / 1024;
            }
            before = (rights == "rw-p").then_some((start, end));
        } else if let Some(size) = line.strip_prefix("Rss:") {
            let kib = size.trim().strip_suffix(" kB").and_then(|kib| kib.parse::<u64>().ok());
            memory.envoy += kib.unwrap_or_default();
        }
    }
    memory
}

/// `start-end rights ...`
fn range(line: &str) -> Result<(u64, u64, &str)> {
    let (range, rest) = line.split_once(' ').context("no range")?;
    let (start, end) = range.split_once('-').context("no range")?;
    let rights = rest.get(..4).context("no rights")?;
    Ok((u64::from_str_radix(start, 16)?, u64::from_str_radix(end, 16)?, rights))
}
