//! How much is counted.

use super::error::Errors;
use super::field::Object;
use crate::limits;

/// How much is counted; each level costs host calls per request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetricsLevel {
    /// Nothing.
    Off,
    /// Requests by rule, variant and reason.
    #[default]
    Counts,
    /// Also responses by class, their latency, and filter state for access logs.
    Full,
}

/// Reads `metrics`.
pub(super) fn read(object: &mut Object<'_>, errors: &mut Errors) -> MetricsLevel {
    let Some(field) = object.optional("metrics") else { return MetricsLevel::default() };
    match field.text(limits::TEXT_BYTES, errors) {
        Some("off") => MetricsLevel::Off,
        Some("counts") | None => MetricsLevel::Counts,
        Some("full") => MetricsLevel::Full,
        Some(_) => field.wrong("must be off, counts or full", errors).unwrap_or_default(),
    }
}
