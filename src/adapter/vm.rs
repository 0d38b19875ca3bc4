//! The state that all plugins of a VM share: Envoy runs plugins of one module and one environment in
//! one VM.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

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
    /// The filters that requests may pass one after another.
    pub(super) members: Vec<Member>,
}

/// A filter that has a configuration.
pub(super) struct Member {
    /// The headers and the filter state that it writes.
    pub(super) writes: Vec<String>,
    /// Whether another one writes any of them.
    pub(super) company: Rc<Cell<bool>>,
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
        Vm { metric_ids: BTreeMap::new(), gauges: Vec::new(), members: Vec::new() }
    }

    /// Looks at the state of this VM, or changes it.
    pub(super) fn with<T>(look: impl FnOnce(&mut Vm) -> T) -> T {
        VM.with_borrow_mut(look)
    }
}
