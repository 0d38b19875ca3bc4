//! A ramp: one variant's share of a split grows, or shrinks, over time.

use super::duration;
use super::error::Errors;
use super::field::Field;
use super::time;
use crate::limits;

/// A ramp as written.
#[derive(Clone, Debug, PartialEq)]
pub struct RampSpec {
    /// Where it stands.
    pub path: String,
    /// The variant whose share changes; the others keep their ratios.
    pub variant: String,
    /// Its share at the end, in percent.
    pub to: f64,
    /// When it starts, in seconds since 1970.
    pub start: u64,
    /// How long it takes, in seconds.
    pub duration: u64,
    /// In how many equal steps; 0 is linear.
    pub steps: u32,
    /// Whether the weights stand still as written.
    pub hold: bool,
}

pub(super) fn read(field: &Field<'_>, errors: &mut Errors) -> Option<RampSpec> {
    let mut object = field.object(errors)?;
    let variant = object
        .required("variant", "name the variant whose share changes", errors)
        .and_then(|field| field.name(errors));
    let to = object
        .required("to", "give its share at the end, in percent", errors)
        .and_then(|field| percent(field, errors));
    let start = object
        .required("start", "give when it starts, as in 2026-12-01T09:00:00Z", errors)
        .and_then(|field| time::read(field, errors));
    let duration = object
        .required("duration", "give how long it takes, as in 24h", errors)
        .and_then(|field| duration::read(field, limits::MAX_AGE, errors));
    let steps = object.given("steps", steps, errors);
    let hold = object.flag("hold", false, errors);
    object.finish(errors);
    Some(RampSpec {
        path: field.path.clone(),
        variant: variant?,
        to: to?,
        start: start?,
        duration: duration?,
        steps: steps.value_or(0)?,
        hold,
    })
}

fn percent(field: &Field<'_>, errors: &mut Errors) -> Option<f64> {
    match field.number(errors)? {
        share if (0.0..=100.0).contains(&share) => Some(share),
        _ => field.wrong("must be from 0 to 100", errors),
    }
}

fn steps(field: &Field<'_>, errors: &mut Errors) -> Option<u32> {
    match u32::try_from(field.integer(errors)?) {
        Ok(steps) if steps <= limits::RAMP_STEPS => Some(steps),
        _ => field.wrong(&format!("must be from 0 (linear) to {}", limits::RAMP_STEPS), errors),
    }
}
