//! Routes with weights, as Envoy reads them.

/// The entries of a route in their order, each with its weight.
pub type Weights<'w> = [(&'w str, u32)];

/// The entry that a point chooses: the first one whose running sum of weights is above the point
/// modulo the total (Envoy's `source/common/router/config_impl.cc`).
pub fn entry<'w>(point: u64, weights: &Weights<'w>) -> &'w str {
    let total: u64 = weights.iter().map(|(_, weight)| u64::from(*weight)).sum();
    let mut end = 0;
    let taken = weights.iter().find(|(_, weight)| {
        end += u64::from(*weight);
        point % total < end
    });
    taken.map(|(name, _)| *name).unwrap_or_default()
}
