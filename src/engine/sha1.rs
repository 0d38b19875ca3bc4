//! The bucket of LaunchDarkly and PostHog: the first 60 bits of SHA-1, as a number from 0 to 1.

use sha1::{Digest, Sha1};

use super::Text;

/// The greatest number of 60 bits.
const SCALE: u64 = (1 << 60) - 1;

pub(super) fn bucket(text: Text<'_>, _whole: u64) -> f64 {
    let mut hash = Sha1::new();
    text.0.iter().for_each(|piece| hash.update(piece));
    let digest = hash.finalize();
    let first = digest.iter().take(8).fold(0_u64, |word, byte| (word << 8) | u64::from(*byte));
    (first >> 4) as f64 / SCALE as f64
}
