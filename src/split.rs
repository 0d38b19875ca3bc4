//! A split: which of its variants a hash belongs to, by its weights and those it had before.

use std::sync::Arc;

use crate::config::Weight;
use crate::engine::Engine;
use crate::history::History;
use crate::rendezvous::{Arm, Arms};
use crate::variant::{Target, Variant};

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
    /// By the buckets of a flag engine.
    Engine(Box<Buckets>),
}

/// The choice of a flag engine.
#[derive(Debug)]
struct Buckets {
    engine: Engine,
    /// The share of the clients with a key that each target gets, 0 to 1.
    shares: Vec<f64>,
    /// The target of a client that the engine leaves out.
    otherwise: Option<Arc<Target>>,
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

    /// A split by the buckets of a flag engine, which has a range for each of these variants.
    /// `otherwise` is for the clients that it leaves out, and may be none of the variants.
    pub(crate) fn by_engine(
        weights: &[Weighted],
        engine: Engine,
        otherwise: Option<Arc<Target>>,
    ) -> Option<Self> {
        let mut split = Split::new(weights, Vec::new())?;
        let mut shares: Vec<f64> = engine.shares().collect();
        if let Some(target) = &otherwise {
            let rest = (1.0 - shares.iter().sum::<f64>()).max(0.0);
            let known = |known: &Arc<Target>| known.variant.name == target.variant.name;
            match split.targets.iter().position(known).and_then(|place| shares.get_mut(place)) {
                Some(share) => *share += rest,
                None => {
                    split.targets.push(Arc::clone(target));
                    shares.push(rest);
                }
            }
        }
        split.picker = Picker::Engine(Box::new(Buckets { engine, shares, otherwise }));
        Some(split)
    }

    /// The flag engine that chooses.
    pub(crate) fn engine(&self) -> Option<&Engine> {
        self.buckets().map(|buckets| &buckets.engine)
    }

    /// The variant of a client that the flag engine leaves out.
    pub(crate) fn otherwise(&self) -> Option<&Variant> {
        self.buckets()?.otherwise.as_ref().map(|target| &*target.variant)
    }

    fn buckets(&self) -> Option<&Buckets> {
        match &self.picker {
            Picker::Engine(buckets) => Some(buckets),
            Picker::Rendezvous | Picker::History(_) => None,
        }
    }

    /// The choice of the split's flag engine for a client with this key or without one, and whether
    /// the engine has the client in a variant; `None` if no variant is for the client.
    pub(crate) fn bucket(&self, key: Option<&[u8]>) -> Option<(&Arc<Target>, bool)> {
        let buckets = self.buckets()?;
        let place = buckets.engine.place(key);
        match place.and_then(|place| self.targets.get(place)) {
            Some(target) => Some((target, true)),
            None => buckets.otherwise.as_ref().map(|target| (target, false)),
        }
    }

    /// The variant that this hash belongs to.
    pub(crate) fn pick(&self, hash: u64) -> &Arc<Target> {
        match &self.picker {
            // An engine does not choose by this hash: see `bucket`.
            Picker::Rendezvous | Picker::Engine(_) => self.arms.pick(hash),
            // The last step of a history leaves every variant that the split does not have.
            Picker::History(history) => {
                let target = self.targets.get(history.pick(hash));
                target.unwrap_or_else(|| self.arms.pick(hash))
            }
        }
    }

    /// The variants with a weight above 0. Under a flag engine, the weights are the shares of all
    /// clients that the variants get, with what goes to `otherwise`.
    pub(crate) fn weights(&self) -> impl Iterator<Item = (&Target, f64)> {
        let buckets = self.buckets();
        let arms = buckets.is_none().then(|| self.arms.iter()).into_iter().flatten();
        let arms = arms.map(|arm| (arm.stands_for.as_ref(), arm.weight));
        let shares = buckets.into_iter().flat_map(|buckets| &buckets.shares).copied();
        let shares = self.targets.iter().map(|target| &**target).zip(shares);
        arms.chain(shares.filter(|(_, share)| *share > 0.0))
    }

    /// Every variant with its share, 0 to 1.
    pub(crate) fn shares(&self) -> impl Iterator<Item = (&Target, f64)> {
        let total: f64 = self.weights().map(|(_, weight)| weight).sum();
        self.targets.iter().map(move |target| {
            let weight = self.weight(&target.variant.name);
            (&**target, weight.map_or(0.0, |weight| weight / total))
        })
    }

    /// The variant with this name and whether its weight is above 0.
    pub(crate) fn named(&self, name: &[u8]) -> Option<(&Arc<Target>, bool)> {
        let known = |target: &&Arc<Target>| target.variant.name.as_bytes() == name;
        let target = self.targets.iter().find(known)?;
        Some((target, self.weight(&target.variant.name).is_some()))
    }

    /// The weight of the variant with this name, if it is above 0.
    fn weight(&self, name: &str) -> Option<f64> {
        let mut weights = self.weights();
        weights.find(|(target, _)| target.variant.name == name).map(|(_, weight)| weight)
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
        &self.target.variant.name
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
