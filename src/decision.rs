//! A decision about a request.

use std::sync::Arc;

use crate::cookie::Cookie;
use crate::identity::Issued;
use crate::persist::Returned;
use crate::reason::Reason;
use crate::variant::{Target, Variant};

/// The rule that decided, its variant, and the reason.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'p> {
    pub(crate) target: Option<&'p Arc<Target>>,
    pub(crate) reason: Reason,
    pub(crate) hash: Option<u64>,
    /// The client's point, where the route has the weights.
    pub(crate) point: Option<u64>,
    pub(crate) issued: Issued,
    /// The cookie to set, so that a new choice is kept, or an earlier one for longer.
    pub(crate) keep: Option<&'p Cookie>,
    /// Whether the client returned an assignment.
    pub(crate) returns: bool,
    /// Whether it is for a page alone, and not what chance or a key has for the client.
    pub(crate) for_page: bool,
}

impl<'p> Decision<'p> {
    /// A decision that keeps nothing, with what was issued on the way to it.
    pub(crate) fn new(target: Option<&'p Arc<Target>>, reason: Reason, issued: Issued) -> Self {
        let (keep, returns, for_page) = (None, false, false);
        Decision { target, reason, hash: None, point: None, issued, keep, returns, for_page }
    }

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

    pub(crate) fn is_for(&self, target: &Arc<Target>) -> bool {
        self.target.is_some_and(|own| Arc::ptr_eq(own, target))
    }

    /// The same with the cookie that is to keep it. `is_same` says whether it is what was kept before.
    pub(crate) fn kept_by<T: Copy>(
        self,
        returned: Returned<'p, T>,
        is_same: impl FnOnce(T) -> bool,
    ) -> Decision<'p> {
        // Clients come back once the guard closes, and whom an engine leaves out may take part tomorrow.
        let passes = matches!(self.reason, Reason::Guard | Reason::Otherwise);
        let for_page = passes || self.reason == Reason::Persisted && returned.for_page;
        let same = for_page == returned.for_page && returned.is(is_same);
        let keep = if passes { returned.cookie_of_page(same) } else { returned.cookie(same) };
        Decision { keep, returns: returned.is_some(), for_page, ..self }
    }

    /// The hash of the client's key, if it chose the variant: `hash` in the
    /// [wire contract](crate::wire_contract).
    pub fn hash(&self) -> Option<u64> {
        self.hash
    }
}
