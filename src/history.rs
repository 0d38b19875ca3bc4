//! Earlier weights of a split, kept so that a change moves the fewest keys that it can.
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

/// One change of weights. A place is an index into the list of names.
#[derive(Debug)]
struct Step {
    seed: u64,
    /// By place: the probability that a key there stays.
    stay: Vec<f64>,
    /// Where the others go; `None` when all stay.
    gains: Option<Arms<usize>>,
}

impl History {
    /// The way through these weights, oldest first, the present ones last; `names` gives each name
    /// its place. `None` if the oldest are all 0.
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

    /// The place that this hash belongs to.
    pub(crate) fn pick(&self, hash: u64) -> usize {
        self.steps.iter().fold(*self.oldest.pick(hash), |place, step| {
            let hash = rehash(hash, step.seed);
            let stays = step.stay.get(place).is_some_and(|stay| uniform(hash) <= *stay);
            if stays { place } else { step.gains.as_ref().map_or(place, |gains| *gains.pick(hash)) }
        })
    }
}

fn step(names: &[&str], from: &[f64], to: &[f64], k: u64) -> Step {
    let pairs = || from.iter().zip(to);
    let stay = pairs().map(|(p, q)| if q < p { q / p } else { 1.0 }).collect();
    let gains: Vec<f64> = pairs().map(|(p, q)| (q - p).max(0.0)).collect();
    Step { seed: xxh64(&k.to_le_bytes(), 0), stay, gains: arms(names, &gains) }
}

fn arms(names: &[&str], weights: &[f64]) -> Option<Arms<usize>> {
    let named = names.iter().zip(weights).enumerate();
    Arms::new(named.map(|(place, (name, weight))| Arm::new(name, place, *weight)))
}

/// The weights by place, as shares of 1.
fn shares(names: &[&str], weights: &[Weight]) -> Vec<f64> {
    let weight = |name: &str| weights.iter().find(|it| it.variant == name).map(|it| it.weight);
    let sum: f64 = sorted(names.to_vec()).into_iter().filter_map(weight).sum();
    names.iter().map(|name| weight(name).map_or(0.0, |weight| weight / sum)).collect()
}
