//! MetricsLevel: defined when a plan is configured, counted by their numbers.

use std::cell::RefCell;
use std::collections::BTreeMap;

use log::error;
use proxy_wasm::hostcalls;
use proxy_wasm::types::MetricType;

use crate::metrics::{Metric, MetricIndex, MetricKind, Metrics};

thread_local! {
    /// The numbers of all that this VM has defined. Envoy gives a name another number each time that
    /// it is defined, and keeps them all as long as the VM: 25 KiB for each new configuration.
    static DEFINED: RefCell<BTreeMap<String, u32>> = const { RefCell::new(BTreeMap::new()) };
}

/// Envoy's numbers of a plan's metrics, by place.
pub(super) struct Counts(Vec<Option<u32>>);

impl Counts {
    pub(super) fn define(metrics: &Metrics) -> Self {
        DEFINED.with_borrow_mut(|known| Counts(metrics.iter().map(|m| define(m, known)).collect()))
    }

    /// One more.
    pub(super) fn add(&self, place: MetricIndex) {
        if let Some(number) = self.number(place) {
            let _ = hostcalls::increment_metric(number, 1);
        }
    }

    /// The value of a gauge, or one more value of a histogram.
    pub(super) fn set(&self, place: MetricIndex, value: u64) {
        if let Some(number) = self.number(place) {
            record(number, value);
        }
    }

    /// Envoy's number of a metric.
    pub(super) fn number(&self, place: MetricIndex) -> Option<u32> {
        *self.0.get(usize::try_from(place?).ok()?)?
    }
}

/// The value of a gauge, or one more value of a histogram, by Envoy's number.
pub(super) fn record(number: u32, value: u64) {
    let _ = hostcalls::record_metric(number, value);
}

fn define(metric: &Metric, known: &mut BTreeMap<String, u32>) -> Option<u32> {
    if let Some(number) = known.get(&metric.name) {
        return Some(*number);
    }
    let kind = match metric.kind {
        MetricKind::Counter => MetricType::Counter,
        MetricKind::Gauge => MetricType::Gauge,
        MetricKind::Histogram => MetricType::Histogram,
    };
    match hostcalls::define_metric(kind, &metric.name) {
        Ok(number) => {
            known.insert(metric.name.clone(), number);
            Some(number)
        }
        Err(_) => {
            error!("cannot define the metric {}", metric.name);
            None
        }
    }
}
