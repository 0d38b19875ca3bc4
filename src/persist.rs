//! A cookie that keeps an assignment, and when it is set.

use crate::cookie::{Cookie, Found};
use crate::navigation::is_navigation;
use crate::request::Request;

/// A cookie that keeps an assignment.
#[derive(Debug)]
pub(crate) struct Persist {
    pub(crate) cookie: Cookie,
    /// Whether a variant of weight 0 keeps its clients.
    pub(crate) drain: bool,
    /// Whether a client with an assignment is decided anew when its browser navigates.
    pub(crate) by_page: bool,
}

impl Persist {
    /// Whether this request decides anew about a client with an assignment.
    pub(crate) fn reassigns(&self, request: &impl Request) -> bool {
        self.by_page && is_navigation(request)
    }
}

/// The question whether a cookie is set with a decision.
pub(crate) struct Setting<'p, T> {
    pub(crate) persist: Option<&'p Persist>,
    /// The assignment that the client returned.
    pub(crate) kept: Option<Found<T>>,
    /// Whether the request decides anew all the same.
    pub(crate) anew: bool,
}

impl<'p, T: Copy> Setting<'p, T> {
    /// The cookie to set with a new assignment, or with an earlier one that is to last. `is_same` says
    /// whether the decision is that of an earlier assignment. A page has the whole life of the cookie.
    pub(crate) fn cookie(self, is_same: impl FnOnce(T) -> bool) -> Option<&'p Persist> {
        let persist = self.persist?;
        let sets = match self.kept {
            None => true,
            Some(kept) if !self.anew => kept.due,
            Some(kept) => !persist.cookie.is_for_session() || !is_same(kept.what),
        };
        sets.then_some(persist)
    }

    /// The same of a decision that is kept for no client, but for a page, since its parts have to
    /// follow it; the next page is decided anew.
    pub(crate) fn for_page(self, is_same: impl FnOnce(T) -> bool) -> Option<&'p Persist> {
        if self.anew { self.cookie(is_same) } else { None }
    }
}
