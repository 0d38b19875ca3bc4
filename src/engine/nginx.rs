//! nginx's `split_clients`: percentages with two decimals of the numbers of 32 bits.

use super::murmur::murmur2;
use super::settings::Settings;
use super::{Engine, Keyless, Step, Text, in_turn};

/// The hundredths of a percent in the whole.
const WHOLE: u64 = 10_000;

pub(super) fn read(settings: &mut Settings<'_, '_>) -> Engine {
    let before = settings.text("prefix").unwrap_or_default();
    let after = settings.text("suffix").unwrap_or_default();
    let sum: u64 = settings.weights.iter().map(|percent| hundredths(*percent)).sum();
    let right = settings.weights.iter().all(|percent| is_taken(*percent)) && sum <= WHOLE;
    let remedy = "nginx takes percentages above 0 with at most two decimals, in all at most 100";
    settings.check(right, remedy);
    let lengths: Vec<f64> = settings.weights.iter().map(|percent| length(*percent)).collect();
    let mut ranges = in_turn(0.0, &lengths, 1.0);
    if let Some(last) = ranges.last_mut().filter(|_| sum == WHOLE) {
        last.end = TOP;
    }
    let choice = Step { before, after, whole: TOP as u64, ranges, ..Step::variants(bucket) };
    Engine { name: "nginx", gate: None, choice, keyless: Keyless::Hashed }
}

/// The end of all numbers of 32 bits.
const TOP: f64 = 4_294_967_296.0;

fn bucket(text: Text<'_>, _whole: u64) -> f64 {
    f64::from(murmur2(text))
}

/// The numbers that nginx gives to a percentage.
fn length(percent: f64) -> f64 {
    (hundredths(percent).saturating_mul(u64::from(u32::MAX)) / WHOLE) as f64
}

fn hundredths(percent: f64) -> u64 {
    (percent * 100.0).round() as u64
}

/// Whether it is above 0, and has no more than two decimals.
fn is_taken(percent: f64) -> bool {
    percent > 0.0 && (percent * 100.0 - hundredths(percent) as f64).abs() < 1e-6
}
