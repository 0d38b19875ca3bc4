//! Guards, between the workers of a proxy: what each counted goes into a record that Envoy keeps
//! for all of them, and each reads from it what tripped.

use log::{info, warn};
use proxy_wasm::hostcalls;
use xxhash_rust::xxh64::xxh64;

use super::Running;
use crate::guard::{Change, Guard, Level, Record};
use crate::moment::Moment;

/// Tries to write a record before it is left to the next tick: workers write at the same time.
const TRIES: usize = 8;

/// Names the records of a configuration, so that a changed one starts anew.
#[derive(Default)]
pub(super) struct Guards {
    generation: u64,
}

impl Guards {
    pub(super) fn new(config: &[u8]) -> Self {
        Guards { generation: xxh64(config, 0) }
    }

    /// Adds what this worker counted, and takes over the levels that all agree on.
    pub(super) fn share(&self, running: &Running, moment: &mut Moment, now: u64) {
        let mut tallies = running.tallies.borrow_mut();
        let guards = running.plan.guards.iter().zip(tallies.iter_mut());
        for ((guard, sides), level) in guards.zip(&mut moment.levels) {
            let key = format!("tsplit.guard.{:x}.{}", self.generation, guard.rule);
            for _ in 0..TRIES {
                let Some((record, change)) = merge(&key, guard, sides, now) else { continue };
                *sides = Default::default();
                *level = record.level;
                report(guard, change);
                break;
            }
            let tripped = u64::from(*level != Level::Full);
            running.counts.set(guard.watch.meters.tripped, tripped);
        }
    }
}

/// The record as written; `None` if another worker was first.
fn merge(
    key: &str,
    guard: &Guard,
    sides: &crate::guard::Sides,
    now: u64,
) -> Option<(Record, Option<Change>)> {
    let (bytes, cas) = hostcalls::get_shared_data(key).ok()?;
    let mut record = bytes.and_then(|bytes| Record::from_bytes(&bytes)).unwrap_or_default();
    record.add(guard, sides, now);
    let change = guard.step(&mut record, now);
    hostcalls::set_shared_data(key, Some(&record.to_bytes()), cas).ok()?;
    Some((record, change))
}

/// Only the worker whose write changed the level says so.
fn report(guard: &Guard, change: Option<Change>) {
    let (rule, watch) = (&guard.rule, &guard.watch.variant.name);
    let fallback = &guard.fallback.variant.name;
    match change {
        Some(change @ (Change::Errors { .. } | Change::Latency(..))) => {
            warn!("rule {rule}: guard tripped, {watch} goes to {fallback}: {change}");
        }
        Some(change @ Change::Trial) => info!("rule {rule}: {watch} is on trial: {change}"),
        Some(change @ Change::Recovered) => info!("rule {rule}: {watch} is back: {change}"),
        None => {}
    }
}
