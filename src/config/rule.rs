//! A rule: what it matches, and where it sends what matched.

use super::condition::{self, Condition};
use super::error::Errors;
use super::field::{Field, Object};
use super::sticky::{self, Persist, Sticky};
use crate::limits;

/// One rule as written.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Where it stands, as in `rules[1]`.
    pub path: String,
    /// Its name, unique in the configuration.
    pub name: String,
    /// Entries (OR) of conditions (AND); `None` matches every request.
    pub entries: Option<Vec<Vec<Condition>>>,
    /// The share of all clients that the rule may take, apart from other rules of its layer.
    pub layer: Option<Layer>,
    /// How a client is recognised; without it a split draws anew for every request.
    pub sticky: Option<Sticky>,
    /// Keeps what a split chose.
    pub persist: Option<Persist>,
    /// Where a request that matches goes; `None` when it could not be read.
    pub action: Option<Action>,
}

/// Where a request goes.
#[derive(Clone, Debug)]
pub enum Action {
    /// Always to this variant.
    To(String),
    /// To one of several.
    Split {
        /// Variants with their weights, in the order written.
        weights: Weights,
        /// The weights it had before, oldest first.
        history: Vec<Weights>,
    },
}

/// Variants with their weights, in the order written.
pub type Weights = Vec<(String, f64)>;

/// A slice of a layer: rules of one layer never take the same client.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The layer's name.
    pub name: String,
    /// Percent, 0 to 100: the first that is in.
    pub start: f64,
    /// Percent, 0 to 100: the first that is out again.
    pub end: f64,
}

pub(super) fn read(field: &Field<'_>, errors: &mut Errors) -> Option<Rule> {
    let mut object = field.object(errors)?;
    let remedy = "name the rule: logs, metrics and the default salt use it";
    let name = object.required("name", remedy, errors).and_then(|field| field.name(errors));
    let entries = object.optional("match").map(|field| entries(field, errors));
    let layer = layer(&mut object, errors);
    let action = action(&mut object, errors);
    let sticky = object.optional("sticky").map(|field| sticky::read(field, errors));
    let persist = object.optional("persist").map(|field| sticky::persist(field, errors));
    object.finish(errors);
    let path = field.path.clone();
    if let Some(Action::To(_)) = action {
        if sticky.is_some() && layer.is_none() {
            let remedy = "only a `split` can be sticky, or a rule with a `layer`";
            errors.forbidden(&format!("{path}.sticky"), remedy);
        }
        if persist.is_some() {
            errors.forbidden(&format!("{path}.persist"), "only a `split` can be persistent");
        }
    }
    if layer.is_some() && sticky.is_none() {
        errors.required(&format!("{path}.sticky"), "a `layer` tells clients apart by `sticky`");
    }
    if matches!(&action, Some(Action::Split { history, .. }) if !history.is_empty())
        && sticky.is_none()
    {
        errors.required(&format!("{path}.sticky"), "`history` is for sticky splits");
    }
    let name = name.unwrap_or_default();
    let (sticky, persist) = (sticky.flatten(), persist.flatten());
    Some(Rule { path, name, entries, layer, sticky, persist, action })
}

fn entries(field: &Field<'_>, errors: &mut Errors) -> Vec<Vec<Condition>> {
    let fields = field.list(limits::MATCH_ENTRIES, errors).unwrap_or_default();
    if fields.is_empty() && field.is_list() {
        field.wrong::<()>("must have an entry; leave it out to match every request", errors);
    }
    fields.iter().map(|field| condition::read(field, errors)).collect()
}

fn layer(object: &mut Object<'_>, errors: &mut Errors) -> Option<Layer> {
    let name = object.optional("layer").map(|field| field.name(errors));
    let slice = object.optional("slice").map(|field| slice(field, errors));
    let (missing, remedy) = match (&name, &slice) {
        (Some(_), None) => ("slice", "give the percent of the layer that the rule takes: [0, 30]"),
        (None, Some(_)) => ("layer", "name the layer that the slice is of"),
        _ => {
            let (start, end) = slice??;
            return Some(Layer { name: name??, start, end });
        }
    };
    errors.required(&format!("{}.{missing}", object.path), remedy);
    None
}

fn slice(field: &Field<'_>, errors: &mut Errors) -> Option<(f64, f64)> {
    let bounds = field.list(limits::LIST, errors)?;
    let numbers: Vec<f64> = bounds.iter().filter_map(|field| field.number(errors)).collect();
    match numbers.as_slice() {
        [start, end] if 0.0 <= *start && start < end && *end <= 100.0 => Some((*start, *end)),
        _ => field.wrong("must be two numbers from 0 to 100, the smaller one first", errors),
    }
}

fn action(object: &mut Object<'_>, errors: &mut Errors) -> Option<Action> {
    let to = object.optional("to").map(|field| field.name(errors));
    let split = object.optional("split").map(|field| weights(field, errors));
    let history = object.optional("history").map(|field| history(field, errors));
    match (to, split) {
        (Some(_), Some(_)) => {
            errors.forbidden(&format!("{}.split", object.path), "`to` is given as well; keep one");
            None
        }
        (None, None) => {
            errors.required(&object.path, "give `to: VARIANT` or `split: {VARIANT: WEIGHT, ...}`");
            None
        }
        (Some(to), None) => {
            if history.is_some() {
                let path = format!("{}.history", object.path);
                errors.forbidden(&path, "only a `split` has earlier weights");
            }
            to.map(Action::To)
        }
        (None, Some(weights)) => {
            weights.map(|weights| Action::Split { weights, history: history.unwrap_or_default() })
        }
    }
}

fn history(field: &Field<'_>, errors: &mut Errors) -> Vec<Weights> {
    let fields = field.list(limits::HISTORY, errors).unwrap_or_default();
    fields.iter().filter_map(|field| weights(field, errors)).collect()
}

fn weights(field: &Field<'_>, errors: &mut Errors) -> Option<Weights> {
    let object = field.object(errors)?;
    let entries = object.entries(limits::SPLIT_VARIANTS, errors);
    let weights: Weights = entries
        .iter()
        .filter_map(|(name, field)| Some(((*name).to_owned(), weight(field, errors)?)))
        .collect();
    if weights.len() == entries.len() && weights.iter().all(|(_, weight)| *weight == 0.0) {
        return field.wrong("must have a weight above 0", errors);
    }
    Some(weights)
}

fn weight(field: &Field<'_>, errors: &mut Errors) -> Option<f64> {
    let weight = field.number(errors)?;
    if weight < 0.0 {
        field.wrong("must be at least 0", errors)
    } else if weight > 0.0 && weight < limits::WEIGHT_MIN {
        field.wrong(&format!("must be 0 or at least {}", limits::WEIGHT_MIN), errors)
    } else if weight > limits::WEIGHT_MAX {
        field.wrong(&format!("must be at most {}", limits::WEIGHT_MAX), errors)
    } else {
        Some(weight)
    }
}
