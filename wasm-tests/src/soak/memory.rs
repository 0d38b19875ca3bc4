//! The memory that an Envoy holds, as the kernel and as Envoy itself count it.

use crate::envoy::{self, Envoy};
use anyhow::{Context, Result};
use procfs::process::{MMPermissions, MemoryMap, MemoryMaps};
use serde_json::Value;

/// Amounts of memory in KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The resident memory.
    pub envoy: u64,
    /// The memory that Envoy has asked of its allocator and not given back: without what the
    /// allocator keeps for later, which grows and shrinks by megabytes, and without programs and
    /// VMs.
    pub heap: u64,
    /// The linear memories of the filter's VMs: what the module has asked for, touched or not.
    pub vms: u64,
}

/// V8 keeps so many bytes of addresses for a linear memory, and lets the module at those it has.
const RESERVED: u64 = 4 << 30;

/// The memory of this Envoy.
pub(super) async fn of(envoy: &Envoy) -> Result<Memory> {
    let answer: Value = serde_json::from_slice(&envoy::get(envoy.admin(), "/memory").await?)?;
    let allocated = answer["allocated"].as_str().and_then(|bytes| bytes.parse::<u64>().ok());
    let heap = allocated.context("/memory without allocated")? / 1024;
    Ok(Memory { heap, ..mappings(&envoy.process()?.smaps()?) })
}

/// The resident memory, and the linear memories in it. A linear memory is a mapping that can be
/// written, followed at once by addresses that cannot be touched; the two together have as many
/// addresses as V8 keeps for one.
fn mappings(maps: &MemoryMaps) -> Memory {
    let resident = maps.iter().filter_map(|map| map.extension.map.get("Rss")).sum::<u64>() / 1024;
    let linear = |(map, next): (&MemoryMap, &MemoryMap)| {
        let ((start, end), (begin, last)) = (map.address, next.address);
        let writable =
            map.perms == MMPermissions::READ | MMPermissions::WRITE | MMPermissions::PRIVATE;
        let kept = next.perms == MMPermissions::PRIVATE && begin == end && last - start >= RESERVED;
        if writable && kept { (end - start) / 1024 } else { 0 }
    };
    let vms = maps.iter().zip(maps.iter().skip(1)).map(linear).sum();
    Memory { envoy: resident, vms, ..Memory::default() }
}
