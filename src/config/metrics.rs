//! The level of metrics.

use super::error::Errors;
use super::field::{Field, Object};
use crate::limits;

/// The metrics that are kept. Each level adds calls of the host to every request.
///
/// ```
/// use traffic_split::config::{Config, MetricsLevel};
///
/// let config = br#"{ "variantHeader": "x-variant", "variants": {}, "rules": [],
///                    "metrics": "full" }"#;
/// assert_eq!(Config::parse(config).unwrap().metrics, MetricsLevel::Full);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetricsLevel {
    /// No request is counted.
    Off,
    /// Requests are counted by rule, variant and reason; the default.
    #[default]
    Counts,
    /// Responses are counted as well, by class and by latency, and filter state is set for access
    /// logs.
    Full,
}

/// Reads `metrics`.
pub(super) fn read(object: &mut Object<'_>, errors: &mut Errors) -> MetricsLevel {
    object.given("metrics", level, errors).value().unwrap_or_default()
}

fn level(field: &Field<'_>, errors: &mut Errors) -> Option<MetricsLevel> {
    let remedy = "must be off, counts or full";
    match field.text_as(limits::TEXT_BYTES, remedy, errors)? {
        "off" => Some(MetricsLevel::Off),
        "counts" => Some(MetricsLevel::Counts),
        "full" => Some(MetricsLevel::Full),
        _ => field.wrong(remedy, errors),
    }
}
