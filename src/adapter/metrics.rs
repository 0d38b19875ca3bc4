//! Metrics: defined when a plugin is configured, counted by Envoy's numbers.

use std::collections::BTreeMap;

use proxy_wasm::types::MetricType;
use xxhash_rust::xxh64::xxh64;

use super::abi;
use super::vm::Vm;
use crate::metrics::{Metric, MetricIndex, MetricKind, Metrics};

/// Envoy's numbers of a plan's metrics, by index.
pub(super) struct MetricIds(Vec<u32>);

impl MetricIds {
    /// Defines the metrics of a plan that this VM does not have yet.
    ///
    /// # Errors
    /// The metric that Envoy does not take.
    pub(super) fn define(metrics: &Metrics) -> Result<Self, String> {
        let ids: Result<_, String> =
            Vm::with(|vm| metrics.iter().map(|m| define(&m, &mut vm.metric_ids)).collect());
        Ok(MetricIds(ids?))
    }

    /// Adds one to a counter.
    pub(super) fn increment(&self, index: MetricIndex) {
        if let Some(id) = self.id(index) {
            // A count that Envoy does not take is lost: no metric is worth a request.
            let _ = abi::increment_metric(id);
        }
    }

    /// Sets a gauge, or adds a value to a histogram.
    pub(super) fn record(&self, index: MetricIndex, value: u64) {
        if let Some(id) = self.id(index) {
            record(id, value);
        }
    }

    /// Envoy's number of a metric.
    pub(super) fn id(&self, index: MetricIndex) -> Option<u32> {
        self.0.get(usize::try_from(index?).ok()?).copied()
    }
}

/// Sets a gauge, or adds a value to a histogram, by Envoy's number.
pub(super) fn record(id: u32, value: u64) {
    // A value that Envoy does not take is lost: no metric is worth a request.
    let _ = abi::record_metric(id, value);
}

fn define(metric: &Metric, known: &mut BTreeMap<u128, u32>) -> Result<u32, String> {
    let half = |seed| u128::from(xxh64(metric.name.as_bytes(), seed));
    let name = half(0) << 64 | half(1);
    if let Some(id) = known.get(&name) {
        return Ok(*id);
    }
    let kind = match metric.kind {
        MetricKind::Counter => MetricType::Counter,
        MetricKind::Gauge => MetricType::Gauge,
        MetricKind::Histogram => MetricType::Histogram,
    };
    let id = abi::define_metric(kind, &metric.name)
        .map_err(|status| format!("cannot define the metric {}: {status}", metric.name))?;
    known.insert(name, id);
    Ok(id)
}
