//! A split: which of its variants a hash belongs to, by its weights and those it had before.

use std::sync::Arc;

use crate::config::Weight;
use crate::engine::Engine;
use crate::history::{History, Step};
use crate::rendezvous::{Arm, Arms};
use crate::variant::Target;

/// A split that is ready to choose.
#[derive(Debug)]
pub(crate) struct Split {
    /// Every variant of the split, those of weight 0 included, in the order of the weights. A variant
    /// for clients whom a flag engine leaves out follows them, unless it is one of them.
    targets: Vec<Arc<Target>>,
    /// The weights of the targets. Under a flag engine, they are shares of the clients with a key.
    weights: Vec<f64>,
    /// The variants with a weight above 0.
    arms: Arms<Arc<Target>>,
    picker: Picker,
}

/// The ways to choose a variant of a split. A new way is a file with the choice, and one variant here.
#[derive(Debug)]
enum Picker {
    /// By the present weights alone.
    Rendezvous,
    /// By the present weights and the earlier ones, so that a change moves the fewest keys.
    History(Arc<History>),
    /// By these and one step more, to the weights of a ramp.
    Ramp(Arc<History>, Step),
    /// By the buckets of a flag engine, with a place for the clients that it leaves out.
    Engine(Arc<Engine>, Option<usize>),
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
        let history = history(weights, earlier).map(Arc::new);
        let picker = history.map_or(Picker::Rendezvous, Picker::History);
        let weights = weights.iter().map(|weighted| weighted.weight).collect();
        Some(Split { targets, weights, arms, picker })
    }

    /// The same split as the last step of a history, from the weights at the history's end to its own.
    /// The step has one hash, whatever its weights: that of a ramp.
    pub(crate) fn after(mut self, history: &Arc<History>, ends: [&[Weighted]; 2]) -> Self {
        let [from, to] = ends.map(written);
        let names: Vec<&str> = from.iter().map(|weight| weight.variant.as_str()).collect();
        self.picker = Picker::Ramp(Arc::clone(history), history.next(&names, &from, &to));
        self
    }

    /// The earlier weights by which it chooses.
    pub(crate) fn history(&self) -> Option<&Arc<History>> {
        match &self.picker {
            Picker::History(history) => Some(history),
            Picker::Rendezvous | Picker::Ramp(..) | Picker::Engine(..) => None,
        }
    }

    /// The same split by the buckets of a flag engine, which has a range for each of the variants.
    /// `otherwise` is for the clients that it leaves out.
    pub(crate) fn by_engine(mut self, engine: Arc<Engine>, otherwise: Option<Arc<Target>>) -> Self {
        self.weights = engine.shares().collect();
        let place = otherwise.map(|target| {
            let rest = (1.0 - self.weights.iter().sum::<f64>()).max(0.0);
            let place = self.place(target.name().as_bytes()).unwrap_or_else(|| {
                self.targets.push(target);
                self.weights.push(0.0);
                self.targets.len().saturating_sub(1)
            });
            self.weights.iter_mut().skip(place).take(1).for_each(|weight| *weight += rest);
            place
        });
        self.picker = Picker::Engine(engine, place);
        self
    }

    /// The variant that this hash belongs to.
    pub(crate) fn pick(&self, hash: u64) -> &Arc<Target> {
        match &self.picker {
            // An engine has a hash of its own: see `bucket`.
            Picker::Rendezvous | Picker::Engine(..) => self.arms.pick(hash),
            Picker::History(history) => self.at(history.pick(hash), hash),
            Picker::Ramp(history, step) => self.at(step.pick(hash, history.pick(hash)), hash),
        }
    }

    /// The variant of a place. The last step of a history leaves every variant that the split does not
    /// have.
    fn at(&self, place: usize, hash: u64) -> &Arc<Target> {
        self.targets.get(place).unwrap_or_else(|| self.arms.pick(hash))
    }

    /// The flag engine that chooses.
    pub(crate) fn engine(&self) -> Option<&Engine> {
        match &self.picker {
            Picker::Engine(engine, _) => Some(engine),
            Picker::Rendezvous | Picker::History(_) | Picker::Ramp(..) => None,
        }
    }

    /// The variant of a client that the flag engine leaves out.
    pub(crate) fn otherwise(&self) -> Option<&Arc<Target>> {
        match &self.picker {
            Picker::Engine(_, otherwise) => self.targets.get((*otherwise)?),
            Picker::Rendezvous | Picker::History(_) | Picker::Ramp(..) => None,
        }
    }

    /// The choice of the flag engine for a client with this key or without one; `None` if it leaves the
    /// client out.
    pub(crate) fn bucket(&self, key: Option<&[u8]>) -> Option<&Arc<Target>> {
        self.targets.get(self.engine()?.place(key)?)
    }

    /// The variants with a weight above 0.
    pub(crate) fn weights(&self) -> impl Iterator<Item = (&Target, f64)> {
        let weighted = self.targets.iter().zip(&self.weights);
        weighted.filter(|(_, weight)| **weight > 0.0).map(|(target, weight)| (&**target, *weight))
    }

    /// Every variant with its share, 0 to 1.
    pub(crate) fn shares(&self) -> impl Iterator<Item = (&Target, f64)> {
        let total: f64 = self.weights.iter().sum();
        let share = move |weight| if total > 0.0 { weight / total } else { 0.0 };
        let weighted = self.targets.iter().zip(&self.weights);
        weighted.map(move |(target, weight)| (&**target, share(*weight)))
    }

    /// The variant with this name and whether its weight is above 0.
    pub(crate) fn named(&self, name: &[u8]) -> Option<(&Arc<Target>, bool)> {
        let place = self.place(name)?;
        Some((
            self.targets.get(place)?,
            self.weights.get(place).is_some_and(|weight| *weight > 0.0),
        ))
    }

    fn place(&self, name: &[u8]) -> Option<usize> {
        self.targets.iter().position(|target| target.name().as_bytes() == name)
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

/// Weights as they are written.
fn written(weights: &[Weighted]) -> Vec<Weight> {
    let weight = |known: &Weighted| Weight { variant: known.name().into(), weight: known.weight };
    weights.iter().map(weight).collect()
}

/// The history of these weights; `None` if there are no earlier ones. Its places are those of the
/// present variants first, then of names that only earlier weights have.
fn history(weights: &[Weighted], mut earlier: Vec<Vec<Weight>>) -> Option<History> {
    if earlier.is_empty() {
        return None;
    }
    earlier.push(written(weights));
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
