//! Layers: rules of one layer have slices of all clients that do not overlap, so that no client is
//! in two of them. The position of a client in a layer is part of the wire contract, version 1:
//! ```text
//! position = 100 * ((XXH64(key, seed = XXH64(layer, seed = 0)) >> 11) + 0.5) * 2^-53
//! ```

use xxhash_rust::xxh64::xxh64;

use crate::rendezvous::uniform;

/// A rule's share of a layer.
#[derive(Debug)]
pub(crate) struct Slice {
    seed: u64,
    start: f64,
    end: f64,
}

impl Slice {
    /// From `start` up to but without `end`, in percent.
    pub(crate) fn new(layer: &str, start: f64, end: f64) -> Self {
        Slice { seed: xxh64(layer.as_bytes(), 0), start, end }
    }

    /// Where in the layer a client is, in percent.
    pub(crate) fn position(&self, identity: &[u8]) -> f64 {
        100.0 * uniform(xxh64(identity, self.seed))
    }

    /// The share of all clients that are in the slice.
    pub(crate) fn share(&self) -> f64 {
        (self.end - self.start) / 100.0
    }

    pub(crate) fn holds(&self, identity: &[u8]) -> bool {
        let position = self.position(identity);
        // The topmost hash rounds up to 100, which belongs to the slice that ends there.
        self.start <= position && (position < self.end || self.end >= 100.0)
    }
}
