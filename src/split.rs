//! A split: which of its variants a hash belongs to, by its weights and those it had before.

use std::sync::Arc;

use crate::config::Weight;
use crate::history::History;
use crate::rendezvous::{Arm, Arms};
use crate::variant::Target;

/// A split that is ready to choose.
#[derive(Debug)]
pub(crate) struct Split {
    arms: Arms<Arc<Target>>,
    /// Every variant of the split, those of weight 0 included, in the order of the weights.
    targets: Vec<Arc<Target>>,
    history: Option<History>,
}

impl Split {
    /// A split between these variants with the weights they had before, oldest first; `None` if
    /// all present weights are 0. Earlier weights may name variants that are gone.
    pub(crate) fn new(weights: &[(Arc<Target>, f64)], earlier: Vec<Vec<Weight>>) -> Option<Self> {
        let arm = |(target, weight): &(Arc<Target>, f64)| {
            Arm::new(&target.variant.name, Arc::clone(target), *weight)
        };
        let arms = Arms::new(weights.iter().map(arm))?;
        let targets = weights.iter().map(|(target, _)| Arc::clone(target)).collect();
        Some(Split { arms, targets, history: history(weights, earlier) })
    }

    /// The variant that this hash belongs to.
    pub(crate) fn pick(&self, hash: u64) -> &Arc<Target> {
        let place = self.history.as_ref().map(|history| history.pick(hash));
        place.and_then(|place| self.targets.get(place)).unwrap_or_else(|| self.arms.pick(hash))
    }

    /// The variants with a weight above 0.
    pub(crate) fn weights(&self) -> impl Iterator<Item = (&Target, f64)> {
        self.arms.iter().map(|arm| (arm.stands_for.as_ref(), arm.weight))
    }

    /// Every variant with its share, 0 to 1.
    pub(crate) fn shares(&self) -> impl Iterator<Item = (&Target, f64)> {
        let total: f64 = self.weights().map(|(_, weight)| weight).sum();
        self.targets.iter().map(move |target| {
            let arm = self.arms.iter().find(|arm| arm.name == target.variant.name);
            (&**target, arm.map_or(0.0, |arm| arm.weight / total))
        })
    }

    /// The variant with this name and whether its weight is above 0.
    pub(crate) fn named(&self, name: &[u8]) -> Option<(&Arc<Target>, bool)> {
        let known = |target: &&Arc<Target>| target.variant.name.as_bytes() == name;
        let target = self.targets.iter().find(known)?;
        Some((target, self.arms.iter().any(|arm| arm.name == target.variant.name)))
    }
}

/// Places are those of `variants` first, then of names that only earlier weights have: the last
/// step leaves these.
fn history(weights: &[(Arc<Target>, f64)], mut earlier: Vec<Vec<Weight>>) -> Option<History> {
    if earlier.is_empty() {
        return None;
    }
    let present = weights
        .iter()
        .map(|(target, weight)| Weight { variant: target.variant.name.clone(), weight: *weight });
    earlier.push(present.collect());
    let mut names: Vec<&str> = weights.iter().map(|(t, _)| t.variant.name.as_str()).collect();
    for Weight { variant, .. } in earlier.iter().flatten() {
        if !names.contains(&variant.as_str()) {
            names.push(variant);
        }
    }
    History::new(&names, &earlier)
}

#[cfg(test)]
mod tests;
