//! flagd's `fractional`, generation 2 (flagd 0.15 and later): the hash is scaled to the sum of the
//! weights, which are integers.

use super::murmur::murmur3;
use super::settings::Settings;
use super::{Engine, Keyless, Step, Text, in_turn};

/// The greatest sum of the weights.
const MOST: f64 = 2_147_483_647.0;

pub(super) fn read(settings: &mut Settings<'_, '_>) -> Engine {
    let remedy = "give the text before the key: the flag's key, unless its fractional has another";
    let before = settings.required("prefix", remedy);
    let sum = settings.sum();
    let right = settings.are_whole() && sum <= MOST;
    settings.check(right, "flagd takes integers with a sum of at most 2147483647");
    let choice = Step {
        before,
        whole: sum as u64,
        ranges: in_turn(0.0, settings.weights, 1.0),
        ..Step::variants(bucket)
    };
    Engine { name: "flagd", gate: None, choice, keyless: Keyless::Out }
}

fn bucket(text: Text<'_>, whole: u64) -> f64 {
    (u64::from(murmur3(text, 0)).saturating_mul(whole) >> 32) as f64
}
