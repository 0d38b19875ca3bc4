//! The earlier weights of a split: with them, a change of weights moves the fewest keys possible.
//!
//! Weights p become q in one step: a key of variant i stays with the probability min(1, q_i / p_i),
//! and otherwise goes to variant j in proportion to max(0, q_j - p_j). This maximal coupling moves
//! exactly half the sum of |p_i - q_i|, the total variation, which no scheme undercuts. Each step
//! draws from a hash of its own, so the steps are independent.
//!
//! Part of the wire contract, version 1, on top of the one in `rendezvous.rs`:
//! ```text
//! step 0: the rendezvous of h under the oldest weights
//! step k: g = XXH64(h as 8 bytes little endian, seed = XXH64(k as 8 bytes little endian, 0));
//!         stay if ((g >> 11) + 0.5) * 2^-53 <= q_i / p_i, else the rendezvous of g under the gains
//! ```
//! with p and q divided by their sums, which are added up in the order of the names.

use xxhash_rust::xxh64::xxh64;

use crate::config::Weight;
use crate::rendezvous::{Arm, Arms, rehash, uniform};
use crate::sorted::sorted;

/// The steps from the oldest weights to the present ones.
#[derive(Debug)]
pub(crate) struct History {
    oldest: Arms<usize>,
    steps: Vec<Step>,
}

/// One change of weights. A place is an index into the list of names that the history is made with.
#[derive(Debug)]
pub(crate) struct Step {
    seed: u64,
    /// The probability that a key stays, 0 to 1, by place.
    stay: Vec<f64>,
    /// The rendezvous of the keys that do not stay; `None` if no variant gains.
    gains: Option<Arms<usize>>,
}

impl History {
    /// The steps through these weights, oldest first and the present ones last; `names` gives each
    /// name its place. `None` if the oldest weights are all 0.
    pub(crate) fn new(names: &[&str], weights: &[Vec<Weight>]) -> Option<Self> {
        let shares: Vec<Vec<f64>> = weights.iter().map(|w| shares(names, w)).collect();
        let steps: Vec<Step> = shares
            .iter()
            .zip(shares.iter().skip(1))
            .zip(1_u64..)
            .map(|((from, to), k)| step(names, from, to, k))
            .collect();
        Some(History { oldest: arms(names, shares.first()?)?, steps })
    }

    /// The place of the variant that this hash belongs to.
    pub(crate) fn pick(&self, hash: u64) -> usize {
        self.steps.iter().fold(*self.oldest.pick(hash), |place, step| step.pick(hash, place))
    }

    /// One more step, from the last weights to others; `names` are those of the history's first places.
    pub(crate) fn next(&self, names: &[&str], from: &[Weight], to: &[Weight]) -> Step {
        let k = self.steps.len().saturating_add(1);
        step(names, &shares(names, from), &shares(names, to), k as u64)
    }
}

impl Step {
    /// The place after the step of a hash whose place before it is `place`.
    pub(crate) fn pick(&self, hash: u64, place: usize) -> usize {
        let hash = rehash(hash, self.seed);
        let stays = self.stay.get(place).is_some_and(|stay| uniform(hash) <= *stay);
        if stays { place } else { self.gains.as_ref().map_or(place, |gains| *gains.pick(hash)) }
    }
}

fn step(names: &[&str], from: &[f64], to: &[f64], k: u64) -> Step {
    let pairs = || from.iter().zip(to);
    // Where nobody is, 0 / 0, the least of NaN and 1 is 1.
    let stay = pairs().map(|(p, q)| (q / p).min(1.0)).collect();
    let gains: Vec<f64> = pairs().map(|(p, q)| (q - p).max(0.0)).collect();
    Step { seed: xxh64(&k.to_le_bytes(), 0), stay, gains: arms(names, &gains) }
}

fn arms(names: &[&str], weights: &[f64]) -> Option<Arms<usize>> {
    let named = names.iter().zip(weights).enumerate();
    Arms::new(named.map(|(place, (name, weight))| Arm::new(name, place, *weight)))
}

/// The weights by place, as shares that add up to 1.
fn shares(names: &[&str], weights: &[Weight]) -> Vec<f64> {
    let weight = |name: &str| weights.iter().find(|it| it.variant == name).map(|it| it.weight);
    let sum: f64 = sorted(names.to_vec()).into_iter().filter_map(weight).sum();
    names.iter().map(|name| weight(name).map_or(0.0, |weight| weight / sum)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(weights: &[(&str, f64)]) -> Vec<Weight> {
        let weight =
            |(name, weight): &(&str, f64)| Weight { variant: (*name).to_owned(), weight: *weight };
        weights.iter().map(weight).collect()
    }

    /// The hash becomes `u64::MAX` in the first step, which as a number rounds up to 1.
    #[test]
    fn even_the_topmost_hash_stays_where_nobody_has_to_go() {
        const TOPMOST: u64 = 0x8b9a_5da1_3e47_2213;
        assert_eq!(rehash(TOPMOST, xxh64(&1_u64.to_le_bytes(), 0)), u64::MAX);
        let before = weights(&[("a", 1.0), ("b", 1.0)]);
        for after in [[("a", 3.0), ("b", 3.0)], [("a", 1.0), ("b", 9.0)], [("a", 9.0), ("b", 1.0)]]
        {
            let steps = [before.clone(), weights(&after)];
            let history = History::new(&["a", "b"], &steps).unwrap();
            let old = History::new(&["a", "b"], &steps[..1]).unwrap().pick(TOPMOST);
            let gains = after[old].1 >= after[1 - old].1;
            assert_eq!(history.pick(TOPMOST), if gains { old } else { 1 - old }, "{after:?}");
        }
    }

    #[test]
    fn a_name_without_a_weight_gets_nobody() {
        let steps = [weights(&[("a", 1.0)]), weights(&[("b", 1.0)]), weights(&[("c", 1.0)])];
        let names = ["c", "b", "a"];
        for (known, place) in [(1, 2), (2, 1), (3, 0)] {
            let history = History::new(&names, &steps[..known]).unwrap();
            assert!((0..1000).all(|hash| history.pick(rehash(hash, 7)) == place), "{known}");
        }
    }

    #[test]
    fn there_is_no_history_from_weights_of_0() {
        assert!(History::new(&["a"], &[weights(&[("a", 0.0)]), weights(&[("a", 1.0)])]).is_none());
        assert!(History::new(&["a"], &[]).is_none());
    }

    /// 10,000 hashes, 5 standard errors: of the keys of `a`, whose share halves, half stay.
    #[test]
    fn a_key_stays_with_the_ratio_of_the_shares() {
        let steps = [weights(&[("a", 1.0), ("b", 1.0)]), weights(&[("a", 1.0), ("b", 3.0)])];
        let [old, new] = [1, 2].map(|known| History::new(&["a", "b"], &steps[..known]).unwrap());
        let of_a = (0..10_000).map(|i| rehash(i, 7)).filter(|hash| old.pick(*hash) == 0);
        let of_a: Vec<u64> = of_a.collect();
        let stay = of_a.iter().filter(|hash| new.pick(**hash) == 0).count() as f64;
        let (n, p) = (of_a.len() as f64, 0.5);
        assert!((stay - n * p).abs() <= 5.0 * f64::sqrt(n * p * (1.0 - p)), "{stay} of {n}");
        assert!((0..10_000).all(|i| old.pick(i) == 0 || new.pick(i) == 1), "nobody leaves b");
    }
}
