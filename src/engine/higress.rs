//! The operator `percentage` of Higress' plugin `traffic-tag`: the first 64 bits of SHA-256, modulo 100.

use sha2::{Digest, Sha256};

use super::settings::Settings;
use super::{Engine, Keyless, Step, Text, in_turn};

/// The percentages in the whole.
const WHOLE: u64 = 100;

pub(super) fn read(settings: &mut Settings<'_, '_>) -> Engine {
    let is_taken = |percent: &f64| *percent > 0.0 && percent.fract() == 0.0;
    let right = settings.weights.iter().all(is_taken)
        && settings.weights.iter().sum::<f64>() <= WHOLE as f64;
    settings.check(right, "Higress takes whole percentages above 0, in all at most 100");
    let ranges = in_turn(0.0, settings.weights, 1.0);
    let choice = Step { whole: WHOLE, ranges, ..Step::variants(bucket) };
    Engine { name: "higress", gate: None, choice, keyless: Keyless::Out }
}

fn bucket(text: Text<'_>, whole: u64) -> f64 {
    let mut hash = Sha256::new();
    text.0.iter().for_each(|piece| hash.update(piece));
    let digest = hash.finalize();
    let first = digest.iter().take(8).fold(0_u64, |word, byte| (word << 8) | u64::from(*byte));
    first.checked_rem(whole).unwrap_or(0) as f64
}
