//! The variants of keys that are given outright, without a request around them.

use xxhash_rust::xxh64::xxh64;

use crate::config::Mode;
use crate::engine::Engine;
use crate::guard::Guard;
use crate::limits;
use crate::plan::Plan;
use crate::point;
use crate::rule::{Action, Rule};
use crate::snapshot::Snapshot;
use crate::variant::{Target, Variant};

/// The reason why a rule has no variant for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unassigned {
    /// The key is empty or too long: for the filter it is none.
    Unusable,
    /// The client is outside the rule's slice of its layer.
    OutsideSlice,
    /// The flag engine leaves the client out, and the rule has no `otherwise`.
    LeftOut,
    /// The route has the weights, and chooses by the client's point.
    ByRoute,
}

impl Plan {
    /// The rules in order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The guards over its splits, in the order of their rules.
    pub fn guards(&self) -> &[Guard] {
        &self.guards
    }
}

impl Rule {
    /// Its name, unique in the plan.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The variants with a weight above 0 at a snapshot, each with its weight; none where the route has
    /// the weights.
    pub fn weights<'p>(&'p self, snapshot: &'p Snapshot) -> Vec<(&'p Variant, f64)> {
        let weight =
            |(target, weight): (&'p Target, f64)| Some((target.variant.as_deref()?, weight));
        match &self.action {
            Action::To(target) | Action::Hold(target) => {
                weight((target, 1.0)).into_iter().collect()
            }
            Action::Split(allocation) | Action::Engine(allocation) => {
                snapshot.split(allocation).weights().filter_map(weight).collect()
            }
            Action::Route(_) => Vec::new(),
        }
    }

    /// The share of all clients that it takes.
    pub fn slice_share(&self) -> f64 {
        self.slice().map_or(1.0, |slice| slice.share())
    }

    /// Whether it chooses between variants, or leaves that to the route.
    pub fn is_split(&self) -> bool {
        !matches!(self.action, Action::To(_) | Action::Hold(_))
    }

    /// Whether the route has its weights.
    pub fn is_by_route(&self) -> bool {
        matches!(self.action, Action::Route(_))
    }

    /// The flag engine that chooses between its variants.
    pub fn engine(&self) -> Option<&Engine> {
        self.allocation()?.split.engine()
    }

    /// The variant of a client that the flag engine leaves out.
    pub fn otherwise(&self) -> Option<&Variant> {
        self.allocation()?.split.otherwise()?.variant.as_deref()
    }

    /// Whether it is only tried.
    pub fn is_shadow(&self) -> bool {
        self.mode == Mode::Shadow
    }

    /// Whether a client stays with its variant.
    pub fn is_sticky(&self) -> bool {
        !self.is_split() || self.key.is_some()
    }

    /// The variant of a key at a snapshot, while no guard has tripped. A split that is not sticky is
    /// answered as if its draws were hashes of the keys.
    ///
    /// # Errors
    /// The reason why the rule has none for this key.
    ///
    /// ```
    /// use traffic_split::{Plan, Snapshot, Unassigned};
    ///
    /// let config = br#"{ "variantHeader": "x-v", "variants": { "stable": {}, "canary": {} },
    ///     "rules": [{ "name": "rollout", "split": { "stable": 90, "canary": 10 },
    ///                 "sticky": { "key": [{ "cookie": "uid" }] } }] }"#;
    /// let plan = Plan::compile(config, &|_| None).unwrap();
    /// let (rule, snapshot) = (&plan.rules()[0], Snapshot::new(&plan, 0));
    /// assert_eq!(rule.assign(&snapshot, b"7").unwrap().name, "stable");
    /// assert_eq!(rule.assign(&snapshot, b""), Err(Unassigned::Unusable));
    /// ```
    pub fn assign<'p>(
        &'p self,
        snapshot: &'p Snapshot,
        key: &[u8],
    ) -> Result<&'p Variant, Unassigned> {
        self.check(key)?;
        let target = match &self.action {
            Action::To(target) | Action::Hold(target) => target,
            Action::Split(allocation) => {
                snapshot.split(allocation).pick(xxh64(key, allocation.seed))
            }
            Action::Engine(allocation) => {
                let split = &allocation.split;
                let found = split.bucket(Some(key)).or_else(|| split.otherwise());
                found.ok_or(Unassigned::LeftOut)?
            }
            Action::Route(route) => &route.target,
        };
        target.variant.as_deref().ok_or(Unassigned::ByRoute)
    }

    /// The point of a key at a snapshot, while no guard has tripped: that of the client where the route
    /// has the weights, or else that of its variant, if it has one.
    ///
    /// # Errors
    /// The reason why the rule takes no client with this key.
    ///
    /// ```
    /// use traffic_split::{Plan, Snapshot};
    ///
    /// let config = br#"{ "pointHeader": "x-split-point", "rules": [{ "name": "rollout",
    ///     "split": "route", "sticky": { "key": [{ "cookie": "uid" }] } }] }"#;
    /// let plan = Plan::compile(config, &|_| None).unwrap();
    /// let (rule, snapshot) = (&plan.rules()[0], Snapshot::new(&plan, 0));
    /// assert_eq!(rule.point(&snapshot, b"7"), Ok(Some(3_333_446_301_490_724_816)));
    /// ```
    pub fn point(&self, snapshot: &Snapshot, key: &[u8]) -> Result<Option<u64>, Unassigned> {
        match &self.action {
            Action::Route(route) => {
                self.check(key)?;
                Ok(Some(point::of(xxh64(key, route.seed))))
            }
            _ => self.assign(snapshot, key).map(|variant| variant.point),
        }
    }

    /// Whether the rule takes the client with this key.
    fn check(&self, key: &[u8]) -> Result<(), Unassigned> {
        if key.is_empty() || key.len() > limits::KEY_BYTES {
            return Err(Unassigned::Unusable);
        }
        if self.slice().is_some_and(|slice| !slice.holds(key)) {
            return Err(Unassigned::OutsideSlice);
        }
        Ok(())
    }
}
