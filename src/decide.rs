//! From a request to a variant.

use std::sync::Arc;

use xxhash_rust::xxh64::xxh64;

use crate::config::Mode;
use crate::cookie::Found;
use crate::decision::Decision;
use crate::environment::Environment;
use crate::identity::Issued;
use crate::key::Identity;
use crate::overrides::Forced;
use crate::persist::{Persist, Returned};
use crate::plan::Plan;
use crate::point;
use crate::reason::Reason;
use crate::request::{Ignored, Reader, Request};
use crate::rule::{Action, Allocation, Gate, Route, Rule};
use crate::snapshot::Snapshot;
use crate::split::Split;
use crate::variant::Target;

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
    let decision = plan.find_rule(request, live);
    decision.unwrap_or_else(|| Decision::new(None, Reason::Unmatched, decider.issued))
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

impl Draw {
    /// The hash, if it is a key's.
    fn of_key(self) -> Option<u64> {
        (self.reason == Reason::Sticky).then_some(self.hash)
    }
}

/// A variant of a split, and the reason for it.
struct Choice<'p> {
    target: &'p Arc<Target>,
    reason: Reason,
    /// The place in the split, if that chose.
    draw: Option<Draw>,
}

impl<'p> Choice<'p> {
    /// The variant that a cookie keeps.
    fn kept(target: &'p Arc<Target>) -> Self {
        Choice { target, reason: Reason::Persisted, draw: None }
    }
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
                    let keep = Some(&overrides.cookie);
                    let decision = self.decision(target, Reason::Override);
                    return Entry::Forced(Decision { keep, ..decision });
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
        Decision::new(Some(target), reason, self.issued)
    }

    /// The variant of a split: the one assigned before, or else one by the hash of the key or by
    /// chance; its fallback where its guard is open.
    fn allocate(&mut self, rule: &'p Rule, allocation: &'p Allocation) -> Decision<'p> {
        match &allocation.persist {
            None => self.drawn(rule, allocation),
            Some(persist) => self.keep(rule, allocation, persist),
        }
    }

    #[inline(never)] // Splits that keep nothing are not to pay for its code.
    fn keep(
        &mut self,
        rule: &'p Rule,
        allocation: &'p Allocation,
        persist: &'p Persist,
    ) -> Decision<'p> {
        let returned = self.returned(rule, persist, self.snapshot.split(allocation));
        let decision = match returned.stays() {
            Some(target) => self.carried(rule, allocation, Choice::kept(target)),
            None => self.drawn(rule, allocation),
        };
        decision.kept_by(returned, |kept| decision.is_for(kept))
    }

    fn drawn(&mut self, rule: &'p Rule, allocation: &'p Allocation) -> Decision<'p> {
        let draw = self.draw(rule, allocation.seed);
        let target = self.snapshot.split(allocation).pick(draw.hash);
        self.carried(rule, allocation, Choice { target, reason: draw.reason, draw: Some(draw) })
    }

    /// The decision for a choice; for the fallback where the guard is open.
    fn carried(
        &mut self,
        rule: &'p Rule,
        allocation: &'p Allocation,
        Choice { target, reason, draw }: Choice<'p>,
    ) -> Decision<'p> {
        let redirect = Redirect { guard: allocation.guard, seed: allocation.seed, target };
        if let Some(fallback) = self.guarded(rule, redirect, draw) {
            return self.decision(fallback, Reason::Guard);
        }
        Decision { hash: draw.and_then(Draw::of_key), ..self.decision(target, reason) }
    }

    /// The variant of a split by a flag engine: the one assigned before, or else the one that the
    /// engine has for the client, or `otherwise`; its fallback where its guard is open. `None` if the
    /// engine leaves the client to the next rule.
    #[inline(never)] // Splits without an engine are not to pay for its code.
    fn bucket(&mut self, rule: &'p Rule, allocation: &'p Allocation) -> Option<Decision<'p>> {
        let persist = allocation.persist.as_ref();
        let returned = persist.map(|persist| self.returned(rule, persist, &allocation.split));
        let choice = match returned.and_then(|returned| returned.stays()) {
            Some(target) => Choice::kept(target),
            None => self.bucketed(rule, &allocation.split)?,
        };
        let decision = self.carried(rule, allocation, choice);
        let Some(returned) = returned else { return Some(decision) };
        Some(decision.kept_by(returned, |kept| decision.is_for(kept)))
    }

    fn bucketed(&mut self, rule: &'p Rule, split: &'p Split) -> Option<Choice<'p>> {
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
        let (target, reason) = match split.bucket(bytes) {
            Some(target) => (target, Reason::Sticky),
            None => (split.otherwise()?, Reason::Otherwise),
        };
        Some(Choice { target, reason, draw: None })
    }

    /// The point of a client: the one that it had before, or else one by the hash of its key; `None`
    /// where Envoy is to draw. An open guard sends it to where the fallback is.
    #[inline(never)]
    fn place(&mut self, rule: &'p Rule, route: &'p Route) -> Decision<'p> {
        let returned = route.persist.as_ref().map(|persist| {
            let (found, for_page) = self.look_up(rule, persist, point::parse);
            Returned::new(persist, found, for_page, self.request)
        });
        let (point, reason, draw) = match returned.and_then(|returned| returned.stays()) {
            Some(point) => (Some(point), Reason::Persisted, None),
            None => {
                let draw = self.draw(rule, route.seed);
                // A point that is not kept would be no better than Envoy's own draw.
                let lasts = draw.reason == Reason::Sticky || returned.is_some();
                (lasts.then(|| point::of(draw.hash)), draw.reason, Some(draw))
            }
        };
        let redirect = Redirect { guard: route.guard, seed: route.seed, target: &route.target };
        let decision = if let Some(fallback) = self.guarded(rule, redirect, draw) {
            let point = fallback.variant.as_ref().and_then(|variant| variant.point);
            let point = point.or(Some(point::FIRST));
            Decision { point, ..self.decision(&route.target, Reason::Guard) }
        } else {
            let hash = draw.and_then(Draw::of_key);
            Decision { hash, point, ..self.decision(&route.target, reason) }
        };
        match returned {
            None => decision,
            Some(returned) => decision.kept_by(returned, |kept| decision.point == Some(kept)),
        }
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
    #[inline(never)] // Splits that keep nothing are not to pay for its code.
    fn returned(
        &mut self,
        rule: &Rule,
        persist: &'p Persist,
        split: &'p Split,
    ) -> Returned<'p, &'p Arc<Target>> {
        let (found, for_page) = self.look_up(rule, persist, |value| split.named(value));
        let kept = found.and_then(|found| {
            let (target, weighted) = found.what;
            let stays = weighted || persist.drain;
            let due = found.due && weighted;
            stays.then_some(Found { what: target, place: found.place, due })
        });
        Returned::new(persist, kept, for_page, self.request)
    }

    /// The assignment that the client returns, and whether it is for its page alone. It decides without
    /// the client's identity, which is looked at all the same where it may have to be set anew.
    fn look_up<T>(
        &mut self,
        rule: &Rule,
        persist: &Persist,
        mut read: impl FnMut(&[u8]) -> Option<T>,
    ) -> (Option<Found<T>>, bool) {
        let environment = &mut *self.environment;
        let mut for_page = false;
        let found = persist.cookie.find(
            self.request,
            || environment.now(),
            |value| {
                let (assignment, is_for_page) = persist.read(value)?;
                for_page = is_for_page;
                read(assignment)
            },
        );
        let issue = rule.key.as_ref().and_then(|key| key.issue.as_ref());
        let issue = issue.filter(|issue| found.is_some() && issue.cookie.is_renewed());
        if let Some(issue) = issue {
            issue.returned(self.request, environment);
        }
        (found, for_page)
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
