//! The gauges of this VM's rules: which plan sets each, and the share that each variant is to get.

use std::cell::RefCell;

use xxhash_rust::xxh64::xxh64;

use super::count::{Counts, record};
use crate::plan::Plan;
use crate::rule::Allocation;
use crate::snapshot::Snapshot;

thread_local! {
    /// The gauges of this VM, as each was told last.
    static TOLD: RefCell<Vec<Told>> = const { RefCell::new(Vec::new()) };
}

struct Told {
    /// XXH64 of the rule's name.
    rule: u64,
    /// Envoy's number of the gauge.
    number: u32,
    by: u32,
}

/// Speaks for the rules of a plan until a later plan has rules of the same names: the plan before
/// an update lives on, and ticks, for as long as its listener drains.
pub(super) struct Gauges(u32);

impl Gauges {
    /// Tells all of a plan's weights. A variant or a guard that its rule no longer has gets 0.
    pub(super) fn tell(plan: &Plan, counts: &Counts, snapshot: &Snapshot) -> Self {
        TOLD.with_borrow_mut(|told| {
            let latest = told.iter().map(|old| old.by).max().unwrap_or(0);
            let by = latest.wrapping_add(1);
            let mut new = Vec::new();
            for (name, allocation) in splits(plan) {
                let rule = hash(name);
                let guard = allocation.guard.and_then(|place| plan.guards.get(place));
                let tripped = guard.and_then(|guard| counts.number(guard.watch.metrics.tripped));
                new.extend(tripped.map(|number| Told { rule, number, by }));
                tell(allocation, counts, snapshot, |number| new.push(Told { rule, number, by }));
            }
            told.retain(|old| {
                let mut same = new.iter().filter(|new| new.rule == old.rule).peekable();
                let superseded = same.peek().is_some();
                if superseded && same.all(|new| new.number != old.number) {
                    record(old.number, 0);
                }
                !superseded
            });
            told.append(&mut new);
            Gauges(by)
        })
    }

    /// Tells those that change with time.
    pub(super) fn renew(&self, plan: &Plan, counts: &Counts, snapshot: &Snapshot) {
        for (rule, allocation) in splits(plan).filter(|(_, allocation)| allocation.ramp.is_some()) {
            if self.speaks_for(rule) {
                tell(allocation, counts, snapshot, |_| {});
            }
        }
    }

    /// Whether the gauges of the rule of this name are this plan's to set.
    pub(super) fn speaks_for(&self, rule: &str) -> bool {
        let rule = hash(rule);
        TOLD.with_borrow(|told| told.iter().any(|told| told.rule == rule && told.by == self.0))
    }
}

fn hash(name: &str) -> u64 {
    xxh64(name.as_bytes(), 0)
}

/// The names of the rules that split, with their splits.
fn splits(plan: &Plan) -> impl Iterator<Item = (&str, &Allocation)> {
    plan.rules.iter().filter_map(|rule| Some((&*rule.name, rule.allocation()?)))
}

/// Sets the gauges of a split, in parts per million: Envoy's are whole numbers.
fn tell(allocation: &Allocation, counts: &Counts, snapshot: &Snapshot, mut told: impl FnMut(u32)) {
    for (target, share) in snapshot.split(allocation).shares() {
        if let Some(number) = counts.number(target.metrics.weight) {
            record(number, libm::round(share * 1e6) as u64);
            told(number);
        }
    }
}
