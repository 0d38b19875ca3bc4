//! The gauges of this VM's rules: the share that each variant is to get, and whether a guard is open.

use xxhash_rust::xxh64::xxh64;

use super::metrics::{MetricIds, record};
use super::vm::{OwnedGauge, Vm};
use crate::plan::Plan;
use crate::rule::Allocation;
use crate::snapshot::Snapshot;

/// The claim of one plugin to the gauges of its rules. Plugins share gauges; the newest plugin with a
/// rule of that name owns them, since the one before an update lives on, and ticks, for as long as
/// its listener drains.
pub(super) struct Gauges {
    owner: u32,
}

impl Gauges {
    /// Takes over the gauges of a plan's rules and sets its weights. A gauge of such a rule that the
    /// plan no longer has is set to 0.
    pub(super) fn claim(plan: &Plan, metrics: &MetricIds, snapshot: &Snapshot) -> Self {
        Vm::with(|vm| {
            let latest = vm.gauges.iter().map(|gauge| gauge.owner).max().unwrap_or(0);
            let owner = latest.wrapping_add(1);
            let mut claimed = Vec::new();
            for guard in &plan.guards {
                let open = metrics.id(guard.watch.metrics.tripped);
                let rule = hash(&guard.rule);
                claimed.extend(open.map(|id| OwnedGauge { rule, id, owner }));
            }
            for (name, allocation) in splits(plan) {
                let rule = hash(name);
                set_weights(allocation, metrics, snapshot, |id| {
                    claimed.push(OwnedGauge { rule, id, owner });
                });
            }
            vm.gauges.retain(|old| {
                let mut same_rule = claimed.iter().filter(|new| new.rule == old.rule).peekable();
                let superseded = same_rule.peek().is_some();
                if superseded && same_rule.all(|new| new.id != old.id) {
                    record(old.id, 0);
                }
                !superseded
            });
            vm.gauges.append(&mut claimed);
            Gauges { owner }
        })
    }

    /// Sets the gauges that change with time: the weights of ramps, and the states of guards.
    pub(super) fn renew(&self, plan: &Plan, metrics: &MetricIds, snapshot: &Snapshot) {
        for (rule, allocation) in splits(plan).filter(|(_, allocation)| allocation.ramp.is_some()) {
            if self.owns(rule) {
                set_weights(allocation, metrics, snapshot, |_| {});
            }
        }
        for (guard, admitted) in plan.guards.iter().zip(&snapshot.admitted) {
            if self.owns(&guard.rule) {
                let tripped = u64::from(*admitted < 1.0);
                metrics.record(guard.watch.metrics.tripped, tripped);
            }
        }
    }

    /// Whether the gauges of the rule of this name are this plugin's to set.
    fn owns(&self, rule: &str) -> bool {
        let rule = hash(rule);
        Vm::with(|vm| vm.gauges.iter().any(|g| g.rule == rule && g.owner == self.owner))
    }
}

fn hash(name: &str) -> u64 {
    xxh64(name.as_bytes(), 0)
}

/// The names of the rules that split, with their splits.
fn splits(plan: &Plan) -> impl Iterator<Item = (&str, &Allocation)> {
    plan.rules.iter().filter_map(|rule| Some((&*rule.name, rule.allocation()?)))
}

/// Sets the gauges of a split, in parts per million, since Envoy's are whole numbers; `set` gets
/// Envoy's number of each.
fn set_weights(
    allocation: &Allocation,
    metrics: &MetricIds,
    snapshot: &Snapshot,
    mut set: impl FnMut(u32),
) {
    for (target, share) in snapshot.split(allocation).shares() {
        if let Some(id) = metrics.id(target.metrics.weight) {
            record(id, libm::round(share * 1e6) as u64);
            set(id);
        }
    }
}
