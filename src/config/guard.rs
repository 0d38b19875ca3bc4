//! A guard: it takes traffic from a variant that fails.

use super::decimal::Decimal;
use super::duration;
use super::error::Errors;
use super::field::Field;
use super::node::Node;
use crate::limits;

/// A guard as written.
#[derive(Clone, Debug, PartialEq)]
pub struct GuardSpec {
    /// Where it stands.
    pub path: String,
    /// The variant that is watched.
    pub watch: String,
    /// The variant that takes its traffic.
    pub fallback: String,
    /// The share of responses that may be 5xx or resets, 0 to 1.
    pub max_error_rate: f64,
    /// How many times the fallback's 95th percentile the watched variant's may be.
    pub max_latency_ratio: Option<f64>,
    /// Responses of the watched variant in a window, below which nothing is concluded.
    pub min_requests: u32,
    /// Seconds over which responses are counted.
    pub window: u64,
    /// Seconds before a trial.
    pub cooldown: u64,
}

pub(super) fn read(field: &Field<'_>, errors: &mut Errors) -> Option<GuardSpec> {
    let mut object = field.object(errors)?;
    let watch = object
        .required("watch", "name the variant to watch", errors)
        .and_then(|field| field.name(errors));
    let fallback = object
        .required("fallback", "name the variant that takes its traffic", errors)
        .and_then(|field| field.name(errors));
    let max_error_rate = object
        .required("maxErrorRate", "give the share of errors that is too much, as in 5%", errors)
        .and_then(|field| rate(field, errors));
    let max_latency_ratio = object.given("maxLatencyRatio", ratio, errors);
    let min_requests = object.given("minRequests", requests, errors);
    let window = object.given("window", seconds, errors);
    let cooldown = object.given("cooldown", seconds, errors);
    object.finish(errors);
    Some(GuardSpec {
        path: field.path.clone(),
        watch: watch?,
        fallback: fallback?,
        max_error_rate: max_error_rate?,
        max_latency_ratio: max_latency_ratio.value(),
        min_requests: min_requests.value_or(100)?,
        window: window.value_or(60)?,
        cooldown: cooldown.value_or(600)?,
    })
}

fn rate(field: &Field<'_>, errors: &mut Errors) -> Option<f64> {
    let text = field.text(limits::TEXT_BYTES, errors)?;
    let percent = text.strip_suffix('%').and_then(number);
    match percent {
        Some(percent) if (0.0..100.0).contains(&percent) => Some(percent / 100.0),
        _ => field.wrong("must be a percentage from 0% to less than 100%, as in 5%", errors),
    }
}

/// Read as JSON reads it: another way to read an `f64` would take 20 KB more of the module.
fn number(text: &str) -> Option<f64> {
    match serde_json::from_slice(text.as_bytes()) {
        Ok(Node::Number(number)) => Some(number),
        _ => None,
    }
}

fn ratio(field: &Field<'_>, errors: &mut Errors) -> Option<f64> {
    match field.number(errors)? {
        ratio if (1.0..=limits::LATENCY_RATIO).contains(&ratio) => Some(ratio),
        _ => field.wrong(
            &format!("must be from 1 to {}, as in 2.0", Decimal(limits::LATENCY_RATIO)),
            errors,
        ),
    }
}

fn seconds(field: &Field<'_>, errors: &mut Errors) -> Option<u64> {
    duration::read(field, limits::WINDOW, errors)
}

fn requests(field: &Field<'_>, errors: &mut Errors) -> Option<u32> {
    match u32::try_from(field.integer(errors)?) {
        Ok(requests) if (1..=limits::GUARD_REQUESTS).contains(&requests) => Some(requests),
        _ => field.wrong(&format!("must be from 1 to {}", limits::GUARD_REQUESTS), errors),
    }
}
