//! Weighted rendezvous: which variant of a split a key belongs to.
//!
//! Each variant gets a score from a hash of (salt, variant's name, key) and its weight, and the
//! least score wins (P-MinHash, Moulton and Jiang, arXiv 1809.04052). The order of the variants
//! plays no part, and a change of weights between two variants moves the least share of keys.
//!
//! The recipe is part of the [wire contract](crate::wire_contract), version 1, with vectors in
//! `wasm-tests/vectors/`.

use xxhash_rust::xxh64::xxh64;

/// Names with weights above 0, at least one, each standing for a `T`.
#[derive(Debug)]
pub(crate) struct Arms<T> {
    first: Arm<T>,
    rest: Vec<Arm<T>>,
}

/// One name of a rendezvous.
#[derive(Debug)]
pub(crate) struct Arm<T> {
    pub(crate) name: String,
    seed: u64,
    pub(crate) weight: f64,
    pub(crate) stands_for: T,
}

impl<T> Arm<T> {
    pub(crate) fn new(name: &str, stands_for: T, weight: f64) -> Self {
        Arm { name: name.to_owned(), seed: xxh64(name.as_bytes(), 0), weight, stands_for }
    }

    /// The arm's score, if it can be so small. Since -ln(u) >= 1 - u, most arms are found to lose
    /// without a logarithm; the margin is far above what rounding takes.
    fn score(&self, hash: u64, least: f64) -> Option<f64> {
        const MARGIN: f64 = 1e-6;
        let u = uniform(rehash(hash, self.seed));
        let can = (1.0 - u) * (1.0 - MARGIN) <= least * self.weight;
        can.then(|| -libm::log(u) / self.weight)
    }

    fn beats(&self, score: f64, other: &Arm<T>, least: f64) -> bool {
        score < least || (score == least && self.name < other.name)
    }
}

impl<T> Arms<T> {
    /// `None` if no weight is above 0.
    pub(crate) fn new(arms: impl IntoIterator<Item = Arm<T>>) -> Option<Self> {
        let mut arms = arms.into_iter().filter(|arm| arm.weight > 0.0);
        Some(Arms { first: arms.next()?, rest: arms.collect() })
    }

    /// The names with their weights, and what they stand for.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arm<T>> {
        std::iter::once(&self.first).chain(&self.rest)
    }

    /// The value of the arm with the least score.
    pub(crate) fn pick(&self, hash: u64) -> &T {
        let (mut winner, mut least) = (&self.first, f64::INFINITY);
        for arm in self.iter() {
            if let Some(score) = arm.score(hash, least)
                && arm.beats(score, winner, least)
            {
                (winner, least) = (arm, score);
            }
        }
        &winner.stands_for
    }
}

/// A hash derived from another one.
pub(crate) fn rehash(hash: u64, seed: u64) -> u64 {
    xxh64(&hash.to_le_bytes(), seed)
}

/// A hash as a number, uniform between 0 and 1.
pub(crate) fn uniform(hash: u64) -> f64 {
    ((hash >> 11) as f64 + 0.5) * TWO_TO_MINUS_53
}

const TWO_TO_MINUS_53: f64 = 1.0 / (1_u64 << 53) as f64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_scores_go_to_the_first_name() {
        let arm =
            |name: &str| Arm { name: name.into(), seed: 0, weight: 1.0, stands_for: name.len() };
        for names in [["a", "bb"], ["bb", "a"]] {
            assert_eq!(*Arms::new(names.map(arm)).unwrap().pick(7), 1);
        }
    }

    /// The score of `b` is small, where -ln(u) and 1 - u are closest, and a little less than that of
    /// `a`, or a little more.
    #[test]
    fn an_arm_that_barely_wins_is_not_passed_over() {
        const HASH: u64 = 0xfbcd_52b5_302c_9b92;
        let u = |name: &[u8]| uniform(rehash(HASH, xxh64(name, 0)));
        let least = -libm::log(u(b"b"));
        assert!(least < 2e-7);
        for (ratio, winner) in [(1.0 + 1e-9, 'b'), (1.0 + 5e-7, 'b'), (1.0 - 1e-9, 'a')] {
            let weight = -libm::log(u(b"a")) / (least * ratio);
            let arms = [Arm::new("a", 'a', weight), Arm::new("b", 'b', 1.0)];
            assert_eq!(*Arms::new(arms).unwrap().pick(HASH), winner, "{ratio}");
        }
    }

    #[test]
    fn an_arm_without_weight_takes_no_part() {
        let arm = |name: &str, weight: f64| Arm::new(name, (), weight);
        assert!(Arms::new([arm("a", 0.0), arm("b", 0.0)]).is_none());
        let arms = Arms::new([arm("a", 0.0), arm("b", 1.0), arm("c", 2.0)]).unwrap();
        let names: Vec<_> = arms.iter().map(|arm| (arm.name.as_str(), arm.weight)).collect();
        assert_eq!(names, [("b", 1.0), ("c", 2.0)]);
    }

    /// The middles of 2^53 equal parts; the last one rounds up.
    #[test]
    fn a_hash_is_a_number_between_0_and_1() {
        for (hash, number) in [
            (0, f64::exp2(-54.0)),
            (0x7ff, f64::exp2(-54.0)),
            (0x800, 3.0 * f64::exp2(-54.0)),
            (1 << 62, 0.25 + f64::exp2(-54.0)),
            (u64::MAX, 1.0),
        ] {
            assert_eq!(uniform(hash), number, "{hash:x}");
        }
    }

    /// 10,000 hashes, 5 standard errors.
    #[test]
    fn an_arm_of_a_large_weight_is_not_passed_over() {
        let arms = Arms::new([Arm::new("a", 'a', 1.0), Arm::new("b", 'b', 100.0)]).unwrap();
        let won = (0..10_000).filter(|i| *arms.pick(rehash(*i, 7)) == 'b').count() as f64;
        let (n, p) = (10_000.0, 100.0 / 101.0);
        assert!((won - n * p).abs() <= 5.0 * f64::sqrt(n * p * (1.0 - p)), "{won}");
    }
}
