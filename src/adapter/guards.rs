//! Guards, between the workers of a proxy: what each counted goes into a record that Envoy keeps
//! for all of them, and each reads from it what tripped.

use log::{info, warn};
use proxy_wasm::hostcalls;
use xxhash_rust::xxh64::xxh64;

use super::Running;
use crate::guard::{Change, Guard, GuardState, Record, Sides};
use crate::plan::Plan;
use crate::snapshot::Snapshot;

/// Tries to write a record before it is left to the next tick: workers write at the same time.
const TRIES: usize = 8;

/// The names of the records, by the places of their guards. A guard that was changed has another,
/// and starts anew; so has that of another plugin, since all plugins share one store.
#[derive(Default)]
pub(super) struct Guards {
    keys: Vec<String>,
}

impl Guards {
    pub(super) fn new(plan: &Plan) -> Self {
        if plan.guards.is_empty() {
            return Guards::default();
        }
        let plugin = hostcalls::get_property(vec!["plugin_root_id"]).ok().flatten();
        let plugin = xxh64(&plugin.unwrap_or_default(), 0);
        let key = |guard: &Guard| format!("tsplit.guard.{plugin:016x}.{:016x}", guard.id());
        Guards { keys: plan.guards.iter().map(key).collect() }
    }

    /// Adds what this worker counted, and takes over the guard_states that all agree on.
    pub(super) fn share(&self, running: &Running, snapshot: &mut Snapshot, now: u64) {
        let mut tallies = running.tallies.borrow_mut();
        let guards = self.keys.iter().zip(&running.plan.guards).zip(tallies.iter_mut());
        for (((key, guard), sides), state) in guards.zip(&mut snapshot.guard_states) {
            for _ in 0..TRIES {
                let Some((record, change)) = merge(key, guard, sides, now) else { continue };
                *sides = Default::default();
                *state = record.state;
                report(guard, change);
                break;
            }
            if running.gauges.speaks_for(&guard.rule) {
                let tripped = u64::from(*state != GuardState::Closed);
                running.counts.set(guard.watch.metrics.tripped, tripped);
            }
        }
    }
}

/// The record with what was counted; `None` if another worker was first. (Of two that write the
/// very first record at once, one is lost: there is nothing yet to compare with.)
fn merge(key: &str, guard: &Guard, sides: &Sides, now: u64) -> Option<(Record, Option<Change>)> {
    let (bytes, cas) = hostcalls::get_shared_data(key).ok()?;
    let known = bytes.and_then(|bytes| Record::from_bytes(&bytes)).unwrap_or_default();
    let mut record = known.clone();
    record.add(guard, sides, now);
    let change = guard.step(&mut record, now);
    if record != known {
        hostcalls::set_shared_data(key, Some(&record.to_bytes()), cas).ok()?;
    }
    Some((record, change))
}

/// Only the worker whose write changed the state says so.
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
