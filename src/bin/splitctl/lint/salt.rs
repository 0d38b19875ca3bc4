//! Rules of different configurations that share a salt, and yet give one user different variants.

use traffic_split::config::{ActionSpec, Config, RuleSpec};

use super::{Lint, Warning};
use crate::document::Node;

/// A configuration and its place.
pub struct Place<'c> {
    pub file: &'c str,
    pub tree: &'c Node,
    pub config: &'c Config,
}

/// A sticky split with a salt that its author gave.
struct Salted<'c> {
    place: &'c Place<'c>,
    rule: &'c RuleSpec,
    salt: &'c str,
    /// The variants' names, sorted, of the split and of its history.
    names: Vec<Vec<&'c str>>,
    /// The earlier weights, as they were written.
    history: Vec<Vec<(&'c str, f64)>>,
}

/// The warnings about salts that two configurations share.
pub fn shared(places: &[Place<'_>]) -> Vec<Warning> {
    let salted: Vec<Vec<_>> = places.iter().map(of).collect();
    let mut found = Vec::new();
    for (index, later) in salted.iter().enumerate() {
        let earlier = salted.iter().take(index).flatten();
        for one in earlier {
            let same = later.iter().filter(|other| other.salt == one.salt);
            found.extend(same.filter_map(|other| warning(one, other)));
        }
    }
    found
}

fn of<'c>(place: &'c Place<'c>) -> Vec<Salted<'c>> {
    let salted = |rule: &'c RuleSpec| {
        let salt = rule.sticky.as_ref()?.salt.as_deref()?;
        let Some(ActionSpec::Split(split)) = &rule.action else { return None };
        let sorted = |weights: &'c Vec<traffic_split::config::Weight>| {
            let mut names: Vec<_> = weights.iter().map(|it| it.variant.as_str()).collect();
            names.sort_unstable();
            names
        };
        let names = split.history.iter().chain([&split.weights]).map(sorted).collect();
        let weights = |it: &'c Vec<traffic_split::config::Weight>| {
            let mut weights: Vec<_> = it.iter().map(|w| (w.variant.as_str(), w.weight)).collect();
            weights.sort_by_key(|(name, _)| *name);
            weights
        };
        let history = split.history.iter().map(weights).collect();
        Some(Salted { place, rule, salt, names, history })
    };
    place.config.rules.iter().filter_map(salted).collect()
}

fn warning(one: &Salted<'_>, other: &Salted<'_>) -> Option<Warning> {
    let what = match (one.names.last() == other.names.last(), one.history == other.history) {
        (true, true) => return None,
        (false, _) => "other variants",
        (true, false) => "another history",
    };
    let Salted { place, rule, salt, .. } = other;
    let node = place.tree.find(&format!("{}.sticky.salt", rule.path));
    let (file, known) = (one.place.file, &one.rule.name);
    let message = format!("rule {known} of {file} has the salt {salt:?} as well, and {what}");
    let path = format!("{}.sticky.salt", rule.path);
    Some(Warning { path, ..Warning::new(Lint::SharedSalt, place.file, node.line, message) })
}
