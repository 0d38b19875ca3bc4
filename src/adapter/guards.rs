//! Guards, between the workers of a proxy: what each counted goes into a record that Envoy keeps
//! for all of them, and each reads from it which guards are open.

use std::cell::RefCell;

use super::abi::{self, Status};
use super::vm::plugin_id;
use crate::guard::{Guard, Record, Sides, Transition};
use crate::plan::Plan;
use crate::snapshot::Snapshot;
use crate::variant::Target;
use log::{info, warn};

/// Tries to write a record before it is left to the next tick: workers write at the same time.
const TRIES: usize = 8;

/// The guards of one plugin in one worker, by their indexes in the plan.
pub(super) struct Guards {
    /// The names of the records. A guard that was changed has another record, and starts anew; so does
    /// the same guard in another plugin, since all plugins share one store.
    keys: Vec<String>,
    /// The responses counted since they were last shared.
    tallies: RefCell<Vec<Sides>>,
}

impl Guards {
    pub(super) fn new(plan: &Plan) -> Self {
        let tallies = RefCell::new(plan.guards.iter().map(|_| Sides::default()).collect());
        if plan.guards.is_empty() {
            return Guards { keys: Vec::new(), tallies };
        }
        let plugin = plugin_id();
        let key = |guard: &Guard| format!("tsplit.guard.{plugin:016x}.{:016x}", guard.id());
        Guards { keys: plan.guards.iter().map(key).collect(), tallies }
    }

    /// Counts a response of a variant that a guard watches or falls back to; `latency` is in
    /// milliseconds, and `None` where it is not known.
    pub(super) fn observe(
        &self,
        plan: &Plan,
        target: &Target,
        is_error: bool,
        latency: Option<u64>,
    ) {
        let mut tallies = self.tallies.borrow_mut();
        let guard =
            target.guard.and_then(|index| Some((plan.guards.get(index)?, tallies.get_mut(index)?)));
        if let Some((guard, sides)) = guard
            && let Some(tally) = guard.side(target, sides)
        {
            match latency {
                Some(latency) => tally.observe(is_error, latency),
                None => tally.count(is_error),
            }
        }
    }

    /// Adds what this worker counted, and takes over the states that all workers agree on. A guard
    /// whose record can be neither read nor written stays as it is, and its counts are kept for the
    /// next tick.
    pub(super) fn share(&self, plan: &Plan, snapshot: &mut Snapshot, now: u64) {
        let mut tallies = self.tallies.borrow_mut();
        let guards = self.keys.iter().zip(&plan.guards).zip(tallies.iter_mut());
        for (((key, guard), sides), admitted) in guards.zip(&mut snapshot.admitted) {
            if let Ok((record, change)) = merge(key, guard, sides, now) {
                *sides = Sides::default();
                *admitted = guard.admitted(&record, now);
                report(guard, change);
            }
        }
    }
}

/// Writes what was counted into the record of a guard; the record, and how its state changed.
///
/// # Errors
/// The status of the last try, which is [`Status::CAS_MISMATCH`] if other workers were first each
/// time.
fn merge(
    key: &str,
    guard: &Guard,
    sides: &Sides,
    now: u64,
) -> Result<(Record, Option<Transition>), Status> {
    let mut tries = 1..TRIES;
    loop {
        match try_merge(key, guard, sides, now) {
            Err(Status::CAS_MISMATCH) if tries.next().is_some() => {}
            result => return result,
        }
    }
}

/// Tries once. (If two workers write the very first record at once, one loses its counts: there is
/// nothing yet to compare with.)
fn try_merge(
    key: &str,
    guard: &Guard,
    sides: &Sides,
    now: u64,
) -> Result<(Record, Option<Transition>), Status> {
    let (bytes, cas) = abi::shared_data(key)?;
    // Bytes that are no record are another version's, or nobody's: the guard starts anew.
    let known = bytes.and_then(|bytes| Record::from_bytes(&bytes)).unwrap_or_default();
    let mut record = known.clone();
    record.add(guard, sides, now);
    let transition = guard.step(&mut record, now);
    if record != known {
        abi::set_shared_data(key, &record.to_bytes(), cas)?;
    }
    Ok((record, transition))
}

/// Only the worker whose write changed the state says so.
fn report(guard: &Guard, transition: Option<Transition>) {
    let (rule, watch, fallback) = (&guard.rule, guard.watch.name(), guard.fallback.name());
    match transition {
        Some(transition @ (Transition::Errors { .. } | Transition::Latency { .. })) => {
            warn!("rule {rule}: guard tripped, {watch} goes to {fallback}: {transition}");
        }
        Some(transition @ Transition::Trial) => {
            info!("rule {rule}: {watch} is on trial: {transition}")
        }
        Some(transition @ Transition::Recovered) => {
            info!("rule {rule}: {watch} is back: {transition}")
        }
        None => {}
    }
}
