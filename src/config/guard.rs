//! A guard: it takes traffic from a failing variant.

use super::decimal::Decimal;
use super::duration;
use super::error::Errors;
use super::field::{Field, number};
use super::form::Form;
use crate::limits;

/// A guard as written, with the defaults filled in.
///
/// ```
/// use traffic_split::config::{ActionSpec, Config};
///
/// let config = br#"{ "variantHeader": "x-variant", "variants": { "v1": {}, "v2": {} }, "rules": [
///     { "name": "rollout", "split": { "v1": 90, "v2": 10 },
///       "guard": { "watch": "v2", "fallback": "v1", "maxErrorRate": "5%" } } ] }"#;
/// let rules = Config::parse(config).unwrap().rules;
/// let Some(ActionSpec::Split(split)) = &rules[0].action else { panic!() };
/// let guard = split.guard.as_ref().unwrap();
/// assert_eq!((guard.max_error_rate, guard.max_latency_ratio), (0.05, None));
/// assert_eq!((guard.min_requests, guard.window, guard.cooldown), (100, 60, 600));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct GuardSpec {
    /// Its path in the configuration, as in `rules[1].guard`.
    pub path: String,
    /// The name of the watched variant.
    pub watch: String,
    /// The name of the variant that takes its traffic once the guard trips.
    pub fallback: String,
    /// The share of its responses that may be 5xx or resets: from 0, and less than 1.
    pub max_error_rate: f64,
    /// The largest ratio of its 95th percentile of latency to the fallback's: 1 to
    /// [`limits::LATENCY_RATIO`]. `None` leaves latency out.
    pub max_latency_ratio: Option<f64>,
    /// The responses of the watched variant in a window without which the guard does not trip: 1 to
    /// [`limits::GUARD_REQUESTS`], 100 by default.
    pub min_requests: u32,
    /// The seconds over which responses are counted: 1 to [`limits::WINDOW`], 60 by default.
    pub window: u64,
    /// The seconds from a trip to the trial: 1 to [`limits::WINDOW`], 600 by default.
    pub cooldown: u64,
}

const GUARD: Form = Form::fixed("{ watch: canary, fallback: stable, maxErrorRate: 5% }");

pub(super) fn read(field: &Field<'_>, errors: &mut Errors) -> Option<GuardSpec> {
    let mut object = field.object_as(GUARD, errors)?;
    let watch =
        object.required("watch", "name the variant to watch").and_then(|field| field.name(errors));
    let fallback = object
        .required("fallback", "name the variant that takes its traffic")
        .and_then(|field| field.name(errors));
    let max_error_rate = object
        .required("maxErrorRate", "give the share of errors that is too much, as in 5%")
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
    // A number below 1 is a share, as other systems have it.
    let meant = match field.as_number() {
        Some(share) if 0.0 < share && share < 1.0 => share * 100.0,
        Some(percent) if (1.0..100.0).contains(&percent) => percent,
        _ => 5.0,
    };
    let meant = Decimal(meant);
    let remedy = format!("must be a percentage from 0% to less than 100%, as in {meant}%");
    let text = field.text_as(limits::TEXT_BYTES, &remedy, errors)?;
    match text.strip_suffix('%').and_then(number) {
        Some(percent) if (0.0..100.0).contains(&percent) => Some(percent / 100.0),
        _ => field.wrong(&remedy, errors),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::node::Node;

    #[test]
    fn a_percentage_is_read_as_a_share() {
        for (text, share) in [
            ("5%", Some(0.05)),
            ("0%", Some(0.0)),
            ("99.5%", Some(0.995)),
            ("100%", None),
            ("-1%", None),
            ("0.05", None),
        ] {
            let node = Node::Text(text.to_owned());
            assert_eq!(rate(&Field::root(&node), &mut Errors::default()), share, "{text}");
        }
    }
}
