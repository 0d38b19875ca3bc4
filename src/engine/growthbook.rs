//! GrowthBook's experiments: FNV-1a in one of two versions, coverage or ranges, and a namespace.

use super::settings::Settings;
use super::{Engine, Keyless, Range, Step, Text};

const VERSIONS: &str = "give it as the experiment has it: 1 or 2. An experiment without one is \
    version 1, the only one of SDKs from before 2023; GrowthBook itself has made experiments of \
    version 2 since then";

pub(super) fn read(settings: &mut Settings<'_, '_>) -> Option<Engine> {
    let version = settings.required_integer("hashVersion", 1..=2, VERSIONS);
    let seed = settings.required("seed", "give the experiment's seed, or else its key");
    let coverage = settings.number("coverage", 0.0, 1.0);
    let ranges = settings.ranges("ranges");
    if ranges.is_given() && coverage.is_given() {
        settings.forbidden("coverage", "`ranges` is given as well, and GrowthBook reads only that");
    }
    let namespace = settings.span("namespace");
    let weighed = settings.weights(check);
    let coverage = coverage.value_or(1.0)?;
    let ranges = match ranges.value_or(Vec::new())? {
        none if none.is_empty() => covered(settings.weights, coverage),
        ranges => ranges,
    };
    let gate = namespace.value().map(|(name, range)| Step {
        what: "namespace",
        ranges: vec![range],
        ..version_1(format!("__{name}"))
    });
    let (choice, ()) = (Step { ranges, ..versioned(version?, seed?) }, weighed?);
    Some(Engine { name: "growthbook", gate, choice, keyless: Keyless::Out })
}

fn check(weights: &[f64]) -> Result<(), String> {
    if weights.len() < 2 {
        return Err("GrowthBook runs no experiment with fewer than two variations".into());
    }
    let sum: f64 = weights.iter().sum();
    if !(0.99..=1.01).contains(&sum) {
        return Err("GrowthBook takes shares with the sum 1, and replaces others by equal ones".into());
    }
    Ok(())
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

fn versioned(version: i64, seed: String) -> Step {
    match version {
        1 => version_1(seed),
        _ => Step { before: seed, after: String::new(), bucket: bucket_2, ..version_1(String::new()) },
    }
}

fn version_1(seed: String) -> Step {
    Step {
        what: "variants",
        before: String::new(),
        after: seed,
        bucket: bucket_1,
        whole: 1,
        ranges: Vec::new(),
    }
}

fn bucket_1(text: Text<'_>, _whole: u64) -> f64 {
    f64::from(fnv1a(text.bytes()) % 1_000) / 1_000.0
}

/// The hash of the hash in decimal digits.
fn bucket_2(text: Text<'_>, _whole: u64) -> f64 {
    let mut rest = fnv1a(text.bytes());
    let (mut digits, mut start) = ([b'0'; 10], 9_usize);
    loop {
        if let Some(digit) = digits.get_mut(start) {
            *digit = b'0'.saturating_add((rest % 10) as u8);
        }
        rest /= 10;
        if rest == 0 {
            break;
        }
        start = start.saturating_sub(1);
    }
    let decimal = digits.into_iter().skip(start);
    f64::from(fnv1a(decimal) % 10_000) / 10_000.0
}

/// FNV-1a with 32 bits.
fn fnv1a(bytes: impl Iterator<Item = u8>) -> u32 {
    bytes.fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the algorithm's own page (Noll), "Test vectors".
    #[test]
    fn published_values() {
        for (text, hash) in [("", 0x811c_9dc5), ("a", 0xe40c_292c), ("foobar", 0xbf9c_f968)] {
            assert_eq!(fnv1a(text.bytes()), hash, "{text}");
        }
    }

    /// From the `hash` cases of GrowthBook's own specification, `cases.json`.
    #[test]
    fn published_buckets() {
        for (version, seed, value, bucket) in [
            (1, "", "a", 0.22),
            (1, "", "b", 0.077),
            (1, "b", "a", 0.946),
            (1, "ef", "d", 0.652),
            (1, "asdf", "8952klfjas09ujk", 0.549),
            (2, "seed", "a", 0.0505),
            (2, "seed", "b", 0.2696),
            (2, "foo", "ab", 0.2575),
            (2, "foo", "def", 0.2019),
            (2, "89123klj", "8952klfjas09ujkasdf", 0.124),
            (2, "90850943850283058242805", "123", 0.7516),
        ] {
            let step = versioned(version, seed.to_owned());
            assert_eq!(step.hashed(value.as_bytes()).bucket, bucket, "{version} {seed} {value}");
        }
    }
}
