//! A split: variants with weights, and the parts that change weights or keep assignments.

use super::decimal::Decimal;
use super::error::Errors;
use super::field::{Field, Object};
use super::form::Form;
use super::given::Given;
use super::guard::{self, GuardSpec};
use super::ramp::{self, RampSpec};
use super::route;
use super::rule::ActionSpec;
use super::sticky::{self, PersistSpec};
use crate::limits;

/// A variant of a split, and its weight.
#[derive(Clone, Debug, PartialEq)]
pub struct Weight {
    /// The variant's name.
    pub variant: String,
    /// Its weight: 0, or from [`limits::WEIGHT_MIN`] to [`limits::WEIGHT_MAX`]. The variant's share
    /// is its weight divided by the sum of all weights of the split.
    pub weight: f64,
}

/// A split as written.
///
/// ```
/// use traffic_split::config::{ActionSpec, Config};
///
/// let config = br#"{ "variantHeader": "x-variant", "variants": { "v1": {}, "v2": {} }, "rules": [
///     { "name": "rollout", "split": { "v1": 80, "v2": 20 }, "history": [ { "v1": 100 } ],
///       "sticky": { "key": [ { "cookie": "uid" } ] } } ] }"#;
/// let rules = Config::parse(config).unwrap().rules;
/// let Some(ActionSpec::Split(split)) = &rules[0].action else { panic!() };
/// assert_eq!((split.weights[1].variant.as_str(), split.weights[1].weight), ("v2", 20.0));
/// assert_eq!(split.history[0][0].weight, 100.0);
/// ```
#[derive(Clone, Debug)]
pub struct SplitSpec {
    /// The present weights, in the order written: at most [`limits::SPLIT_VARIANTS`], one of them
    /// above 0.
    pub weights: Vec<Weight>,
    /// Whether the weights are written as a list, whose order is kept on every way to the filter.
    pub listed: bool,
    /// The variant of a client that the engine leaves out; without it, the next rule decides.
    pub otherwise: Option<String>,
    /// The weights that the split had before, oldest first: at most [`limits::HISTORY`] steps. They
    /// let a change of weights move the fewest clients.
    pub history: Vec<Vec<Weight>>,
    /// The ramp that changes one variant's share over time.
    pub ramp: Option<RampSpec>,
    /// The guard that takes traffic from a failing variant.
    pub guard: Option<GuardSpec>,
    /// The cookie that keeps a client's variant when the weights change.
    pub persist: Option<PersistSpec>,
}

/// Reads the fields of a split, which stand among those of its rule.
pub(super) fn read(object: &mut Object<'_>, errors: &mut Errors) -> Given<ActionSpec> {
    if object.optional("split").is_some_and(|field| field.word().is_some()) {
        return route::read(object, errors);
    }
    let weights = object.given("split", split, errors);
    if !weights.is_given() {
        for name in ["history", "ramp", "guard", "persist", "otherwise"] {
            if let Some(field) = object.optional(name) {
                errors.forbidden(&field.path, "only a `split` can have it");
            }
        }
        return Given::Absent;
    }
    let history = object.given("history", history, errors).value().unwrap_or_default();
    let ramp = object.given("ramp", ramp::read, errors).value();
    let guard = object.given("guard", guard::read, errors).value();
    let persist = object.given("persist", sticky::persist, errors).value();
    let otherwise = object.given("otherwise", Field::name, errors).value();
    let Given::Value((weights, listed)) = weights else { return Given::Wrong };
    let split = SplitSpec { weights, listed, otherwise, history, ramp, guard, persist };
    Given::Value(ActionSpec::Split(Box::new(split)))
}

/// The weights, and whether they are a list.
fn split(field: &Field<'_>, errors: &mut Errors) -> Option<(Vec<Weight>, bool)> {
    let listed = field.is_list();
    let weights = if listed { list(field, errors) } else { weights(field, errors) };
    Some((weights?, listed))
}

/// An element of a split that is a list.
const ONE: Form = Form { before: "{ ", example: "canary", after: ": 10 }" };

/// Weights as a list of objects with one field each.
fn list(field: &Field<'_>, errors: &mut Errors) -> Option<Vec<Weight>> {
    let fields = field.list(limits::SPLIT_VARIANTS, errors)?;
    let mut read: Vec<Weight> = Vec::new();
    for one in &fields {
        let object = one.object_as(ONE, errors)?;
        let [(name, weight)] = object.entries(limits::SPLIT_VARIANTS, errors) else {
            return one.wrong("must be one variant with its weight, as in {canary: 10}", errors);
        };
        if read.iter().any(|known| known.variant == *name) {
            errors.duplicate(&weight.path, name);
            return None;
        }
        read.push(weighted(name, weight, errors));
    }
    some(field, read, errors)
}

fn history(field: &Field<'_>, errors: &mut Errors) -> Option<Vec<Vec<Weight>>> {
    let form = Form::fixed("[ { stable: 90, canary: 10 } ]");
    let fields = field.list_as(limits::HISTORY, form, errors)?;
    Some(fields.iter().filter_map(|field| weights(field, errors)).collect())
}

fn weights(field: &Field<'_>, errors: &mut Errors) -> Option<Vec<Weight>> {
    let object = field.object_as(Form::fixed("{ stable: 90, canary: 10 }"), errors)?;
    let entries = object.entries(limits::SPLIT_VARIANTS, errors);
    let mut read = |(name, field): &(&str, Field<'_>)| weighted(name, field, errors);
    let weights: Vec<_> = entries.iter().map(&mut read).collect();
    some(field, weights, errors)
}

/// A variant with its weight. A wrong weight counts as one, so that a ramp or a guard still finds its
/// variant.
fn weighted(name: &str, field: &Field<'_>, errors: &mut Errors) -> Weight {
    Weight { variant: name.to_owned(), weight: weight(field, errors).unwrap_or(1.0) }
}

/// The weights, if one of them is above 0.
fn some(field: &Field<'_>, weights: Vec<Weight>, errors: &mut Errors) -> Option<Vec<Weight>> {
    if weights.iter().all(|it| it.weight == 0.0) {
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
