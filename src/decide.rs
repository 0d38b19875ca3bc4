//! From a request to a variant.

use std::sync::Arc;

use xxhash_rust::xxh64::xxh64;

use crate::config::Mode;
use crate::cookie::Found;
use crate::environment::Environment;
use crate::identity::Issued;
use crate::key::Identity;
use crate::overrides::Forced;
use crate::persist::{Persist, Setting};
use crate::plan::Plan;
use crate::point;
use crate::reason::Reason;
use crate::request::{Ignored, Reader, Request};
use crate::rule::{Action, Allocation, Gate, Route, Rule};
use crate::snapshot::Snapshot;
use crate::split::Split;
use crate::variant::{Target, Variant};

/// The rule that decided, its variant, and the reason.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'p> {
    pub(crate) target: Option<&'p Arc<Target>>,
    reason: Reason,
    hash: Option<u64>,
    /// The client's point, where the route has the weights.
    point: Option<u64>,
    pub(crate) issued: Issued,
    /// The cookie to set, so that a new assignment is kept, or an earlier one for longer.
    pub(crate) persist: Option<&'p Persist>,
    /// Whether the client returned an assignment.
    pub(crate) returns: bool,
}

impl<'p> Decision<'p> {
    /// The name of the rule that matched.
    pub fn rule(&self) -> Option<&'p str> {
        self.target.map(|target| &*target.rule)
    }

    /// The variant chosen; `None` where the route chooses.
    pub fn variant(&self) -> Option<&'p Variant> {
        self.target.and_then(|target| target.variant.as_deref())
    }

    /// The point by which Envoy chooses among the clusters of a route with weights.
    pub fn point(&self) -> Option<u64> {
        self.point.or_else(|| self.variant()?.point)
    }

    /// The text by which a cookie keeps the decision: the variant's name, or the point where the route
    /// chooses.
    pub(crate) fn payload(&self) -> Option<String> {
        let name = self.variant().map(|variant| variant.name.clone());
        name.or_else(|| Some(self.point?.to_string()))
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
    decide_read(plan, snapshot, &Reader::new(request), environment)
}

/// The same about a request that keeps what is found in it.
pub(crate) fn decide_read<'p>(
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
        point: None,
        issued: decider.issued,
        persist: None,
        returns: false,
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

/// A choice that a guard may change.
struct Redirect<'p> {
    /// The place of the guard.
    guard: Option<usize>,
    /// The seed of the split.
    seed: u64,
    target: &'p Arc<Target>,
}

/// The answer of a rule's gate.
enum Entry<'p> {
    /// The rule acts.
    Free,
    /// The client has forced the decision.
    Forced(Decision<'p>),
    /// The request is not for the rule.
    Refused,
}

impl<'p, R: Request, E: Environment> Decider<'p, '_, R, E> {
    /// The decision of a rule; `None` if the request is not for it.
    fn apply(&mut self, rule: &'p Rule) -> Option<Decision<'p>> {
        if !rule.matches(self.request) {
            return None;
        }
        if let Some(gate) = &rule.gate {
            match self.enter(rule, gate) {
                Entry::Free => {}
                Entry::Forced(decision) => return Some(decision),
                Entry::Refused => return None,
            }
        }
        Some(match &rule.action {
            Action::To(target) => self.decision(target, Reason::Pinned),
            Action::Split(allocation) => self.allocate(rule, allocation),
            Action::Engine(allocation) => return self.bucket(rule, allocation),
            Action::Route(route) => self.place(rule, route),
            Action::Hold(target) => self.decision(target, Reason::Hold),
        })
    }

    /// Asks what a rule asks of a client before it acts.
    #[inline(never)]
    fn enter(&mut self, rule: &'p Rule, gate: &'p Gate) -> Entry<'p> {
        if let Some(overrides) = &gate.overrides {
            let environment = &mut *self.environment;
            match overrides.find(self.request, || environment.now()) {
                Some(Forced::Set(target)) => {
                    let persist = Some(&overrides.keep);
                    let decision = self.decision(target, Reason::Override);
                    return Entry::Forced(Decision { persist, ..decision });
                }
                Some(Forced::Kept(target)) => {
                    return Entry::Forced(self.decision(target, Reason::Override));
                }
                Some(Forced::Ended) => self.issued.ended |= overrides.bit,
                None => {}
            }
        }
        let Some(slice) = &gate.slice else { return Entry::Free };
        let identity = self.identity(rule);
        let is_inside = identity.is_some_and(|identity| slice.holds(identity.as_bytes()));
        if is_inside { Entry::Free } else { Entry::Refused }
    }

    fn decision(&self, target: &'p Arc<Target>, reason: Reason) -> Decision<'p> {
        let target = Some(target);
        let (issued, persist, returns) = (self.issued, None, false);
        Decision { target, reason, hash: None, point: None, issued, persist, returns }
    }

    /// The variant of a split: the one assigned before, or else one by the hash of the key or by
    /// chance; its fallback where its guard is open.
    fn allocate(&mut self, rule: &'p Rule, allocation: &'p Allocation) -> Decision<'p> {
        let split = self.snapshot.split(allocation);
        let persist = allocation.persist.as_ref();
        let kept = persist.and_then(|persist| self.kept(rule, persist, split));
        let anew = persist.is_some_and(|persist| persist.reassigns(self.request));
        let (target, reason, draw) = match kept.filter(|_| !anew) {
            Some(kept) => (kept.what, Reason::Persisted, None),
            None => {
                let draw = self.draw(rule, allocation.seed);
                (split.pick(draw.hash), draw.reason, Some(draw))
            }
        };
        let redirect = Redirect { guard: allocation.guard, seed: allocation.seed, target };
        let returns = kept.is_some();
        let set = Setting { persist, kept, anew };
        if let Some(fallback) = self.guarded(rule, redirect, draw) {
            let persist = set.for_page(|kept| Arc::ptr_eq(kept, fallback));
            return Decision { persist, ..self.decision(fallback, Reason::Guard) };
        }
        let hash = draw.filter(|_| reason == Reason::Sticky).map(|draw| draw.hash);
        let persist = set.cookie(|kept| Arc::ptr_eq(kept, target));
        Decision { hash, persist, returns, ..self.decision(target, reason) }
    }

    /// The variant of a split by a flag engine: the one assigned before, or else the one that the
    /// engine has for the client, or `otherwise`; its fallback where its guard is open. `None` if the
    /// engine leaves the client to the next rule.
    #[inline(never)] // Splits without an engine are not to pay for its code.
    fn bucket(&mut self, rule: &'p Rule, allocation: &'p Allocation) -> Option<Decision<'p>> {
        let split = &allocation.split;
        let persist = allocation.persist.as_ref();
        let kept = persist.and_then(|persist| self.kept(rule, persist, split));
        let anew = persist.is_some_and(|persist| persist.reassigns(self.request));
        let (target, reason) = match kept.filter(|_| !anew) {
            Some(kept) => (kept.what, Reason::Persisted),
            None => {
                let request = self.request;
                let identity = self.identity(rule);
                // Engines hash by a byte at a time, and some of them twice.
                let bytes = identity.as_ref().map(Identity::as_bytes).filter(|bytes| {
                    let hashes = request.spent().is_none_or(|spent| spent.read(bytes.len()));
                    if !hashes {
                        request.ignored().insert(Ignored::Key);
                    }
                    hashes
                });
                match split.bucket(bytes) {
                    Some(target) => (target, Reason::Sticky),
                    None => (split.otherwise()?, Reason::Otherwise),
                }
            }
        };
        let redirect = Redirect { guard: allocation.guard, seed: allocation.seed, target };
        let returns = kept.is_some();
        let set = Setting { persist, kept, anew };
        if let Some(fallback) = self.guarded(rule, redirect, None) {
            let persist = set.for_page(|kept| Arc::ptr_eq(kept, fallback));
            return Some(Decision { persist, ..self.decision(fallback, Reason::Guard) });
        }
        let is_same = |kept| Arc::ptr_eq(kept, target);
        // A client whom the engine leaves out may take part tomorrow.
        let persist = match reason {
            Reason::Otherwise => set.for_page(is_same),
            _ => set.cookie(is_same),
        };
        Some(Decision { persist, returns, ..self.decision(target, reason) })
    }

    /// The point of a client: the one that it had before, or else one by the hash of its key; `None`
    /// where Envoy is to draw. An open guard sends it to where the fallback is.
    #[inline(never)]
    fn place(&mut self, rule: &'p Rule, route: &'p Route) -> Decision<'p> {
        let persist = route.persist.as_ref();
        let kept = persist.and_then(|persist| self.look_up(rule, persist, point::parse));
        let anew = persist.is_some_and(|persist| persist.reassigns(self.request));
        let (point, reason, draw) = match kept.filter(|_| !anew) {
            Some(kept) => (Some(kept.what), Reason::Persisted, None),
            None => {
                let draw = self.draw(rule, route.seed);
                // A point that is not kept would be no better than Envoy's own draw.
                let lasts = draw.reason == Reason::Sticky || persist.is_some();
                (lasts.then(|| point::of(draw.hash)), draw.reason, Some(draw))
            }
        };
        let redirect = Redirect { guard: route.guard, seed: route.seed, target: &route.target };
        let returns = kept.is_some();
        let set = Setting { persist, kept, anew };
        if let Some(fallback) = self.guarded(rule, redirect, draw) {
            let point = fallback.variant.as_ref().and_then(|variant| variant.point);
            let point = point.unwrap_or(point::FIRST);
            let decision = self.decision(&route.target, Reason::Guard);
            let persist = set.for_page(|kept| kept == point);
            return Decision { point: Some(point), persist, ..decision };
        }
        let hash = draw.filter(|_| reason == Reason::Sticky).map(|draw| draw.hash);
        let persist = set.cookie(|kept| Some(kept) == point);
        Decision { hash, point, persist, returns, ..self.decision(&route.target, reason) }
    }

    fn draw(&mut self, rule: &'p Rule, seed: u64) -> Draw {
        match self.identity(rule) {
            Some(identity) => {
                Draw { hash: xxh64(identity.as_bytes(), seed), reason: Reason::Sticky }
            }
            None => Draw { hash: self.environment.random(), reason: Reason::Random },
        }
    }

    fn identity(&mut self, rule: &'p Rule) -> Option<Identity<'_>> {
        rule.key.as_ref()?.identity(self.request, self.environment, &mut self.issued)
    }

    /// The variant that the client was assigned to before, if it still is one of the split's. One of
    /// weight 0 is to lose its clients, so nothing makes it keep them for longer.
    fn kept(
        &mut self,
        rule: &Rule,
        persist: &Persist,
        split: &'p Split,
    ) -> Option<Found<&'p Arc<Target>>> {
        let found = self.look_up(rule, persist, |value| split.named(value))?;
        let (target, weighted) = found.what;
        let stays = weighted || persist.drain;
        stays.then_some(Found { what: target, place: found.place, due: found.due && weighted })
    }

    /// The assignment that the client returns. It decides without the client's identity, which is looked
    /// at all the same where it may have to be set anew.
    fn look_up<T>(
        &mut self,
        rule: &Rule,
        persist: &Persist,
        read: impl FnMut(&[u8]) -> Option<T>,
    ) -> Option<Found<T>> {
        let environment = &mut *self.environment;
        let found = persist.cookie.find(self.request, || environment.now(), read)?;
        let issue = rule.key.as_ref().and_then(|key| key.issue.as_ref());
        if let Some(issue) = issue.filter(|issue| issue.cookie.is_renewed()) {
            issue.returned(self.request, environment);
        }
        Some(found)
    }

    /// The variant that takes over, if the guard of the split sends the request there.
    fn guarded(
        &mut self,
        rule: &'p Rule,
        Redirect { guard, seed, target }: Redirect<'p>,
        draw: Option<Draw>,
    ) -> Option<&'p Arc<Target>> {
        let index = guard?;
        let (guard, admitted) = (self.plan.guards.get(index)?, self.snapshot.admitted.get(index)?);
        guard.redirect(*admitted, target, || match draw {
            Some(draw) => draw.hash,
            None => {
                // A client whom a cookie keeps is issued nothing.
                let issued = std::mem::take(&mut self.issued);
                let draw = self.draw(rule, seed);
                self.issued = issued;
                draw.hash
            }
        })
    }
}

#[cfg(test)]
mod tests;
