//! A split: which of its variants a hash belongs to, by its weights and those it had before.

use std::sync::Arc;

use crate::config::Weight;
use crate::history::History;
use crate::rendezvous::{Arm, Arms};
use crate::variant::Target;

/// A split that is ready to choose.
#[derive(Debug)]
pub(crate) struct Split {
    /// Every variant of the split, those of weight 0 included, in the order of the weights.
    targets: Vec<Arc<Target>>,
    /// The variants with a weight above 0.
    arms: Arms<Arc<Target>>,
    picker: Picker,
}

/// The ways to choose a variant of a split by a hash. A new way is a file with the choice, and one
/// variant here.
#[derive(Debug)]
enum Picker {
    /// By the present weights alone.
    Rendezvous,
    /// By the present weights and the earlier ones, so that a change moves the fewest keys.
    History(History),
}

impl Split {
    /// A split between these variants with the weights they had before, oldest first; `None` if
    /// all present weights are 0. Earlier weights may name variants that are gone.
    pub(crate) fn new(weights: &[Weighted], earlier: Vec<Vec<Weight>>) -> Option<Self> {
        let arm = |weighted: &Weighted| {
            Arm::new(weighted.name(), Arc::clone(&weighted.target), weighted.weight)
        };
        let arms = Arms::new(weights.iter().map(arm))?;
        let targets = weights.iter().map(|weighted| Arc::clone(&weighted.target)).collect();
        let picker = history(weights, earlier).map_or(Picker::Rendezvous, Picker::History);
        Some(Split { targets, arms, picker })
    }

    /// The variant that this hash belongs to.
    pub(crate) fn pick(&self, hash: u64) -> &Arc<Target> {
        match &self.picker {
            Picker::Rendezvous => self.arms.pick(hash),
            // The last step of a history leaves every variant that the split does not have.
            Picker::History(history) => {
                let target = self.targets.get(history.pick(hash));
                target.unwrap_or_else(|| self.arms.pick(hash))
            }
        }
    }

    /// The variants with a weight above 0.
    pub(crate) fn weights(&self) -> impl Iterator<Item = (&Target, f64)> {
        self.arms.iter().map(|arm| (arm.stands_for.as_ref(), arm.weight))
    }

    /// Every variant with its share, 0 to 1.
    pub(crate) fn shares(&self) -> impl Iterator<Item = (&Target, f64)> {
        let total: f64 = self.weights().map(|(_, weight)| weight).sum();
        self.targets.iter().map(move |target| {
            let arm = self.arms.iter().find(|arm| arm.name == target.name());
            (&**target, arm.map_or(0.0, |arm| arm.weight / total))
        })
    }

    /// The variant with this name and whether its weight is above 0.
    pub(crate) fn named(&self, name: &[u8]) -> Option<(&Arc<Target>, bool)> {
        let known = |target: &&Arc<Target>| target.name().as_bytes() == name;
        let target = self.targets.iter().find(known)?;
        Some((target, self.arms.iter().any(|arm| arm.name == target.name())))
    }
}

/// A variant of a split with its weight.
#[derive(Clone, Debug)]
pub(crate) struct Weighted {
    pub(crate) target: Arc<Target>,
    pub(crate) weight: f64,
}

impl Weighted {
    /// The name of the variant.
    pub(crate) fn name(&self) -> &str {
        self.target.name()
    }
}

/// The history of these weights; `None` if there are no earlier ones. Its places are those of the
/// present variants first, then of names that only earlier weights have.
fn history(weights: &[Weighted], mut earlier: Vec<Vec<Weight>>) -> Option<History> {
    if earlier.is_empty() {
        return None;
    }
    let present = |known: &Weighted| Weight { variant: known.name().into(), weight: known.weight };
    earlier.push(weights.iter().map(present).collect());
    let mut names: Vec<&str> = weights.iter().map(Weighted::name).collect();
    for Weight { variant, .. } in earlier.iter().flatten() {
        if !names.contains(&variant.as_str()) {
            names.push(variant);
        }
    }
    History::new(&names, &earlier)
}

#[cfg(test)]
mod tests;
