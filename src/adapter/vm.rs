//! The state that all plugins of a VM share: Envoy runs plugins of one module and one environment in
//! one VM.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use xxhash_rust::xxh64::xxh64;

use super::abi;

thread_local! {
    static VM: RefCell<Vm> = const { RefCell::new(Vm::new()) };
}

/// The state of a VM, apart from its plugins.
pub(super) struct Vm {
    /// Envoy's numbers of the metrics defined, by 128 bits of hash of the name: the names of 200,000 would
    /// be 20 MB. Envoy gives a name another number each time
    /// that it is defined, and keeps them all as long as the VM: 25 KiB for each new configuration.
    pub(super) metric_ids: BTreeMap<u128, u32>,
    /// The gauges of each plugin, the newest last.
    pub(super) gauges: Vec<Shown>,
    /// The requests that are about to be run again, by [`crate::rerun::hint`].
    pub(super) reruns: Vec<u64>,
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

/// The gauges of one plugin.
pub(super) struct Shown {
    /// The number of the plugin, see [`super::gauges::Gauges`].
    pub(super) number: u32,
    /// A hash that the plugin has in common with its updates; `None` where it has no name.
    pub(super) plugin: Option<u64>,
    /// XXH64 of the name of each rule, in order.
    pub(super) rules: Vec<u64>,
    /// The rule and the value of each gauge, by Envoy's number.
    pub(super) values: BTreeMap<u32, (u64, u64)>,
}

impl Vm {
    const fn new() -> Self {
        Vm {
            metric_ids: BTreeMap::new(),
            gauges: Vec::new(),
            reruns: Vec::new(),
            members: Vec::new(),
        }
    }

    /// Looks at the state of this VM, or changes it.
    pub(super) fn with<T>(look: impl FnOnce(&mut Vm) -> T) -> T {
        VM.with_borrow_mut(look)
    }
}

/// A number that a plugin has in common with its updates, and with no plugin of another name: of its
/// root id (Istio's `pluginName`), its name (in Istio with the namespace) and its direction. `None`
/// where it was given no name at all.
pub(super) fn plugin() -> Option<u64> {
    let read = |path| abi::property(path).ok().flatten().unwrap_or_default();
    let names = [read("plugin_root_id"), read("plugin_name")];
    let direction = read("xds\0listener_direction");
    let named = names.iter().any(|name| !name.is_empty());
    named.then(|| xxh64(&[&names[0], &names[1], &direction].map(Vec::as_slice).join(&0), 0))
}

/// The number by which a plugin finds its own among what all plugins share: 0 for those that have no
/// name, which share it.
pub(super) fn plugin_id() -> u64 {
    plugin().unwrap_or(0)
}
