//! From a request to a variant.

use std::sync::Arc;

use xxhash_rust::xxh64::xxh64;

use crate::ambient::Ambient;
use crate::identity::Issued;
use crate::plan::{Action, Persist, Plan, Rule, Variant};
use crate::request::Request;
use crate::split::Split;

/// Which rule decided, and for which variant.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'p> {
    matched: Option<(&'p Rule, &'p Variant)>,
    reason: Reason,
    pub(crate) issued: Issued,
}

/// Why a request goes where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The rule names the variant.
    Pinned,
    /// The hash of the client's key fell to the variant.
    Sticky {
        /// `h` of the recipe in `split.rs`.
        hash: u64,
    },
    /// The client's earlier assignment was kept.
    Persisted,
    /// The split is not sticky, or the request had no key: the variant was drawn.
    Random,
    /// No rule matched: Envoy's own route decides.
    Unmatched,
}

impl<'p> Decision<'p> {
    /// The name of the rule that matched.
    pub fn rule(&self) -> Option<&'p str> {
        self.matched.map(|(rule, _)| rule.name.as_str())
    }

    /// The variant chosen.
    pub fn variant(&self) -> Option<&'p Variant> {
        self.matched.map(|(_, variant)| variant)
    }

    /// Why.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The cookie that has to be set to keep a new assignment.
    pub(crate) fn persist(&self) -> Option<&'p Persist> {
        let (rule, _) = self.matched.filter(|_| self.reason != Reason::Persisted)?;
        match &rule.action {
            Action::To(_) => None,
            Action::Split { persist, .. } => persist.as_deref(),
        }
    }
}

impl Reason {
    /// Its name in logs and outputs.
    pub fn name(&self) -> &'static str {
        match self {
            Reason::Pinned => "pinned",
            Reason::Sticky { .. } => "sticky",
            Reason::Persisted => "persisted",
            Reason::Random => "random",
            Reason::Unmatched => "unmatched",
        }
    }
}

/// The first rule that matches decides.
pub fn decide<'p>(
    plan: &'p Plan,
    request: &impl Request,
    ambient: &mut impl Ambient,
) -> Decision<'p> {
    let mut issued = Issued::default();
    let decided = plan.candidates(request).find_map(|rule| {
        let (variant, reason) = apply(rule, request, ambient, &mut issued)?;
        Some((rule, variant, reason))
    });
    match decided {
        Some((rule, variant, reason)) => {
            Decision { matched: Some((rule, variant)), reason, issued }
        }
        None => Decision { matched: None, reason: Reason::Unmatched, issued },
    }
}

/// Where a rule sends a request; `None` if the request is not for it.
fn apply<'p>(
    rule: &'p Rule,
    request: &impl Request,
    ambient: &mut impl Ambient,
    issued: &mut Issued,
) -> Option<(&'p Arc<Variant>, Reason)> {
    if !rule.matches(request) {
        return None;
    }
    if let Some(slice) = &rule.slice {
        let identity = rule.key.as_ref()?.identity(request, ambient, issued)?;
        if !slice.holds(identity.as_bytes()) {
            return None;
        }
    }
    let (split, seed, persist) = match &rule.action {
        Action::To(variant) => return Some((variant, Reason::Pinned)),
        Action::Split { split, seed, persist } => (split, seed, persist),
    };
    let kept = persist.as_deref().and_then(|persist| kept(persist, split, request, ambient));
    if let Some(variant) = kept {
        return Some((variant, Reason::Persisted));
    }
    let key = rule.key.as_ref();
    let identity = key.and_then(|key| key.identity(request, ambient, issued));
    Some(match identity {
        Some(identity) => {
            let hash = xxh64(identity.as_bytes(), *seed);
            (split.pick(hash), Reason::Sticky { hash })
        }
        None => (split.pick(ambient.random()), Reason::Random),
    })
}

/// The variant that the client was assigned to before, if it still is one of the split's.
fn kept<'p>(
    persist: &'p Persist,
    split: &'p Split,
    request: &impl Request,
    ambient: &mut impl Ambient,
) -> Option<&'p Arc<Variant>> {
    let mut names = persist.cookie.read(request, || ambient.now());
    let (variant, weighted) = names.find_map(|name| split.named(name))?;
    (weighted || persist.drain).then_some(variant)
}

#[cfg(test)]
mod tests;
