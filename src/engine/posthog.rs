//! PostHog's flags: a rollout, and another hash for the variants. Both are shares in percent.

use super::settings::Settings;
use super::{Engine, Keyless, Range, Step, in_turn, sha1};

/// How far a sum of decimal percentages may be from 100 by rounding.
const ROUNDING: f64 = 1e-9;

pub(super) fn read(settings: &mut Settings<'_, '_>) -> Engine {
    let before = settings.required("flag", "give the flag's key") + ".";
    let rollout = settings.number("rollout", 0.0, 100.0).unwrap_or(100.0) / 100.0;
    let right = (settings.sum() - 100.0).abs() <= ROUNDING;
    settings.check(right, "PostHog takes percentages with the sum 100");
    let gate = Step {
        what: "rollout",
        before: before.clone(),
        // A bucket that is just the share is in.
        ranges: vec![Range { start: 0.0, end: rollout.next_up() }],
        ..Step::variants(sha1::bucket)
    };
    let choice = Step {
        before,
        after: "variant".to_owned(),
        ranges: in_turn(0.0, settings.weights, 100.0),
        ..Step::variants(sha1::bucket)
    };
    Engine { name: "posthog", gate: Some(gate), choice, keyless: Keyless::Out }
}
