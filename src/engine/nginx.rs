//! nginx's `split_clients`: percentages with two decimals of the numbers of 32 bits.

use super::murmur::murmur2;
use super::settings::Settings;
use super::{Engine, Keyless, Step, Text, in_turn};

/// All hundredths of a percent.
const WHOLE: u64 = 10_000;

pub(super) fn read(settings: &mut Settings<'_, '_>) -> Option<Engine> {
    let (before, after) = (settings.text("prefix"), settings.text("suffix"));
    let weighed = settings.weights(|weights| {
        let sum: u64 = weights.iter().map(|weight| hundredths(*weight)).sum();
        let right = weights.iter().all(|w| *w > 0.0 && is_exact(*w)) && sum <= WHOLE;
        right.then_some(sum).ok_or(
            "nginx takes percentages above 0 with at most two decimals, and a sum of at most 100".into(),
        )
    });
    let (before, after) = (before.value_or(String::new())?, after.value_or(String::new())?);
    let mut ranges = in_turn(0.0, settings.weights.iter().map(|weight| length(*weight)));
    if weighed? == WHOLE
        && let Some(last) = ranges.last_mut()
    {
        last.end = f64::INFINITY;
    }
    let whole = u64::from(u32::MAX);
    let choice = Step { what: "variants", before, after, bucket, whole, ranges };
    Some(Engine { name: "nginx", gate: None, choice, keyless: Keyless::Hashed })
}

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

fn is_exact(percent: f64) -> bool {
    (percent * 100.0 - hundredths(percent) as f64).abs() < 1e-6
}
