//! Advice about a change: what to write so that fewer clients move. Each is tried out, and only told if
//! the clients say so.

mod notes;

pub use notes::{is_held, notes};

use serde_json::{Value, json};
use traffic_split::config::{ActionSpec, SplitSpec, Weight};
use traffic_split::limits;

use crate::diff::pairs::{Pair, Pairs};
use crate::diff::side::Side;
use crate::output::percent;
use crate::rules::rounded;
use crate::yaml::{quoted, weights};

/// A change of the new configuration.
pub struct Remedy {
    /// The reason for it, which ends where the number of clients is told.
    why: String,
    /// The lines to write; none if there is something to leave out.
    lines: String,
    /// The JSON pointer of the object that is changed, its field, and the value; `None` removes it.
    edit: (String, &'static str, Option<Value>),
    /// Whether it is worth telling where as many clients move with it.
    pub even: bool,
}

impl Remedy {
    pub fn edit(&self, json: &mut Value) {
        let (pointer, field, value) = &self.edit;
        let object = json.pointer_mut(pointer).and_then(Value::as_object_mut);
        if let Some(object) = object {
            match value {
                Some(value) => drop(object.insert((*field).to_owned(), value.clone())),
                None => drop(object.remove(*field)),
            }
        }
    }

    /// Whether each variant has the same share of the clients with it.
    pub fn keeps_shares(&self) -> bool {
        let (_, field, _) = &self.edit;
        *field != "split"
    }

    /// The advice, if these shares of the clients move without it and with it.
    pub fn advice(&self, without: f64, with: f64, chance: f64) -> Option<String> {
        let helps = without > with + chance || self.even && with <= without + chance;
        let lines =
            if self.lines.is_empty() { String::new() } else { format!("\n\n  {}", self.lines) };
        let end = if lines.is_empty() { "." } else { ":" };
        helps.then(|| {
            format!(
                "{}, {} of the clients move instead of {}{end}{lines}",
                self.why,
                percent(with),
                percent(without)
            )
        })
    }
}

/// The remedies to try, one after the other: each stands on the ones before it.
pub fn remedies(old: &Side<'_>, pairs: &Pairs<'_>) -> Vec<Remedy> {
    pairs
        .both
        .iter()
        .flat_map(|pair| [of_salt(pair), of_ramp(old, pair), of_history(old, pair)])
        .flatten()
        .collect()
}

/// The sticky splits by the filter's own hash.
fn splits<'c>(pair: &Pair<'c>) -> Option<[&'c SplitSpec; 2]> {
    let own = |rule: &traffic_split::config::RuleSpec| {
        rule.sticky.as_ref().is_some_and(|sticky| sticky.engine.is_none())
    };
    match (&pair.old.action, &pair.new.action) {
        (Some(ActionSpec::Split(old)), Some(ActionSpec::Split(new)))
            if own(pair.old) && own(pair.new) =>
        {
            Some([old, new])
        }
        _ => None,
    }
}

fn pointer(pair: &Pair<'_>, field: &str) -> String {
    let [_, place] = pair.places;
    format!("/rules/{place}{field}")
}

fn of_salt(pair: &Pair<'_>) -> Option<Remedy> {
    let engine = |rule: &traffic_split::config::RuleSpec| {
        rule.sticky.as_ref().is_none_or(|sticky| sticky.engine.is_some())
    };
    let (before, name) = (pair.old.salt(), &pair.new.name);
    if before == pair.new.salt() || engine(pair.old) || engine(pair.new) {
        return None;
    }
    let given = pair.new.sticky.as_ref().is_some_and(|sticky| sticky.salt.is_some());
    let why = match given || pair.old.name == *name {
        true => {
            format!("The salt of the rule {name} is not the same, so every client is drawn anew.")
        }
        false => format!(
            "The rule {} is called {name} now, and its name is its salt, so every client is drawn anew.",
            pair.old.name
        ),
    };
    Some(Remedy {
        why: format!("{why} With the salt from before in sticky"),
        lines: format!("salt: {}", quoted(before)),
        edit: (pointer(pair, "/sticky"), "salt", Some(before.into())),
        even: false,
    })
}

/// The end weights of a ramp that is over, where the new rule has the weights it began with.
fn of_ramp(old: &Side<'_>, pair: &Pair<'_>) -> Option<Remedy> {
    let [before, after] = splits(pair)?;
    let ramp = before
        .ramp
        .as_ref()
        .filter(|ramp| !ramp.hold && ramp.start + ramp.duration <= old.now())?;
    let name = &pair.new.name;
    let now = in_force(old, pair)?;
    let end = format!("split: {}", weights(&now));
    let edit = (pointer(pair, ""), "split", Some(object(&now)));
    // With a history, one line does not suffice: see `over`.
    if after.ramp.is_none() && after.weights == before.weights && before.history.is_empty() {
        let why = format!(
            "The ramp of the rule {name} is over, and without it the weights are those of its start. \
             With the weights of its end ({} has {})",
            ramp.variant,
            percent(ramp.to / 100.0)
        );
        return Some(Remedy { why, lines: end, edit, even: false });
    }
    None
}

/// The earlier weights, where the new rule does not have them.
fn of_history(old: &Side<'_>, pair: &Pair<'_>) -> Option<Remedy> {
    let [before, after] = splits(pair)?;
    let name = &pair.new.name;
    let now = in_force(old, pair)?;
    let mut steps = before.history.clone();
    // Beside a history, a ramp is one step more.
    if !steps.is_empty() && before.ramp.as_ref().is_some_and(|ramp| !ramp.hold) {
        steps.push(before.weights.clone());
    }
    if !same(&now, &after.weights) && after.ramp.is_none() {
        steps.push(now);
    }
    let never = before.history.is_empty() && names(&steps, after) <= 2;
    if never && !after.history.is_empty() {
        return Some(Remedy {
            why: format!(
                "Two variants never need a history, and later nobody could take it from the rule {name} \
                 without moving clients. Without it"
            ),
            lines: String::new(),
            edit: (pointer(pair, ""), "history", None),
            even: true,
        });
    }
    if never || steps.is_empty() || after.ramp.is_some() || alike(&steps, &after.history) {
        return None;
    }
    let why = if steps.len() > limits::HISTORY {
        let newest = steps.pop().map(|step| weights(&step)).unwrap_or_default();
        format!(
            "A history has at most {} entries. If the rule {name} leaves out the newest, {newest}, and \
             keeps the others",
            limits::HISTORY
        )
    } else if before.history.is_empty() || !after.history.is_empty() {
        format!("With the earlier weights in the rule {name}, beside split")
    } else {
        format!(
            "The history of the rule {name} is gone, which sends clients back to where the weights alone \
             have them. It may go once one variant has everything. With it"
        )
    };
    let lines: Vec<_> = steps.iter().map(|step| weights(step)).collect();
    Some(Remedy {
        why,
        lines: format!("history: [ {} ]", lines.join(", ")),
        edit: (pointer(pair, ""), "history", Some(steps.iter().map(|step| object(step)).collect())),
        even: false,
    })
}

/// The weights of the old rule as they stand, those of its ramp included.
fn in_force(old: &Side<'_>, pair: &Pair<'_>) -> Option<Vec<Weight>> {
    let [split, _] = splits(pair)?;
    let [place, _] = pair.places;
    if split.ramp.as_ref().is_none_or(|ramp| ramp.hold) {
        return Some(split.weights.clone());
    }
    let ramped = old.plan().rules().get(place)?.weights(old.snapshot());
    let weight = |(variant, weight): (&traffic_split::Variant, f64)| Weight {
        variant: variant.name.clone(),
        weight: rounded(weight) * 100.0,
    };
    let mut weights: Vec<_> = ramped.into_iter().map(weight).collect();
    weights.iter_mut().for_each(|it| it.weight = rounded(it.weight));
    Some(weights)
}

/// The number of variants with a weight at any time.
fn names(steps: &[Vec<Weight>], split: &SplitSpec) -> usize {
    let mut names: Vec<_> = steps.iter().flatten().chain(&split.weights).collect();
    names.retain(|weight| weight.weight > 0.0);
    names.sort_by_key(|weight| &weight.variant);
    names.dedup_by_key(|weight| &weight.variant);
    names.len()
}

/// Whether two lists of weights give each variant the same share.
fn same(a: &[Weight], b: &[Weight]) -> bool {
    let share = |weights: &[Weight], name: &str| {
        let sum: f64 = weights.iter().map(|it| it.weight).sum();
        weights.iter().find(|it| it.variant == name).map_or(0.0, |it| it.weight / sum)
    };
    let mut names = a.iter().chain(b).map(|it| it.variant.as_str());
    names.all(|name| (share(a, name) - share(b, name)).abs() < 1e-9)
}

fn alike(a: &[Vec<Weight>], b: &[Vec<Weight>]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
}

fn object(weights: &[Weight]) -> Value {
    weights.iter().map(|it| (it.variant.clone(), json!(it.weight))).collect()
}

#[cfg(test)]
mod tests;
