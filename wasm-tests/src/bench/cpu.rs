//! Processor time, and which processor.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// The kernel counts in hundredths of a second (`USER_HZ`), whatever its own clock does.
const TICK_MICROSECONDS: f64 = 10_000.0;

/// The process that was started with this configuration file, by its command line.
pub fn process(config: &Path) -> Result<u32> {
    let config = config.as_os_str().as_encoded_bytes();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let Some(id) = path.file_name().and_then(|name| name.to_str()?.parse().ok()) else {
            continue;
        };
        let line = fs::read(path.join("cmdline")).unwrap_or_default();
        let mut words = line.split(|byte| *byte == 0);
        let program = words.next().unwrap_or_default();
        // Not the shell and not func-e, which have it on their command lines too.
        if program.ends_with(b"/envoy") && words.any(|word| word == config) {
            return Ok(id);
        }
    }
    anyhow::bail!("no Envoy runs with this configuration")
}

/// Microseconds of processor time that a process has taken, all its threads together.
pub fn time(process: u32) -> Result<f64> {
    let path = format!("/proc/{process}/stat");
    let stat = fs::read_to_string(&path).context(path)?;
    // The name in brackets may hold anything; what follows begins with the third field.
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let [user, system] = [fields.get(11), fields.get(12)].map(|f| f.and_then(|f| f.parse().ok()));
    let ticks: u64 = user.zip(system).map(|(u, s): (u64, u64)| u + s).context("no CPU time")?;
    Ok(ticks as f64 * TICK_MICROSECONDS)
}

/// Keeps a process and all its threads on one processor.
pub fn pin(process: u32, processor: usize) -> Result<()> {
    let status = Command::new("taskset")
        .args(["-a", "-c", "-p", &processor.to_string(), &process.to_string()])
        .stdout(Stdio::null())
        .status()
        .context("taskset")?;
    ensure!(status.success(), "taskset: {status}");
    Ok(())
}
