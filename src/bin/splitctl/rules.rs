//! Rules by name, and the shares that they ask for.

use anyhow::{Result, anyhow};
use traffic_split::{Plan, Rule, Snapshot, Unassigned};

/// The rule with this name.
pub fn find<'p>(plan: &'p Plan, name: &str, file: &str) -> Result<&'p Rule> {
    plan.rules().iter().find(|rule| rule.name() == name).ok_or_else(|| {
        let known: Vec<_> = plan.rules().iter().map(Rule::name).collect();
        anyhow!("{file}: no rule is named {name:?}; there are: {}", known.join(", "))
    })
}

/// Stands for the clients outside a rule's slice; no variant's name has a blank.
pub const OUTSIDE: &str = "outside slice";

/// Its variants with their shares of all clients, which add up to 1 with those outside its slice.
pub fn shares<'p>(rule: &'p Rule, snapshot: &'p Snapshot) -> Vec<(&'p str, f64)> {
    let weights = rule.weights(snapshot);
    let total: f64 = weights.iter().map(|(_, weight)| weight).sum();
    let inside = rule.slice_share();
    let mut shares: Vec<_> = weights
        .into_iter()
        .map(|(variant, weight)| (variant.name.as_str(), rounded(weight / total * inside)))
        .collect();
    if inside < 1.0 {
        shares.push((OUTSIDE, rounded(1.0 - inside)));
    }
    shares
}

/// Without the last digits, which are the floating point's own.
pub fn rounded(share: f64) -> f64 {
    (share * 1e12).round() / 1e12
}

/// Where a key goes: a variant's name or [`OUTSIDE`]; none if it is no key.
pub fn place<'p>(rule: &'p Rule, snapshot: &'p Snapshot, key: &[u8]) -> Option<&'p str> {
    match rule.assign(snapshot, key) {
        Ok(variant) => Some(&variant.name),
        Err(Unassigned::OutsideSlice) => Some(OUTSIDE),
        Err(Unassigned::Unusable) => None,
    }
}
