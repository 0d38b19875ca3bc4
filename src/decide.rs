//! From a request to a variant.

use std::sync::Arc;

use xxhash_rust::xxh64::xxh64;

use crate::config::Mode;
use crate::environment::Environment;
use crate::identity::Issued;
use crate::key::Identity;
use crate::plan::Plan;
use crate::reason::Reason;
use crate::request::Request;
use crate::rule::{Action, Allocation, Persist, Rule};
use crate::snapshot::Snapshot;
use crate::split::Split;
use crate::variant::{Target, Variant};

/// The rule that decided, its variant, and the reason.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'p> {
    pub(crate) target: Option<&'p Arc<Target>>,
    reason: Reason,
    hash: Option<u64>,
    pub(crate) issued: Issued,
    /// The cookie to set, so that a new assignment is kept.
    pub(crate) persist: Option<&'p Persist>,
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

    /// The reason for the decision.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The hash of the client's key, if it chose the variant: `hash` in the
    /// [wire contract](crate::wire_contract).
    pub fn hash(&self) -> Option<u64> {
        self.hash
    }
}

/// Decides by the first rule that matches. Rules in shadow are passed over.
///
/// ```
/// use traffic_split::testing::FixedEnvironment;
/// use traffic_split::{HeaderList, Plan, Reason, Snapshot, decide};
///
/// let config = br#"{ "variantHeader": "x-v", "variants": { "stable": {}, "canary": {} },
///     "rules": [{ "name": "rollout", "split": { "stable": 90, "canary": 10 },
///                 "sticky": { "key": [{ "header": "x-user" }] } }] }"#;
/// let plan = Plan::compile(config, &|_| None).unwrap();
/// let snapshot = Snapshot::new(&plan, 0);
/// let request = HeaderList::new([("x-user", "7")]);
/// let decision = decide(&plan, &snapshot, &request, &mut FixedEnvironment::default());
/// assert_eq!(decision.rule(), Some("rollout"));
/// assert_eq!(decision.reason(), Reason::Sticky);
/// ```
pub fn decide<'p>(
    plan: &'p Plan,
    snapshot: &'p Snapshot,
    request: &impl Request,
    environment: &mut impl Environment,
) -> Decision<'p> {
    let mut decider = Decider { plan, snapshot, request, environment, issued: Issued::default() };
    let live = |rule: &'p Rule| match rule.mode {
        Mode::Enforce => decider.apply(rule),
        Mode::Shadow => None,
    };
    plan.find_rule(request, live).unwrap_or(Decision {
        target: None,
        reason: Reason::Unmatched,
        hash: None,
        issued: decider.issued,
        persist: None,
    })
}

/// Decides by each rule in shadow alone. Nothing of these decisions is to be carried out.
pub fn shadows<'p>(
    plan: &'p Plan,
    snapshot: &'p Snapshot,
    request: &impl Request,
    environment: &mut impl Environment,
) -> Vec<Decision<'p>> {
    let mut decisions = Vec::new();
    if plan.shadows {
        plan.find_rule(request, |rule| -> Option<()> {
            if rule.mode == Mode::Shadow {
                let (environment, issued) = (&mut *environment, Issued::default());
                let mut decider = Decider { plan, snapshot, request, environment, issued };
                decisions.extend(decider.apply(rule));
            }
            None
        });
    }
    decisions
}

/// A decision in the making: all that it depends on, and the identity that it issues on its way.
struct Decider<'p, 'a, R, E> {
    plan: &'p Plan,
    snapshot: &'p Snapshot,
    request: &'a R,
    environment: &'a mut E,
    issued: Issued,
}

/// A place in a split: the hash of a key, or chance.
#[derive(Clone, Copy)]
struct Draw {
    hash: u64,
    reason: Reason,
}

impl<'p, R: Request, E: Environment> Decider<'p, '_, R, E> {
    /// The decision of a rule; `None` if the request is not for it.
    fn apply(&mut self, rule: &'p Rule) -> Option<Decision<'p>> {
        if !rule.matches(self.request) {
            return None;
        }
        if let Some(slice) = &rule.slice {
            let identity = self.identity(rule)?;
            if !slice.holds(identity.as_bytes()) {
                return None;
            }
        }
        Some(match &rule.action {
            Action::To(target) => self.decision(target, Reason::Pinned),
            Action::Split(allocation) => self.allocate(rule, allocation),
        })
    }

    fn decision(&self, target: &'p Arc<Target>, reason: Reason) -> Decision<'p> {
        let target = Some(target);
        Decision { target, reason, hash: None, issued: self.issued, persist: None }
    }

    /// The variant of a split: the one assigned before, or else one by the hash of the key or by
    /// chance; its fallback where its guard is open.
    fn allocate(&mut self, rule: &'p Rule, allocation: &'p Allocation) -> Decision<'p> {
        let split = self.snapshot.split(allocation);
        let persist = allocation.persist.as_ref();
        let persisted = persist.and_then(|persist| self.persisted(persist, split));
        let (target, reason, draw) = match persisted {
            Some(target) => (target, Reason::Persisted, None),
            None => {
                let draw = self.draw(rule, allocation);
                (split.pick(draw.hash), draw.reason, Some(draw))
            }
        };
        if let Some(fallback) = self.guarded(rule, allocation, target, draw) {
            // The assignment is not kept: clients come back once the guard closes.
            return self.decision(fallback, Reason::Guard);
        }
        let hash = draw.filter(|_| reason == Reason::Sticky).map(|draw| draw.hash);
        let persist = persist.filter(|_| reason != Reason::Persisted);
        Decision { hash, persist, ..self.decision(target, reason) }
    }

    fn draw(&mut self, rule: &'p Rule, allocation: &Allocation) -> Draw {
        match self.identity(rule) {
            Some(identity) => {
                Draw { hash: xxh64(identity.as_bytes(), allocation.seed), reason: Reason::Sticky }
            }
            None => Draw { hash: self.environment.random(), reason: Reason::Random },
        }
    }

    fn identity(&mut self, rule: &'p Rule) -> Option<Identity<'_>> {
        rule.key.as_ref()?.identity(self.request, self.environment, &mut self.issued)
    }

    /// The variant that the client was assigned to before, if it still is one of the split's.
    fn persisted(&mut self, persist: &'p Persist, split: &'p Split) -> Option<&'p Arc<Target>> {
        let environment = &mut *self.environment;
        let found = persist.cookie.find(self.request, || environment.now(), |v| split.named(v));
        let (target, weighted) = found?;
        (weighted || persist.drain).then_some(target)
    }

    /// The variant that takes over from `target`, if the guard of the split sends it there.
    fn guarded(
        &mut self,
        rule: &'p Rule,
        allocation: &'p Allocation,
        target: &'p Arc<Target>,
        draw: Option<Draw>,
    ) -> Option<&'p Arc<Target>> {
        let index = allocation.guard?;
        let (guard, admitted) = (self.plan.guards.get(index)?, self.snapshot.admitted.get(index)?);
        guard.redirect(*admitted, target, || match draw {
            Some(draw) => draw.hash,
            None => {
                // A client whom a cookie keeps is issued nothing.
                let issued = std::mem::take(&mut self.issued);
                let draw = self.draw(rule, allocation);
                self.issued = issued;
                draw.hash
            }
        })
    }
}

#[cfg(test)]
mod tests;
