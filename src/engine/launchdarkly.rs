//! LaunchDarkly's percentage rollouts and experiments: weights of 100,000, cumulated in floating point.

use super::settings::Settings;
use super::{Engine, Keyless, Step, in_turn, sha1};
use crate::config::Decimal;

/// The greatest seed: far below the first number that [`Decimal`] writes with a power of ten.
const MOST_SEED: f64 = 4_294_967_295.0;

/// The sum of the weights.
const WHOLE: f64 = 100_000.0;

pub(super) fn read(settings: &mut Settings<'_, '_>) -> Engine {
    let before = match settings.integer("seed", 0.0, MOST_SEED) {
        Some(seed) => {
            for name in ["flag", "salt"] {
                settings.forbid(name, "an experiment with a `seed` hashes neither");
            }
            Decimal(seed).to_string() + "."
        }
        None => {
            let remedy = "give `flag`, its key, and its `salt`, or the `seed` of an experiment";
            settings.required("flag", remedy) + "." + &settings.required("salt", remedy) + "."
        }
    };
    let right = settings.are_whole() && settings.sum() == WHOLE;
    settings.check(right, "LaunchDarkly takes integers with the sum 100000");
    let mut ranges = in_turn(0.0, settings.weights, WHOLE);
    // A bucket past the last end belongs to the last variant: the sum may be rounded down, and the
    // greatest bucket is 1.
    if let Some(last) = ranges.last_mut() {
        last.end = 1.0_f64.next_up();
    }
    let choice = Step { before, ranges, ..Step::variants(sha1::bucket) };
    Engine { name: "launchdarkly", gate: None, choice, keyless: Keyless::Lowest }
}
