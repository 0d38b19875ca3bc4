//! Metrics: defined when a plan is configured, counted by their numbers.

use log::error;
use proxy_wasm::hostcalls;
use proxy_wasm::types::MetricType;

use crate::meters::{Kind, Meters, Place};

/// Envoy's numbers of a plan's metrics, by place.
pub(super) struct Counts(Vec<Option<u32>>);

impl Counts {
    pub(super) fn define(meters: &Meters) -> Self {
        let define = |meter: &crate::Meter| {
            let kind = match meter.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
            };
            let number = hostcalls::define_metric(kind, &meter.name);
            number.map_err(|_| error!("cannot define the metric {}", meter.name)).ok()
        };
        Counts(meters.iter().map(define).collect())
    }

    /// One more.
    pub(super) fn add(&self, place: Place) {
        if let Some(number) = self.number(place) {
            let _ = hostcalls::increment_metric(number, 1);
        }
    }

    /// The value of a gauge, or one more value of a histogram.
    pub(super) fn set(&self, place: Place, value: u64) {
        if let Some(number) = self.number(place) {
            record(number, value);
        }
    }

    /// Envoy's number of a metric.
    pub(super) fn number(&self, place: Place) -> Option<u32> {
        *self.0.get(usize::try_from(place?).ok()?)?
    }
}

/// The value of a gauge, or one more value of a histogram, by Envoy's number.
pub(super) fn record(number: u32, value: u64) {
    let _ = hostcalls::record_metric(number, value);
}
