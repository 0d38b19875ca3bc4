//! GrowthBook's experiments: FNV-1a in one of two versions, coverage or ranges, and a namespace.

use super::settings::Settings;
use super::{Engine, Keyless, Range, Step, Text};

/// GrowthBook's own list of its SDKs' abilities calls version 2 `bucketingV2`.
const VERSIONS: &str = "give the experiment's: 1 or 2. SDKs before JavaScript 0.23, Python 1.0, Go \
    0.1.4 and Java 0.6 have only 1; newer ones have both, and use 1 for an experiment without one";

pub(super) fn read(settings: &mut Settings<'_, '_>) -> Engine {
    let version = settings.integer("hashVersion", 1.0, 2.0);
    if version.is_none() {
        settings.missing("hashVersion", VERSIONS);
    }
    let seed = settings.required("seed", "give the experiment's seed, or else its key");
    let coverage = settings.number("coverage", 0.0, 1.0);
    let ranges = settings.ranges("ranges");
    if !ranges.is_empty() {
        settings.forbid("coverage", "`ranges` is given as well, and GrowthBook reads only that");
    }
    let gate = settings.span("namespace").map(|(name, range)| Step {
        what: "namespace",
        ranges: vec![range],
        ..versioned(Some(1.0), "__".to_owned() + &name)
    });
    let several = settings.weights.len() > 1;
    settings.check(several, "GrowthBook runs no experiment with fewer than two variations");
    let right = (0.99..=1.01).contains(&settings.sum());
    settings.check(right, "GrowthBook takes shares with the sum 1, and makes any others equal");
    let covered = || covered(settings.weights, coverage.unwrap_or(1.0));
    let ranges = if ranges.is_empty() { covered() } else { ranges };
    let choice = Step { ranges, ..versioned(version, seed) };
    Engine { name: "growthbook", gate, choice, keyless: Keyless::Out }
}

/// A range for each weight, of which only the start is covered.
fn covered(weights: &[f64], coverage: f64) -> Vec<Range> {
    let mut sum = 0.0;
    let range = |weight: &f64| {
        let start = sum;
        sum += weight;
        Range { start, end: start + coverage * weight }
    };
    weights.iter().map(range).collect()
}

/// The step of a version of the hash: 1, or else 2.
fn versioned(version: Option<f64>, seed: String) -> Step {
    match version {
        Some(1.0) => Step { after: seed, ..Step::variants(bucket_1) },
        _ => Step { before: seed, ..Step::variants(bucket_2) },
    }
}

fn bucket_1(text: Text<'_>, _whole: u64) -> f64 {
    f64::from(fnv1a(text) % 1_000) / 1_000.0
}

/// The hash of the hash in decimal digits.
fn bucket_2(text: Text<'_>, _whole: u64) -> f64 {
    let (mut rest, mut digits) = (fnv1a(text), [0_u8; 10]);
    let mut start = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0'.wrapping_add((rest % 10) as u8);
        rest /= 10;
        start = start.saturating_sub(1);
        if rest == 0 {
            break;
        }
    }
    let decimal = digits.get(start..).unwrap_or_default();
    f64::from(fnv1a(Text([decimal, b"", b""])) % 10_000) / 10_000.0
}

/// FNV-1a with 32 bits.
fn fnv1a(text: Text<'_>) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the algorithm's own page (Noll), "Test vectors".
    #[test]
    fn published_values() {
        for (text, hash) in [("", 0x811c_9dc5), ("a", 0xe40c_292c), ("foobar", 0xbf9c_f968)] {
            assert_eq!(fnv1a(Text([text.as_bytes(), b"", b""])), hash, "{text}");
        }
    }

    /// From the `hash` cases of GrowthBook's own specification, `cases.json`.
    #[test]
    fn published_buckets() {
        for (version, seed, value, bucket) in [
            (1.0, "", "a", 0.22),
            (1.0, "", "b", 0.077),
            (1.0, "b", "a", 0.946),
            (1.0, "ef", "d", 0.652),
            (1.0, "asdf", "8952klfjas09ujk", 0.549),
            (2.0, "seed", "a", 0.0505),
            (2.0, "seed", "b", 0.2696),
            (2.0, "foo", "ab", 0.2575),
            (2.0, "foo", "def", 0.2019),
            (2.0, "89123klj", "8952klfjas09ujkasdf", 0.124),
            (2.0, "90850943850283058242805", "123", 0.7516),
        ] {
            let step = versioned(Some(version), seed.to_owned());
            assert_eq!(step.hashed(value.as_bytes()).bucket, bucket, "{version} {seed} {value}");
        }
    }
}
