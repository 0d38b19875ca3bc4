//! Notes about a change, beside its causes.

use traffic_split::config::{ActionSpec, RuleSpec};

use super::{in_force, splits, weights};
use crate::diff::pairs::{Pair, Pairs};
use crate::diff::side::Side;
use crate::diff::sticky::{accepts, keeps};

/// The notes about a change that move nobody by themselves.
pub fn notes(old: &Side<'_>, new: &Side<'_>, pairs: &Pairs<'_>, persisted: bool) -> Vec<String> {
    let mut notes = Vec::new();
    if is_held(old, new) {
        return notes;
    }
    for pair in &pairs.both {
        notes.extend(persist(pair, persisted));
        notes.extend(over(old, pair));
    }
    if let Some(at) = old.checked.at().or_else(|| new.checked.at()) {
        notes.push(format!("Ramps are taken as they stand at {at}."));
    }
    notes
}

/// Whether a hold decides in one of the two, so that no rule and no cookie has a say.
pub fn is_held(old: &Side<'_>, new: &Side<'_>) -> bool {
    [old, new].iter().any(|side| side.checked.config.hold.is_some())
}

/// A ramp that is over, and still in the new rule.
fn over(old: &Side<'_>, pair: &Pair<'_>) -> Option<String> {
    let [before, after] = splits(pair)?;
    let (a, b) = (before.ramp.as_ref()?, after.ramp.as_ref()?);
    let is_over =
        !b.hold && b.start + b.duration <= old.now() && a.to == b.to && a.variant == b.variant;
    let end = in_force(old, pair).filter(|_| is_over)?;
    if !before.history.is_empty() {
        return Some(format!(
            "The ramp of the rule {} is over. In place of it, its end weights move nobody, with the \
             weights before it as the newest entry of the history:\n\n  split: {}\n  newest: {}",
            pair.new.name,
            weights(&end),
            weights(&before.weights)
        ));
    }
    Some(format!(
        "The ramp of the rule {} is over. In place of it, its end weights move nobody, and a later \
         history begins with them:\n\n  split: {}",
        pair.new.name,
        weights(&end)
    ))
}

/// How a client fares who has a cookie with an earlier assignment.
fn persist(pair: &Pair<'_>, persisted: bool) -> Option<String> {
    let kept = |rule: &RuleSpec| match &rule.action {
        Some(ActionSpec::Split(split)) => split.persist.clone(),
        Some(ActionSpec::Route(route)) => route.persist.clone(),
        _ => None,
    };
    let before = kept(pair.old)?;
    let (cookie, name) = (&before.cookie.name, &pair.new.name);
    let Some(after) = kept(pair.new).filter(|after| keeps(pair, &before, after)) else {
        let other = kept(pair.new).is_some_and(|after| accepts(&before.cookie, &after.cookie));
        let why = if other {
            "its signature binds the salt"
        } else {
            "the new rule reads no such cookie"
        };
        return Some(format!(
            "Clients with the cookie {cookie} are assigned anew by the rule {name}: {why}."
        ));
    };
    let drain = match after.drain {
        true => "even a variant of weight 0",
        false => "but not one of weight 0",
    };
    let counted = match persisted {
        true => "The clients counted have it.",
        false => "The clients counted do not have it; --persisted counts clients who do.",
    };
    let end = if after.by_page { "their browser navigates" } else { "it expires" };
    Some(format!(
        "Clients with the cookie {cookie} keep their variant until {end}, {drain}, if the rule {name} \
         still has it. {counted}"
    ))
}
