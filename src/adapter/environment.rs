//! Chance and time, from Envoy.

use super::abi;
use crate::Environment;

/// Envoy's clock and entropy.
pub(super) struct Host;

/// Seeds the fast generator from the host's entropy: by itself fastrand would take a clock, and two
/// workers, or two starts, could draw alike.
pub(super) fn seed_random() -> Result<(), getrandom::Error> {
    getrandom::u64().map(fastrand::seed)
}

/// Milliseconds since 1970.
pub(super) fn milliseconds() -> Result<u64, abi::Status> {
    Ok(abi::current_time()? / 1_000_000)
}

/// Seconds since 1970.
pub(super) fn seconds() -> Result<u64, abi::Status> {
    Ok(milliseconds()? / 1000)
}

impl Environment for Host {
    fn random(&mut self) -> u64 {
        fastrand::u64(..)
    }

    fn entropy(&mut self) -> Option<[u8; 16]> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Without a clock it is 1970: every signed cookie then counts as issued in the future.
    fn now(&mut self) -> u64 {
        seconds().unwrap_or(0)
    }
}
