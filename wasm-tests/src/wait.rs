//! Waiting for what another program does in its own time.

use anyhow::{Context, Result};
use std::time::{Duration, Instant};

/// The longest wait, enough for a busy machine; only a program that hangs takes it.
pub const PATIENCE: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(20);

/// Polls until `attempt` gives a value. The error after [`PATIENCE`] is the attempt's last one.
pub async fn eventually<T>(what: &str, attempt: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    polling(what, POLL, attempt).await
}

/// Polls as [`eventually`] does, with this time between two attempts.
pub async fn polling<T>(
    what: &str,
    pause: Duration,
    mut attempt: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let started = Instant::now();
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) if started.elapsed() > PATIENCE => {
                return Err(error).with_context(|| format!("{what}: not after {PATIENCE:?}"));
            }
            Err(_) => tokio::time::sleep(pause).await,
        }
    }
}
