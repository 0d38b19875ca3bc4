//! Processor time, and which processor.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use procfs::process::Process;

/// Microseconds of processor time that a process has taken, all its threads together.
pub fn time(process: &Process) -> Result<f64> {
    let stat = process.stat()?;
    Ok((stat.utime + stat.stime) as f64 * 1e6 / procfs::ticks_per_second() as f64)
}

/// Keeps a process and all its threads on one processor.
pub fn pin(process: i32, processor: usize) -> Result<()> {
    let status = Command::new("taskset")
        .args(["-a", "-c", "-p", &processor.to_string(), &process.to_string()])
        .stdout(Stdio::null())
        .status()
        .context("taskset")?;
    ensure!(status.success(), "taskset: {status}");
    Ok(())
}
