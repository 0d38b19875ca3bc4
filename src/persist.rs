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

/// An assignment that a client returned, beside what its request asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Returned<'p, T> {
    pub(crate) persist: &'p Persist,
    /// The assignment, and whether it is due to be set anew.
    pub(crate) kept: Option<Found<T>>,
    /// Whether the request decides anew all the same.
    pub(crate) anew: bool,
}

impl<'p, T: Copy> Returned<'p, T> {
    /// The assignment of a client by this cookie, and what the request makes of it.
    pub(crate) fn new(
        persist: &'p Persist,
        kept: Option<Found<T>>,
        request: &impl Request,
    ) -> Self {
        Returned { persist, kept, anew: persist.by_page && is_navigation(request) }
    }

    /// The assignment that decides.
    pub(crate) fn stays(&self) -> Option<T> {
        self.kept.filter(|_| !self.anew).map(|kept| kept.what)
    }

    /// Whether the client had an assignment.
    pub(crate) fn is_some(&self) -> bool {
        self.kept.is_some()
    }

    /// Whether the client had this assignment before.
    pub(crate) fn is(&self, is_same: impl FnOnce(T) -> bool) -> bool {
        self.kept.is_some_and(|kept| is_same(kept.what))
    }

    /// The cookie to set with a new assignment, or with an earlier one that is to last: `same` where the
    /// client had it before. A page has the whole life of the cookie.
    pub(crate) fn cookie(&self, same: bool) -> Option<&'p Cookie> {
        let sets = match self.kept {
            None => true,
            Some(kept) if !self.anew => kept.due,
            Some(_) => !same || !self.persist.cookie.is_for_session(),
        };
        sets.then_some(&self.persist.cookie)
    }

    /// The same of a decision that is kept for no client, but for a page, since its parts have to
    /// follow it; the next page is decided anew.
    pub(crate) fn for_page(&self, same: bool) -> Option<&'p Cookie> {
        if self.anew { self.cookie(same) } else { None }
    }
}
