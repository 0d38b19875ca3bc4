//! Variants: the versions of the service behind the proxy, by themselves and in a rule.

use std::sync::Arc;

use crate::metrics::TargetMetrics;

/// One version of the service behind the proxy.
#[derive(Debug, PartialEq, Eq)]
pub struct Variant {
    /// Its name.
    pub name: String,
    /// The Envoy cluster that serves it, where the configuration has a `clusterHeader`.
    pub cluster: Option<String>,
    /// The point at which it lies in a route with weights, where the configuration gives one.
    pub point: Option<u64>,
}

/// A variant of a rule, or the route that has the weights of the rule.
#[derive(Debug)]
pub(crate) struct Target {
    /// The rule's name.
    pub(crate) rule: Arc<str>,
    /// `None` where the route chooses.
    pub(crate) variant: Option<Arc<Variant>>,
    pub(crate) metrics: TargetMetrics,
    /// The place of the guard that counts its responses.
    pub(crate) guard: Option<usize>,
    /// The variants that a route may choose, by the names of their clusters, in the order of these.
    pub(crate) by_cluster: Vec<(String, Arc<Target>)>,
}

impl Target {
    /// The variant's name, `-` where the route chooses.
    pub(crate) fn name(&self) -> &str {
        self.variant.as_ref().map_or("-", |variant| &variant.name)
    }

    /// The target whose response it is, by the cluster that Envoy chose. `cluster` is called only where
    /// the answer depends on it.
    pub(crate) fn answered(
        self: &Arc<Self>,
        cluster: impl FnOnce() -> Option<Vec<u8>>,
    ) -> &Arc<Target> {
        let by_cluster = |chosen: Vec<u8>| {
            let find = |(known, _): &(String, _)| known.as_bytes().cmp(&chosen);
            let place = self.by_cluster.binary_search_by(find).ok()?;
            self.by_cluster.get(place).map(|(_, target)| target)
        };
        let asked = if self.by_cluster.is_empty() { None } else { cluster() };
        asked.and_then(by_cluster).unwrap_or(self)
    }
}
