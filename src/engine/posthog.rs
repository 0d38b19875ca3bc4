//! PostHog's flags: a rollout, and another hash for the variants. Both are shares in percent.

use super::settings::Settings;
use super::{Engine, Keyless, Range, Step, in_turn, sha1};

/// How far a sum of decimal percentages may be from 100 by rounding.
const ROUNDING: f64 = 1e-9;

pub(super) fn read(settings: &mut Settings<'_, '_>) -> Option<Engine> {
    let flag = settings.required("flag", "give the flag's key");
    let rollout = settings.number("rollout", 0.0, 100.0);
    let weighed = settings.weights(|weights| {
        let right = (weights.iter().sum::<f64>() - 100.0).abs() <= ROUNDING;
        right.then_some(()).ok_or("PostHog takes percentages with the sum 100".into())
    });
    // A bucket that is just the share is in.
    let rollout = rollout.value_or(100.0)? / 100.0;
    let ranges = vec![Range { start: 0.0, end: rollout.next_up() }];
    let before = format!("{}.", flag?);
    let gate = Step {
        what: "rollout",
        before,
        after: String::new(),
        bucket: sha1::bucket,
        whole: 1,
        ranges,
    };
    let shares = settings.weights.iter().map(|weight| weight / 100.0);
    let choice = Step {
        what: "variants",
        after: "variant".to_owned(),
        ranges: in_turn(0.0, shares),
        ..gate.clone()
    };
    weighed.map(|()| Engine { name: "posthog", gate: Some(gate), choice, keyless: Keyless::Out })
}
