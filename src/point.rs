//! Points: the numbers by which Envoy chooses among the clusters of a route with weights. Envoy takes
//! the number in the header of `weighted_clusters.header_name` modulo the total of the weights, and
//! looks it up in their running sums.
//!
//! The point of a client is part of the [wire contract](crate::wire_contract), version 1, with
//! vectors in `wasm-tests/vectors/point-v1.json`:
//!
//! ```text
//! point = XXH64(h as 8 bytes little endian, seed = the bytes "point v1" as a number, little endian)
//! ```

use crate::rendezvous::rehash;

/// The point of the first entry, whatever the weights are.
pub const FIRST: u64 = 0;

/// The point of the last entry of a route whose total divides [`POINTS`].
pub const LAST: u64 = POINTS - 1;

/// The number of points up to [`LAST`]: 2^7 · 3^3 · 5^6 · 7 · 11 · 13 · 17 · 19 · 23 · 29 · 31 · 37, a
/// multiple of every number up to 40 and of every power of ten up to a million. No such number
/// below 2^64 is larger.
pub const POINTS: u64 = 13_357_328_642_658_000_000;

/// The seed that parts points from all else that is drawn from the hash of a key: no name hashes to
/// it by design, since a name holds no blank.
const SEED: u64 = u64::from_le_bytes(*b"point v1");

/// The decimal digits of `u64::MAX`.
const DIGITS: usize = 20;

/// The point of a client, from the hash of its key.
pub(crate) fn of(hash: u64) -> u64 {
    rehash(hash, SEED)
}

/// Reads a point as it is written; no other text stands for one, so that each has one form.
pub(crate) fn parse(text: &[u8]) -> Option<u64> {
    let point = std::str::from_utf8(text).ok()?.parse().ok()?;
    (Text::new(point).as_bytes() == text).then_some(point)
}

/// A point in decimal: digits, and the place of the first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text([u8; DIGITS], usize);

impl Text {
    /// Kept out of the way of requests that have none.
    #[inline(never)]
    pub(crate) fn new(point: u64) -> Self {
        // The standard library's formatting takes 230 instructions more, on every request.
        let (mut text, mut first, mut rest) = ([0; DIGITS], DIGITS, point);
        for digit in text.iter_mut().rev() {
            *digit = b'0' | (rest % 10) as u8;
            first = first.saturating_sub(1);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        Text(text, first)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.get(self.1..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The entry that Envoy takes, by its `source/common/router/config_impl.cc`: the first one
    /// whose running sum is above the point modulo the total.
    fn entry(point: u64, weights: &[u64]) -> usize {
        let chosen = point % weights.iter().sum::<u64>();
        let mut sum = 0;
        let above = |weight: &u64| {
            sum += weight;
            chosen < sum
        };
        weights.iter().position(above).unwrap()
    }

    /// The last entry takes the last point even if its weight is 1, for every total that is promised.
    #[test]
    fn the_last_point_is_in_the_last_entry() {
        let powers = (1..=6).map(|power| 10_u64.pow(power));
        for total in (2..=40).chain(powers).chain([50, 200, 250, 500, 2000]) {
            assert_eq!(entry(LAST, &[total - 1, 1]), 1, "{total}");
            assert_eq!(entry(FIRST, &[1, total - 1]), 0, "{total}");
        }
        assert!(POINTS.checked_mul(2).is_none(), "a larger one would be 2 * POINTS at least");
    }

    #[test]
    fn a_point_has_one_form() {
        for (text, point) in [
            ("0", Some(0)),
            ("17", Some(17)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("", None),
            ("017", None),
            ("+17", None),
            ("-1", None),
            (" 17", None),
            ("1e3", None),
        ] {
            assert_eq!(parse(text.as_bytes()), point, "{text:?}");
            if let Some(point) = point {
                assert_eq!(Text::new(point).as_bytes(), text.as_bytes());
            }
        }
        assert_eq!(parse(b"\xff"), None);
    }

    /// 100,000 keys, 5 standard errors: who is in one half of a split, a layer or a trial is in
    /// either half of a route as often.
    #[test]
    fn points_are_independent_of_all_else() {
        use crate::rendezvous::uniform;
        use xxhash_rust::xxh64::xxh64;
        let salt = xxh64(b"rollout", 0);
        let hashes: Vec<u64> =
            (0..100_000).map(|i| xxh64(format!("user-{i}").as_bytes(), salt)).collect();
        let others: [fn(u64) -> bool; 3] = [
            |hash| uniform(hash) < 0.5,
            |hash| uniform(rehash(hash, xxh64(b"canary", 0))) < 0.5,
            |hash| uniform(rehash(hash, u64::from_le_bytes(*b"on trial"))) < 0.5,
        ];
        for other in others {
            let both = hashes.iter().filter(|hash| other(**hash) && of(**hash) % 100 < 50).count();
            let (n, p) = (100_000.0, 0.25);
            let off = (both as f64 - n * p).abs();
            assert!(off <= 5.0 * f64::sqrt(n * p * (1.0 - p)), "{both}");
        }
    }
}
