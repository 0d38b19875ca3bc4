//! From a request to a variant.

use crate::plan::{Action, Plan, Rule, Variant};
use crate::request::Request;

/// Which rule decided, and for which variant.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'p> {
    matched: Option<(&'p Rule, &'p Variant)>,
    reason: Reason,
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
}

impl Reason {
    /// Its name in logs and outputs.
    pub fn name(&self) -> &'static str {
        match self {
            Reason::Pinned => "pinned",
            Reason::Sticky { .. } => "sticky",
            Reason::Random => "random",
            Reason::Unmatched => "unmatched",
        }
    }
}

/// The first rule that matches decides. `random` draws 64 uniform bits; it is asked only when a
/// split needs them.
pub fn decide<'p>(
    plan: &'p Plan,
    request: &impl Request,
    random: impl FnOnce() -> u64,
) -> Decision<'p> {
    let Some(rule) = plan.rules.iter().find(|rule| rule.matches(request)) else {
        return Decision { matched: None, reason: Reason::Unmatched };
    };
    let (variant, reason) = match &rule.action {
        Action::To(variant) => (variant, Reason::Pinned),
        Action::Split(split, key) => match key.as_ref().and_then(|key| key.hash(request)) {
            Some(hash) => (split.pick(hash), Reason::Sticky { hash }),
            None => (split.pick(random()), Reason::Random),
        },
    };
    Decision { matched: Some((rule, variant)), reason }
}
