//! The log, and what a panic says: both go to Envoy's log. The SDK's own logger panics where the
//! host does not take a line.

use std::panic;

use log::{Level, LevelFilter, Log, Metadata, Record};
use proxy_wasm::types::LogLevel;

use super::abi;

struct HostLog;

/// Leads `log` and panics to the host, from the level `info` up.
pub(super) fn install() {
    log::set_max_level(LevelFilter::Info);
    // Only the first logger of a VM is taken, and there is no other.
    let _ = log::set_logger(&HostLog);
    panic::set_hook(Box::new(|panic| write(LogLevel::Critical, &panic.to_string())));
}

/// A line that the host does not take is lost: there is no other place for it.
fn write(level: LogLevel, line: &str) {
    let _ = abi::log(level, line);
}

impl Log for HostLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        let level = match record.level() {
            Level::Error => LogLevel::Error,
            Level::Warn => LogLevel::Warn,
            Level::Info => LogLevel::Info,
            Level::Debug => LogLevel::Debug,
            Level::Trace => LogLevel::Trace,
        };
        write(level, &record.args().to_string());
    }

    fn flush(&self) {}
}
