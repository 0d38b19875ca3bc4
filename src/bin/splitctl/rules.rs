//! Rules by name, and the shares of their variants.

use anyhow::{Result, anyhow};
use traffic_split::{Plan, Rule, Snapshot, Unassigned};

use crate::routes::{Route, Routes};

/// Finds the rule with this name.
pub fn find<'p>(plan: &'p Plan, name: &str, file: &str) -> Result<&'p Rule> {
    plan.rules().iter().find(|rule| rule.name() == name).ok_or_else(|| {
        let known: Vec<_> = plan.rules().iter().map(Rule::name).collect();
        anyhow!("{file}: no rule is named {name:?}; there are: {}", known.join(", "))
    })
}

/// The clients outside a rule's slice, in place of a variant, whose name has no blank.
pub const OUTSIDE: &str = "outside slice";

/// The clients whom a rule's flag engine leaves to the rules after it.
pub const LEFT_OUT: &str = "left out";

/// A rule at one time, which decides how far its ramp is.
#[derive(Clone, Copy)]
pub struct RuleAt<'p> {
    pub rule: &'p Rule,
    pub snapshot: &'p Snapshot,
    /// The route that has the rule's weights, if it has none itself.
    pub route: Option<&'p Route>,
}

impl<'p> RuleAt<'p> {
    /// The rule at the time of a snapshot; a rule by the route finds its weights among these.
    pub fn new(rule: &'p Rule, snapshot: &'p Snapshot, routes: &'p Routes) -> Result<Self> {
        let route = if rule.is_by_route() { Some(routes.only(rule.name())?) } else { None };
        Ok(RuleAt { rule, snapshot, route })
    }

    /// The rule's variants, or the route's entries, with their shares of all clients, which add up to 1
    /// together with
    /// [`LEFT_OUT`] and [`OUTSIDE`].
    pub fn shares(self) -> Vec<(&'p str, f64)> {
        let weights = self.rule.weights(self.snapshot);
        let sum: f64 = weights.iter().map(|(_, weight)| weight).sum();
        let inside = self.rule.slice_share();
        // An engine's weights are shares of all clients already.
        let total = if self.rule.engine().is_some() { 1.0 } else { sum };
        let mut shares: Vec<_> = weights
            .into_iter()
            .map(|(variant, weight)| (variant.name.as_str(), rounded(weight / total * inside)))
            .collect();
        let entries = self.route.iter().flat_map(|route| route.shares());
        shares.extend(entries.map(|(name, share)| (name, rounded(share * inside))));
        let left_out = if total > 0.0 { rounded((1.0 - sum / total) * inside) } else { 0.0 };
        if left_out > 0.0 {
            shares.push((LEFT_OUT, left_out));
        }
        if inside < 1.0 {
            shares.push((OUTSIDE, rounded(1.0 - inside)));
        }
        shares
    }

    /// The name of the variant that a key gets, [`LEFT_OUT`] or [`OUTSIDE`]. `None` if it cannot be a
    /// key.
    pub fn place(self, key: &[u8]) -> Option<&'p str> {
        if let (Some(route), Ok(Some(point))) = (self.route, self.rule.point(self.snapshot, key)) {
            return route.entry(point);
        }
        match self.rule.assign(self.snapshot, key) {
            Ok(variant) => Some(&variant.name),
            Err(Unassigned::OutsideSlice) => Some(OUTSIDE),
            Err(Unassigned::LeftOut) => Some(LEFT_OUT),
            Err(Unassigned::Unusable | Unassigned::ByRoute) => None,
        }
    }
}

/// A share without its last digits, which are rounding errors.
pub fn rounded(share: f64) -> f64 {
    (share * 1e12).round() / 1e12
}
