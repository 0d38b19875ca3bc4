//! Layers: the rules of one layer have disjoint slices of the clients, so no client is in two of
//! them. The position of a client in a layer is part of the wire contract, version 1:
//!
//! ```text
//! position = 100 * ((XXH64(key, seed = XXH64(layer, seed = 0)) >> 11) + 0.5) * 2^-53
//! ```

use xxhash_rust::xxh64::xxh64;

use crate::rendezvous::uniform;

/// The part of a layer that belongs to one rule.
#[derive(Debug)]
pub(crate) struct Slice {
    seed: u64,
    start: f64,
    end: f64,
}

impl Slice {
    /// The slice from `start` up to but without `end`, in percent of the layer.
    pub(crate) fn new(layer: &str, start: f64, end: f64) -> Self {
        Slice { seed: xxh64(layer.as_bytes(), 0), start, end }
    }

    /// The position of a client in the layer, 0 to 100.
    pub(crate) fn position(&self, identity: &[u8]) -> f64 {
        100.0 * uniform(xxh64(identity, self.seed))
    }

    /// The share of all clients that are in the slice, 0 to 1.
    pub(crate) fn share(&self) -> f64 {
        (self.end - self.start) / 100.0
    }

    /// Whether a client is in the slice.
    pub(crate) fn holds(&self, identity: &[u8]) -> bool {
        let position = self.position(identity);
        // The topmost hash rounds up to 100, which belongs to the slice that ends there.
        self.start <= position && (position < self.end || self.end >= 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed by the recipe with another implementation of XXH64.
    #[test]
    fn positions_never_change() {
        for (layer, client, position) in [
            ("l", "user-0", 51.14578910410999),
            ("l", "user-1", 49.007044985058464),
            ("checkout", "user-0", 62.71612404176796),
            ("checkout", "user-3", 51.50670941423172),
        ] {
            let slice = Slice::new(layer, 0.0, 1.0);
            assert_eq!(slice.position(client.as_bytes()), position, "{layer} {client}");
        }
    }

    #[test]
    fn a_slice_begins_at_its_start_and_ends_before_its_end() {
        let at = Slice::new("l", 0.0, 1.0).position(b"user-0");
        for (start, end, held) in [
            (at, 100.0, true),
            (at, at + 1.0, true),
            (0.0, at, false),
            (0.0, at.next_up(), true),
            (at.next_up(), 100.0, false),
        ] {
            assert_eq!(Slice::new("l", start, end).holds(b"user-0"), held, "{start} {end}");
        }
    }

    /// The hash of these bytes under the layer's seed is `u64::MAX`, and rounds up to 100.
    #[test]
    fn the_topmost_client_is_in_the_last_slice() {
        let topmost = 0xa29d_279a_9477_ca69_u64.to_le_bytes();
        assert_eq!(Slice::new("l", 0.0, 1.0).position(&topmost), 100.0);
        assert!(Slice::new("l", 50.0, 100.0).holds(&topmost));
        assert!(!Slice::new("l", 50.0, 100.0_f64.next_down()).holds(&topmost));
    }

    #[test]
    fn a_share_is_the_length_of_the_slice() {
        assert_eq!(Slice::new("l", 30.0, 80.0).share(), 0.5);
        assert_eq!(Slice::new("l", 0.0, 100.0).share(), 1.0);
    }
}
