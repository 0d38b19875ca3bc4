//! From a request to a variant.

use std::sync::Arc;

use xxhash_rust::xxh64::xxh64;

use crate::environment::Environment;
use crate::identity::Issued;
use crate::plan::Plan;
use crate::request::Request;
use crate::rule::{Action, Allocation, Persist, Rule};
use crate::snapshot::Snapshot;
use crate::split::Split;
use crate::variant::{Target, Variant};

/// Which rule decided, and for which variant.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'p> {
    pub(crate) target: Option<&'p Arc<Target>>,
    reason: Reason,
    pub(crate) issued: Issued,
    /// The cookie to set, so that a new assignment is kept.
    pub(crate) persist: Option<&'p Persist>,
}

/// Why a request goes where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The rule names the variant.
    Pinned,
    /// The hash of the client's key fell to the variant.
    Sticky {
        /// `h` of the recipe in `rendezvous.rs`.
        hash: u64,
    },
    /// The client's earlier assignment was kept.
    Persisted,
    /// The split is not sticky, or the request had no key: the variant was drawn.
    Random,
    /// The variant chosen has failed: this one is its fallback.
    Guard,
    /// No rule matched: Envoy's own route decides.
    Unmatched,
}

impl<'p> Decision<'p> {
    /// The name of the rule that matched.
    pub fn rule(&self) -> Option<&'p str> {
        self.target.map(|target| &*target.rule)
    }

    /// The variant chosen.
    pub fn variant(&self) -> Option<&'p Variant> {
        self.target.map(|target| &*target.variant)
    }

    /// Why.
    pub fn reason(&self) -> Reason {
        self.reason
    }
}

impl Reason {
    /// Its name in logs, metrics and outputs.
    pub fn name(&self) -> &'static str {
        match self {
            Reason::Pinned => "pinned",
            Reason::Sticky { .. } => "sticky",
            Reason::Persisted => "persisted",
            Reason::Random => "random",
            Reason::Guard => "guard",
            Reason::Unmatched => "unmatched",
        }
    }
}

/// The first rule that matches decides. Rules in shadow are passed over.
pub fn decide<'p>(
    plan: &'p Plan,
    snapshot: &'p Snapshot,
    request: &impl Request,
    environment: &mut impl Environment,
) -> Decision<'p> {
    let mut issued = Issued::default();
    let mut live = plan.candidates(request).filter(|rule| !rule.shadow);
    live.find_map(|rule| apply(rule, plan, snapshot, request, environment, &mut issued))
        .unwrap_or(Decision { target: None, reason: Reason::Unmatched, issued, persist: None })
}

/// What each rule in shadow would have decided by itself. Nothing of it is to be carried out.
pub fn shadows<'p>(
    plan: &'p Plan,
    snapshot: &'p Snapshot,
    request: &impl Request,
    environment: &mut impl Environment,
) -> impl Iterator<Item = Decision<'p>> {
    let rules = plan.shadows.then(|| plan.candidates(request)).into_iter().flatten();
    rules.filter(|rule| rule.shadow).filter_map(move |rule| {
        apply(rule, plan, snapshot, request, environment, &mut Issued::default())
    })
}

/// Where a rule sends a request; `None` if the request is not for it.
fn apply<'p>(
    rule: &'p Rule,
    plan: &'p Plan,
    snapshot: &'p Snapshot,
    request: &impl Request,
    environment: &mut impl Environment,
    issued: &mut Issued,
) -> Option<Decision<'p>> {
    if !rule.matches(request) {
        return None;
    }
    if let Some(slice) = &rule.slice {
        let identity = rule.key.as_ref()?.identity(request, environment, issued)?;
        if !slice.holds(identity.as_bytes()) {
            return None;
        }
    }
    let (target, reason, persist) = match &rule.action {
        Action::To(target) => (target, Reason::Pinned, None),
        Action::Split(allocation) => {
            share(rule, allocation, plan, snapshot, request, environment, issued)
        }
    };
    Some(Decision { target: Some(target), reason, issued: *issued, persist })
}

type Shared<'p> = (&'p Arc<Target>, Reason, Option<&'p Persist>);

fn share<'p>(
    rule: &'p Rule,
    allocation: &'p Allocation,
    plan: &'p Plan,
    snapshot: &'p Snapshot,
    request: &impl Request,
    environment: &mut impl Environment,
    issued: &mut Issued,
) -> Shared<'p> {
    let split = snapshot.split(allocation);
    let persist = allocation.persist.as_ref();
    let kept = persist.and_then(|persist| kept(persist, split, request, environment));
    let mut hash = |issued: &mut Issued| {
        let key = rule.key.as_ref();
        match key.and_then(|key| key.identity(request, environment, issued)) {
            Some(identity) => {
                let hash = xxh64(identity.as_bytes(), allocation.seed);
                (hash, Reason::Sticky { hash })
            }
            None => (environment.random(), Reason::Random),
        }
    };
    let (target, reason, known) = match kept {
        Some(target) => (target, Reason::Persisted, None),
        None => {
            let (hash, reason) = hash(issued);
            (split.pick(hash), reason, Some(hash))
        }
    };
    let guarded = allocation.guard.and_then(|place| {
        // Nothing is issued to whom a cookie keeps.
        let hash = || known.unwrap_or_else(|| hash(&mut Issued::default()).0);
        plan.guards.get(place)?.redirect(*snapshot.guard_states.get(place)?, target, hash)
    });
    match guarded {
        // Not kept: its clients come back with the variant.
        Some(fallback) => (fallback, Reason::Guard, None),
        None => (target, reason, persist.filter(|_| reason != Reason::Persisted)),
    }
}

/// The variant that the client was assigned to before, if it still is one of the split's.
fn kept<'p>(
    persist: &'p Persist,
    split: &'p Split,
    request: &impl Request,
    environment: &mut impl Environment,
) -> Option<&'p Arc<Target>> {
    let now = || environment.now();
    let (target, weighted) = persist.cookie.find(request, now, |name| split.named(name))?;
    (weighted || persist.drain).then_some(target)
}

#[cfg(test)]
mod tests;
