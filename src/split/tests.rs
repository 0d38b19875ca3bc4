//! The wire contract, and what moves when weights change.

use std::collections::BTreeMap;

use serde::Deserialize;

use xxhash_rust::xxh64::xxh64;

use super::*;
use crate::metrics::TargetMetrics;
use crate::rendezvous::{rehash, uniform};
use crate::variant::Variant;

mod moves;

/// Weights by name.
type Named = BTreeMap<String, f64>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vector {
    salt: String,
    #[serde(default)]
    history: Vec<Named>,
    weights: Named,
    key: Option<String>,
    key_hex: Option<String>,
    hash: String,
    variant: String,
}

#[derive(Deserialize)]
struct Vectors {
    vectors: Vec<Vector>,
}

fn weighted(name: &str, weight: f64) -> Weighted {
    let (variant, metrics) =
        (Variant { name: name.into(), cluster: None, point: None }, TargetMetrics::default());
    let target = Target {
        rule: "r".into(),
        variant: Some(Arc::new(variant)),
        metrics,
        guard: None,
        by_cluster: Vec::new(),
    };
    Weighted { target: Arc::new(target), weight }
}

fn split(weights: &Named, earlier: &[Named]) -> Split {
    let named = |(name, weight): (&String, &f64)| weighted(name, *weight);
    let weights: Vec<_> = weights.iter().map(named).collect();
    let written =
        |(variant, weight): (&String, &f64)| Weight { variant: variant.clone(), weight: *weight };
    let earlier = earlier.iter().map(|step| step.iter().map(written).collect()).collect();
    Split::new(&weights, earlier).unwrap()
}

fn weights(shares: &[f64]) -> Named {
    shares.iter().enumerate().map(|(i, share)| (format!("v{i}"), *share)).collect()
}

fn hashes(count: u32) -> impl Iterator<Item = u64> {
    let seed = xxh64(b"salt", 0);
    (0..count).map(move |i| xxh64(format!("user-{i}").as_bytes(), seed))
}

/// The share of keys that a change moves.
fn moved(before: &Split, after: &Split, count: u32) -> f64 {
    let moves = hashes(count).filter(|h| before.pick(*h).name() != after.pick(*h).name()).count();
    moves as f64 / f64::from(count)
}

#[test]
fn assignments_never_change() {
    for (file, count) in [
        (include_str!("../../wasm-tests/vectors/split-v1.json"), 161),
        (include_str!("../../wasm-tests/vectors/history-v1.json"), 120),
    ] {
        let Vectors { vectors } = serde_json::from_str(file).unwrap();
        assert_eq!(vectors.len(), count);
        for v in vectors {
            let hex = v.key_hex.unwrap_or_default();
            let bytes = (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16));
            let key = v.key.map_or_else(|| bytes.map(Result::unwrap).collect(), String::into_bytes);
            let hash = xxh64(&key, xxh64(v.salt.as_bytes(), 0));
            assert_eq!(format!("{hash:016x}"), v.hash, "{}", v.salt);
            let split = split(&v.weights, &v.history);
            assert_eq!(split.pick(hash).name(), v.variant, "{} {hash:x}", v.salt);
        }
    }
}

/// The table of Moulton and Jiang's closed form and of the total variation, to 0.002; 10^6 keys
/// have a standard error of at most 0.0005.
#[test]
fn a_change_moves_the_share_that_mathematics_says() {
    const KEYS: u32 = 1_000_000;
    let tenths = |first: f64, last: f64| {
        let mut shares = vec![10.0; 10];
        (shares[0], shares[9]) = (first, last);
        shares
    };
    for (before, after, rendezvous, minimum) in [
        (vec![50., 30., 20.], vec![40., 30., 30.], 0.127, 0.100),
        (vec![90., 10.], vec![80., 20.], 0.100, 0.100),
        (vec![34., 33., 33.], vec![0., 50., 50.], 0.340, 0.340),
        (vec![25.; 4], vec![40., 20., 20., 20.], 0.150, 0.150),
        (vec![40., 40., 20.], vec![40., 20., 40.], 0.267, 0.200),
        (tenths(10., 10.), tenths(5., 15.), 0.088, 0.050),
    ] {
        let (old, new) = (weights(&before), weights(&after));
        let plain = split(&old, &[]);
        let close = |x: f64, y: f64| assert!((x - y).abs() <= 0.002, "{before:?} {x} {y}");
        close(closed_form(&before, &after), rendezvous);
        close(moved(&plain, &split(&new, &[]), KEYS), rendezvous);
        close(total_variation(&before, &after), minimum);
        close(moved(&plain, &split(&new, &[old]), KEYS), minimum);
    }
}

fn shares(weights: &[f64]) -> Vec<f64> {
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}

fn total_variation(p: &[f64], q: &[f64]) -> f64 {
    shares(p).iter().zip(shares(q)).map(|(p, q)| (p - q).abs()).sum::<f64>() / 2.0
}

/// 1 - sum_i 1 / sum_j max(p_j / p_i, q_j / q_i) (arXiv 1809.04052).
fn closed_form(p: &[f64], q: &[f64]) -> f64 {
    let (p, q) = (shares(p), shares(q));
    let kept = (0..p.len()).map(|i| {
        let sum: f64 = (0..p.len()).map(|j| f64::max(p[j] / p[i], q[j] / q[i])).sum();
        if sum.is_nan() { 0.0 } else { 1.0 / sum }
    });
    1.0 - kept.sum::<f64>()
}

#[test]
fn order_plays_no_part() {
    let mut named: Vec<_> =
        [("a", 50.), ("b", 30.), ("c", 20.)].map(|(name, weight)| weighted(name, weight)).into();
    let written = |(variant, weight): (&str, f64)| Weight { variant: variant.into(), weight };
    let earlier = vec![[("c", 1.), ("gone", 1.), ("a", 3.)].map(written).to_vec()];
    for earlier in [Vec::new(), earlier] {
        let forth = Split::new(&named, earlier.clone()).unwrap();
        named.reverse();
        let back = Split::new(&named, earlier).unwrap();
        assert_eq!(moved(&forth, &back, 100_000), 0.0);
    }
}

/// Shares stay true over many steps: 10^6 keys, 5 standard errors.
#[test]
fn shares_equal_the_weights() {
    const KEYS: u32 = 1_000_000;
    let steps = [[1., 1., 1.], [8., 1., 1.], [0., 1., 9.], [5., 5., 0.], [99.8, 0.1, 0.1]];
    let history: Vec<Named> = steps.iter().map(|step| weights(step)).collect();
    for (earlier, now) in [(&history[..0], &history[4]), (&history[..4], &history[4])] {
        let split = split(now, earlier);
        let mut counts = Named::new();
        for hash in hashes(KEYS) {
            *counts.entry(split.pick(hash).name().to_owned()).or_default() += 1.0;
        }
        for (name, weight) in now {
            let (n, p) = (f64::from(KEYS), weight / 100.0);
            let tolerance = 5.0 * (n * p * (1.0 - p)).sqrt();
            assert!((counts[name] - n * p).abs() <= tolerance, "{counts:?}");
        }
    }
}

/// Two experiments on one key: the correlation of two 50/50 splits over 10^6 sequential ids.
#[test]
fn salts_are_independent() {
    const KEYS: u32 = 1_000_000;
    let split = split(&weights(&[1., 1.]), &[]);
    let side = |salt: &str, i: u32| {
        let hash = xxh64(format!("user-{i}").as_bytes(), xxh64(salt.as_bytes(), 0));
        if split.pick(hash).name() == "v0" { 1.0 } else { -1.0 }
    };
    let sum: f64 = (0..KEYS).map(|i| side("checkout", i) * side("search", i)).sum();
    assert!((sum / f64::from(KEYS)).abs() < 0.005, "{sum}");
}

#[test]
fn the_least_score_wins_though_few_are_computed() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..2_000 {
        let shares: Vec<f64> =
            (0..random.usize(1..6)).map(|_| 10_f64.powf(random.f64() * 8.0 - 4.0)).collect();
        let named = weights(&shares);
        let split = split(&named, &[]);
        for _ in 0..50 {
            let hash = random.u64(..);
            let score = |(name, weight): (&String, &f64)| {
                -libm::log(uniform(rehash(hash, xxh64(name.as_bytes(), 0)))) / weight
            };
            let least = named.iter().min_by(|a, b| score(*a).total_cmp(&score(*b)));
            assert_eq!(least.map(|(name, _)| name), Some(&split.pick(hash).name().to_owned()));
        }
    }
}

#[test]
fn every_variant_has_a_share_and_some_a_weight() {
    let named = [("a", 1.0), ("b", 0.0), ("c", 3.0)];
    let split = Split::new(&named.map(|(name, weight)| weighted(name, weight)), vec![]).unwrap();
    let names = |(target, number): (&Target, f64)| (target.name().to_owned(), number);
    let expected = [("a", 0.25), ("b", 0.0), ("c", 0.75)].map(|(n, share)| (n.to_owned(), share));
    assert_eq!(split.shares().map(names).collect::<Vec<_>>(), expected);
    let expected = [("a", 1.0), ("c", 3.0)].map(|(name, weight)| (name.to_owned(), weight));
    assert_eq!(split.weights().map(names).collect::<Vec<_>>(), expected);
    for (name, weighted) in [("a", Some(true)), ("b", Some(false)), ("gone", None)] {
        let found = split.named(name.as_bytes());
        assert_eq!(found.map(|(_, weighted)| weighted), weighted, "{name}");
        assert!(found.is_none_or(|(target, _)| target.name() == name));
    }
}

/// With earlier weights of names that are gone, and with none at all.
#[test]
fn earlier_weights_may_name_variants_that_are_gone() {
    let now = Named::from([("a".into(), 1.0), ("b".into(), 1.0)]);
    let gone = Named::from([("gone".into(), 1.0), ("a".into(), 0.0)]);
    let (plain, after) = (split(&now, &[]), split(&now, &[gone]));
    let counts = hashes(10_000).filter(|hash| after.pick(*hash).name() == "a").count() as f64;
    let (n, p) = (10_000.0, 0.5);
    // 5 standard errors.
    assert!((counts - n * p).abs() <= 5.0 * f64::sqrt(n * p * (1.0 - p)), "{counts}");
    assert!(moved(&plain, &after, 10_000) > 0.0, "each step draws anew");
}
