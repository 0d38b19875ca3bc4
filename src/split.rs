//! Weighted rendezvous: which variant of a split a key belongs to.
//!
//! Each variant gets a score from a hash of (salt, variant's name, key) and its weight, and the
//! least score wins (P-MinHash, Moulton and Jiang, arXiv 1809.04052). The order of the variants
//! plays no part, and a change of weights between two variants moves the least share of keys.
//!
//! The assignment is a wire contract, version 1, with vectors in `wasm-tests/vectors/`:
//! ```text
//! h     = XXH64(key, seed = XXH64(salt, seed = 0))
//! h_i   = XXH64(h as 8 bytes little endian, seed = XXH64(name_i, seed = 0))
//! u_i   = ((h_i >> 11) + 0.5) * 2^-53
//! score = -ln(u_i) / weight_i          ln as in musl's log(); weight 0 takes no part
//! ```
//! Equal scores go to the name that sorts first, byte by byte.

use std::sync::Arc;

use xxhash_rust::xxh64::xxh64;

use crate::plan::Variant;

/// A split that is ready to choose: at least one variant, every weight above 0.
#[derive(Debug)]
pub(crate) struct Split {
    first: Arm,
    rest: Vec<Arm>,
}

/// One variant of a split.
#[derive(Debug)]
pub(crate) struct Arm {
    variant: Arc<Variant>,
    seed: u64,
    weight: f64,
}

impl Arm {
    pub(crate) fn new(variant: Arc<Variant>, weight: f64) -> Self {
        let seed = xxh64(variant.name.as_bytes(), 0);
        Arm { variant, seed, weight }
    }

    fn score(&self, hash: u64) -> f64 {
        let hash = xxh64(&hash.to_le_bytes(), self.seed);
        let uniform = ((hash >> 11) as f64 + 0.5) * TWO_TO_MINUS_53;
        -libm::log(uniform) / self.weight
    }

    fn beats(&self, score: f64, other: &Arm, least: f64) -> bool {
        score < least || (score == least && self.variant.name < other.variant.name)
    }
}

const TWO_TO_MINUS_53: f64 = 1.0 / (1_u64 << 53) as f64;

impl Split {
    /// A split between these variants; `None` if all weights are 0.
    pub(crate) fn new(arms: impl IntoIterator<Item = Arm>) -> Option<Self> {
        let mut arms = arms.into_iter().filter(|arm| arm.weight > 0.0);
        Some(Split { first: arms.next()?, rest: arms.collect() })
    }

    /// The variant that this hash belongs to.
    pub(crate) fn pick(&self, hash: u64) -> &Arc<Variant> {
        let start = (&self.first, self.first.score(hash));
        let (winner, _) = self.rest.iter().fold(start, |(best, least), arm| {
            let score = arm.score(hash);
            if arm.beats(score, best, least) { (arm, score) } else { (best, least) }
        });
        &winner.variant
    }
}
