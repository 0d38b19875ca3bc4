//! Sorting, for a small module.

use std::collections::BinaryHeap;

/// In order, equal items in any. The sorts of slices are quicker, and each one brings 8 KB of code
/// for every type; what is sorted here is sorted once, when a plan is made.
pub(crate) fn sorted<T: Ord>(items: Vec<T>) -> Vec<T> {
    BinaryHeap::from(items).into_sorted_vec()
}
