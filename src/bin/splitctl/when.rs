//! The time that an answer is for.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use traffic_split::config::parse_time;

/// When the configuration is looked at.
#[derive(Args)]
pub struct When {
    /// The time that ramps and cookies are seen at, in UTC, as in 2026-12-01T09:00:00Z
    /// [default: now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<u64>,
}

impl When {
    /// Seconds since 1970.
    pub fn seconds(&self) -> u64 {
        self.at.unwrap_or_else(now)
    }
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn time(text: &str) -> Result<u64, String> {
    parse_time(text).ok_or_else(|| "give it in UTC, as in 2026-12-01T09:00:00Z".to_owned())
}
