//! The state that all plugins of a VM share: Envoy runs plugins of one module and one environment in
//! one VM.

use std::cell::RefCell;
use std::collections::BTreeMap;

use xxhash_rust::xxh64::xxh64;

use super::abi;

thread_local! {
    static VM: RefCell<Vm> = const { RefCell::new(Vm::new()) };
}

/// The state of a VM, apart from its plugins.
pub(super) struct Vm {
    /// Envoy's numbers of the metrics defined, by name. Envoy gives a name another number each time
    /// that it is defined, and keeps them all as long as the VM: 25 KiB for each new configuration.
    pub(super) metric_ids: BTreeMap<String, u32>,
    /// The gauges of the rules, each with the plugin that sets it.
    pub(super) gauges: Vec<OwnedGauge>,
    /// The requests that are about to be run again, by [`crate::rerun::hint`].
    pub(super) reruns: Vec<u64>,
}

/// A gauge and the plugin that sets it.
#[derive(Clone, Copy)]
pub(super) struct OwnedGauge {
    /// XXH64 of the rule's name.
    pub(super) rule: u64,
    /// Envoy's number of the gauge.
    pub(super) id: u32,
    /// The number of the plugin, see [`super::gauges::Gauges`].
    pub(super) owner: u32,
}

impl Vm {
    const fn new() -> Self {
        Vm { metric_ids: BTreeMap::new(), gauges: Vec::new(), reruns: Vec::new() }
    }

    /// Looks at the state of this VM, or changes it.
    pub(super) fn with<T>(look: impl FnOnce(&mut Vm) -> T) -> T {
        VM.with_borrow_mut(look)
    }
}

/// The number that tells a plugin from others, by its root id: all plugins of a VM share one store. A
/// plugin whose root id cannot be read has the number of those that have none.
pub(super) fn plugin_id() -> u64 {
    xxh64(&abi::property("plugin_root_id").ok().flatten().unwrap_or_default(), 0)
}
