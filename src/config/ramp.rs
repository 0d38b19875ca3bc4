//! A ramp: one variant's share of a split grows, or shrinks, over time.

use super::duration;
use super::error::Errors;
use super::field::Field;
use super::form::Form;
use super::time;
use crate::limits;

/// A ramp as written.
///
/// ```
/// use traffic_split::config::{ActionSpec, Config, parse_time};
///
/// let config = br#"{ "variantHeader": "x-variant", "variants": { "v1": {}, "v2": {} }, "rules": [
///     { "name": "rollout", "split": { "v1": 99, "v2": 1 },
///       "ramp": { "variant": "v2", "to": 50, "start": "2026-12-01T09:00:00Z",
///                 "duration": "24h" } } ] }"#;
/// let rules = Config::parse(config).unwrap().rules;
/// let Some(ActionSpec::Split(split)) = &rules[0].action else { panic!() };
/// let ramp = split.ramp.as_ref().unwrap();
/// assert_eq!(Some(ramp.start), parse_time("2026-12-01T09:00:00Z"));
/// assert_eq!((ramp.to, ramp.duration, ramp.steps, ramp.hold), (50.0, 86_400, 0, false));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RampSpec {
    /// Its path in the configuration, as in `rules[1].ramp`.
    pub path: String,
    /// The name of the variant whose share changes. The others keep their ratios.
    pub variant: String,
    /// The variant's share at the end, in percent: 0 to 100.
    pub to: f64,
    /// Its start, in seconds since 1970.
    pub start: u64,
    /// Its duration in seconds: 1 to [`limits::MAX_AGE`].
    pub duration: u64,
    /// The number of its equal steps, at most [`limits::RAMP_STEPS`]; 0, the default, is linear.
    pub steps: u32,
    /// Whether the ramp is suspended, so that the weights are as written. Off by default.
    pub hold: bool,
}

const RAMP: Form =
    Form::fixed("{ variant: canary, to: 50, start: 2026-12-01T09:00:00Z, duration: 24h }");

pub(super) fn read(field: &Field<'_>, errors: &mut Errors) -> Option<RampSpec> {
    let mut object = field.object_as(RAMP, errors)?;
    let variant = object
        .required("variant", "name the variant whose share changes")
        .and_then(|field| field.name(errors));
    let to = object
        .required("to", "give its share at the end, in percent")
        .and_then(|field| percent(field, errors));
    let start = object
        .required("start", "give when it starts, as in 2026-12-01T09:00:00Z")
        .and_then(|field| time::read(field, errors));
    let duration = object
        .required("duration", "give how long it takes, as in 24h")
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
