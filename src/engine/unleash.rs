//! Unleash's gradual rollout, and the variants of its strategy: two hashes, of 100 and of 1,000.

use super::murmur::murmur3;
use super::settings::Settings;
use super::{Engine, Keyless, Range, Step, Text, in_turn};

/// The sum of the weights.
const WHOLE: u64 = 1_000;

/// The seed of the variants' hash, which keeps them independent of the rollout.
const VARIANT_SEED: u32 = 86_028_157;

pub(super) fn read(settings: &mut Settings<'_, '_>) -> Engine {
    let remedy = "give the strategy's groupId, which is the flag's name unless it was changed";
    let before = settings.required("groupId", remedy) + ":";
    let rollout = settings.integer("rollout", 0.0, 100.0).unwrap_or(100.0);
    let right = settings.are_whole() && settings.sum() == WHOLE as f64;
    settings.check(right, "Unleash takes integers with the sum 1000, as its client API has them");
    let gate = Step {
        what: "rollout",
        before: before.clone(),
        whole: 100,
        ranges: vec![Range { start: 1.0, end: rollout + 1.0 }],
        ..Step::variants(|text, whole| bucket(text, 0, whole))
    };
    let choice = Step {
        before,
        whole: WHOLE,
        ranges: in_turn(1.0, settings.weights, 1.0),
        ..Step::variants(|text, whole| bucket(text, VARIANT_SEED, whole))
    };
    Engine { name: "unleash", gate: Some(gate), choice, keyless: Keyless::Out }
}

/// A number from 1 to `whole`.
fn bucket(text: Text<'_>, seed: u32, whole: u64) -> f64 {
    let rest = u64::from(murmur3(text, seed)).checked_rem(whole);
    rest.map_or(f64::NAN, |rest| rest as f64 + 1.0)
}
