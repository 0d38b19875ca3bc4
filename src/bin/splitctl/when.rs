//! The time at which a configuration is evaluated.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use traffic_split::config::parse_time;

/// The option `--at`.
#[derive(Args)]
pub struct When {
    /// The time at which ramps and cookies are evaluated, in UTC, as in 2026-12-01T09:00:00Z
    /// [default: now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<u64>,
}

impl When {
    /// The time given, or now, in seconds since 1970.
    pub fn seconds(&self) -> u64 {
        self.at.unwrap_or_else(now)
    }
}

/// The present time, in seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Reads a time, in seconds since 1970.
pub fn time(text: &str) -> Result<u64, String> {
    parse_time(text).ok_or_else(|| "give it in UTC, as in 2026-12-01T09:00:00Z".to_owned())
}
