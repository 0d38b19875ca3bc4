//! The gauges of rules: the share that each variant is to get, and whether a guard is open.

use std::collections::BTreeMap;

use log::warn;
use xxhash_rust::xxh64::xxh64;

use super::metrics::{MetricIds, record};
use super::vm::{Shown, Vm, plugin};
use crate::config::MetricsLevel;
use crate::plan::Plan;
use crate::rule::{Allocation, Rule};
use crate::snapshot::Snapshot;

/// The gauges of one plugin. Envoy keeps a gauge for ever and all plugins share it, so one that no
/// rule stands behind any more is set to 0. A plugin before an update lives on, and ticks, for as long
/// as its listener drains or a request of it lasts: what a newer plugin says counts.
pub(super) struct Gauges {
    number: u32,
}

impl Gauges {
    /// Shows the gauges of a plan. The plugin that it is an update of, and older rules of the same
    /// names, show none from now on.
    pub(super) fn show(plan: &Plan, metrics: &MetricIds, snapshot: &Snapshot) -> Self {
        let mut rules: Vec<_> = plan.rules.iter().map(|rule| hash(&rule.name)).collect();
        rules.sort_unstable();
        let mut values = BTreeMap::new();
        each_guard(plan, metrics, snapshot, |rule, id, value| values.insert(id, (rule, value)));
        for (rule, allocation) in splits(plan) {
            each_weight(allocation, metrics, snapshot, |id, value| {
                values.insert(id, (hash(rule), value));
            });
        }
        Vm::with(|vm| {
            let number = vm.gauges.last().map_or(0, |shown| shown.number.wrapping_add(1));
            let ours = Shown { number, plugin: plugin(), rules, values };
            if plan.metrics_level != MetricsLevel::Off {
                ours.warn_of_others(plan, &vm.gauges);
            }
            vm.gauges.push(ours);
            settle(&vm.gauges, &vm.gauges);
            Gauges { number }
        })
    }

    /// Sets the gauges that change with time: the weights of ramps, and the states of guards.
    pub(super) fn renew(&self, plan: &Plan, metrics: &MetricIds, snapshot: &Snapshot) {
        Vm::with(|vm| {
            let Some(place) = vm.gauges.iter().position(|shown| shown.number == self.number) else {
                return;
            };
            let (older, newer) = vm.gauges.split_at_mut(place.saturating_add(1));
            let Some(ours) = older.last_mut() else { return };
            let mut set = |rule: u64, id: u32, value: u64| {
                ours.values.insert(id, (rule, value));
                if !newer.iter().any(|newer| newer.hides(ours.plugin, rule)) {
                    record(id, value);
                }
            };
            each_guard(plan, metrics, snapshot, &mut set);
            for (rule, allocation) in splits(plan).filter(|(_, split)| split.ramp.is_some()) {
                each_weight(allocation, metrics, snapshot, |id, value| set(hash(rule), id, value));
            }
        });
    }

    /// Ends them: the plugin is gone, or has another configuration.
    pub(super) fn end(&self) {
        Vm::with(|vm| {
            let ours = |shown: &mut Shown| shown.number == self.number;
            let ended: Vec<_> = vm.gauges.extract_if(.., ours).collect();
            settle(&vm.gauges, &ended);
            // An older plugin that they hid shows its own again.
            settle(&vm.gauges, &vm.gauges);
        });
    }
}

impl Shown {
    /// Says which rules have a namesake in another plugin: Envoy has one metric for both. Two plugins
    /// without a name may be one and its update.
    fn warn_of_others(&self, plan: &Plan, all: &[Shown]) {
        let others = || all.iter().filter(|other| other.plugin != self.plugin);
        let shared = |rule: &&Rule| {
            let name = hash(&rule.name);
            others().any(|other| other.rules.binary_search(&name).is_ok())
        };
        for rule in plan.rules.iter().filter(shared) {
            warn!(
                "rule {}: another plugin has a rule of this name, so both count in one metric: rename \
                 one of them, and give it its old name as sticky.salt",
                rule.name
            );
        }
    }

    /// Whether a gauge of this rule of an older plugin is not shown any more.
    fn hides(&self, plugin: Option<u64>, rule: u64) -> bool {
        plugin.is_some() && plugin == self.plugin || self.rules.binary_search(&rule).is_ok()
    }
}

/// Sets every gauge of `which` to what the newest of all plugins says that shows it, or else to 0.
fn settle(all: &[Shown], which: &[Shown]) {
    for id in which.iter().flat_map(|shown| shown.values.keys()) {
        let value = all.iter().enumerate().rev().find_map(|(place, shown)| {
            let (rule, value) = shown.values.get(id)?;
            let mut newer = all.iter().skip(place.saturating_add(1));
            (!newer.any(|newer| newer.hides(shown.plugin, *rule))).then_some(*value)
        });
        record(*id, value.unwrap_or(0));
    }
}

fn hash(name: &str) -> u64 {
    xxh64(name.as_bytes(), 0)
}

/// The names of the rules that split, with their splits.
fn splits(plan: &Plan) -> impl Iterator<Item = (&str, &Allocation)> {
    plan.rules.iter().filter_map(|rule| Some((&*rule.name, rule.allocation()?)))
}

/// Calls `set` with the rule, Envoy's number and the value of each guard's gauge.
fn each_guard<T>(
    plan: &Plan,
    metrics: &MetricIds,
    snapshot: &Snapshot,
    mut set: impl FnMut(u64, u32, u64) -> T,
) {
    for (guard, admitted) in plan.guards.iter().zip(&snapshot.admitted) {
        if let Some(id) = metrics.id(guard.watch.metrics.tripped) {
            set(hash(&guard.rule), id, u64::from(*admitted < 1.0));
        }
    }
}

/// Calls `set` with Envoy's number and the value of each gauge of a split: in parts per million, since
/// Envoy's are whole numbers.
fn each_weight(
    allocation: &Allocation,
    metrics: &MetricIds,
    snapshot: &Snapshot,
    mut set: impl FnMut(u32, u64),
) {
    for (target, share) in snapshot.split(allocation).shares() {
        if let Some(id) = metrics.id(target.metrics.weight) {
            set(id, libm::round(share * 1e6) as u64);
        }
    }
}
