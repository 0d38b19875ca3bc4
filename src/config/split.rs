//! A split: variants with weights, and what changes or keeps them.

use super::decimal::Decimal;
use super::error::Errors;
use super::field::{Field, Object};
use super::guard::{self, GuardSpec};
use super::ramp::{self, RampSpec};
use super::sticky::{self, PersistSpec};
use crate::limits;

/// A variant of a split and its weight.
#[derive(Clone, Debug, PartialEq)]
pub struct Weight {
    /// The variant's name.
    pub variant: String,
    /// Its weight: 0, or from [`limits::WEIGHT_MIN`] to [`limits::WEIGHT_MAX`]. Its share is this
    /// divided by the sum of all.
    pub weight: f64,
}

/// A split as written.
#[derive(Clone, Debug)]
pub struct SplitSpec {
    /// The weights, in the order written.
    pub weights: Vec<Weight>,
    /// The weights it had before, oldest first.
    pub history: Vec<Vec<Weight>>,
    /// Changes one share over time.
    pub ramp: Option<RampSpec>,
    /// Takes traffic from a variant that fails.
    pub guard: Option<GuardSpec>,
    /// Keeps an assignment, whatever becomes of the weights.
    pub persist: Option<PersistSpec>,
}

/// Reads the fields of a split from its rule; `None` if the rule has no split, `Some(None)` if it
/// could not be read.
pub(super) fn read(object: &mut Object<'_>, errors: &mut Errors) -> Option<Option<SplitSpec>> {
    let weights = object.optional("split").map(|field| weights(field, errors));
    let mut given = |name: &'static str, errors: &mut Errors| {
        let is_split = weights.is_some();
        let field = object.optional(name)?;
        if !is_split {
            errors.forbidden(&field.path, "only a `split` can have it");
        }
        is_split.then_some(field.clone())
    };
    let history = given("history", errors).map(|field| history(&field, errors));
    let ramp = given("ramp", errors).and_then(|field| ramp::read(&field, errors));
    let guard = given("guard", errors).and_then(|field| guard::read(&field, errors));
    let persist = given("persist", errors).and_then(|field| sticky::persist(&field, errors));
    let history = history.unwrap_or_default();
    let split = |weights| SplitSpec { weights, history, ramp, guard, persist };
    Some(weights?.map(split))
}

fn history(field: &Field<'_>, errors: &mut Errors) -> Vec<Vec<Weight>> {
    let fields = field.list(limits::HISTORY, errors).unwrap_or_default();
    fields.iter().filter_map(|field| weights(field, errors)).collect()
}

fn weights(field: &Field<'_>, errors: &mut Errors) -> Option<Vec<Weight>> {
    let object = field.object(errors)?;
    let entries = object.entries(limits::SPLIT_VARIANTS, errors);
    let mut read = |(name, field): &(&str, Field<'_>)| {
        Some(Weight { variant: (*name).to_owned(), weight: weight(field, errors)? })
    };
    let weights: Vec<_> = entries.iter().filter_map(&mut read).collect();
    if weights.len() == entries.len() && weights.iter().all(|it| it.weight == 0.0) {
        return field.wrong("must have a weight above 0", errors);
    }
    Some(weights)
}

fn weight(field: &Field<'_>, errors: &mut Errors) -> Option<f64> {
    let weight = field.number(errors)?;
    if weight < 0.0 {
        field.wrong("must be at least 0", errors)
    } else if weight > 0.0 && weight < limits::WEIGHT_MIN {
        field.wrong(&format!("must be 0 or at least {}", Decimal(limits::WEIGHT_MIN)), errors)
    } else if weight > limits::WEIGHT_MAX {
        field.wrong(&format!("must be at most {}", Decimal(limits::WEIGHT_MAX)), errors)
    } else {
        Some(weight)
    }
}
