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
}

/// A variant of a rule.
#[derive(Debug)]
pub(crate) struct Target {
    /// The rule's name.
    pub(crate) rule: Arc<str>,
    pub(crate) variant: Arc<Variant>,
    pub(crate) metrics: TargetMetrics,
    /// The place of the guard that counts its responses.
    pub(crate) guard: Option<usize>,
}
