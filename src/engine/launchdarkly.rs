//! LaunchDarkly's percentage rollouts and experiments: weights of 100,000, cumulated in floating point.

use super::settings::Settings;
use super::{Engine, Keyless, Step, in_turn, sha1};

/// The sum of the weights.
const WHOLE: f64 = 100_000.0;

pub(super) fn read(settings: &mut Settings<'_, '_>) -> Option<Engine> {
    let seed = settings.integer("seed");
    let (flag, salt) = (settings.text("flag"), settings.text("salt"));
    let before = match (seed.is_given(), flag.is_given(), salt.is_given()) {
        (true, false, false) => seed.value().map(|seed| format!("{seed}.")),
        (false, true, true) => flag.value().and_then(|flag| Some(format!("{flag}.{}.", salt.value()?))),
        _ => settings.missing("give the flag's key as `flag` and its `salt`, or the `seed` of an experiment"),
    };
    let weighed = settings.weights(|weights| {
        let whole = weights.iter().all(|weight| weight.fract() == 0.0);
        let right = whole && weights.iter().sum::<f64>() == WHOLE;
        right.then_some(()).ok_or("LaunchDarkly takes integers with the sum 100000".into())
    });
    let mut ranges = in_turn(0.0, settings.weights.iter().map(|weight| weight / WHOLE));
    // A bucket past the last end belongs to the last variant: the sum may be rounded down, and the
    // greatest bucket is 1.
    if let Some(last) = ranges.last_mut() {
        last.end = 1.0_f64.next_up();
    }
    let choice = Step {
        what: "variants",
        before: before?,
        after: String::new(),
        bucket: sha1::bucket,
        whole: 1,
        ranges,
    };
    weighed.map(|()| Engine { name: "launchdarkly", gate: None, choice, keyless: Keyless::Lowest })
}
