//! LaunchDarkly's percentage rollouts and experiments: weights of 100,000, cumulated in floating point.

use super::settings::Settings;
use super::{Engine, Keyless, Step, in_turn, sha1};

/// The sum of the weights.
const WHOLE: f64 = 100_000.0;

pub(super) fn read(settings: &mut Settings<'_, '_>) -> Engine {
    let seed = settings.integer("seed");
    let (flag, salt) = (settings.text("flag"), settings.text("salt"));
    let before = match (seed, flag, salt) {
        (Some(seed), None, None) => seed.to_string() + ".",
        (None, Some(flag), Some(salt)) => flag + "." + &salt + ".",
        _ => {
            settings.missing("give `flag`, its key, and its `salt`, or the `seed` of an experiment");
            String::new()
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
