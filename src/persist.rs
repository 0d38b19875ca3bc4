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

/// The sign behind an assignment that is kept for its page alone, since neither chance nor a key made it:
/// the fallback of a guard, and `otherwise`. It stands in no name of a variant and in no point.
pub(crate) const FOR_PAGE: char = '~';

impl Persist {
    /// The assignment in a value, and whether it is for its page alone. Without pages there is none such.
    pub(crate) fn read<'v>(&self, value: &'v [u8]) -> Option<(&'v [u8], bool)> {
        match value {
            [assignment @ .., last] if char::from(*last) == FOR_PAGE => {
                self.by_page.then_some((assignment, true))
            }
            assignment => Some((assignment, false)),
        }
    }
}

/// An assignment that a client returned, beside what its request asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Returned<'p, T> {
    pub(crate) persist: &'p Persist,
    /// The assignment, and whether it is due to be set anew.
    pub(crate) kept: Option<Found<T>>,
    /// Whether the assignment is for its page alone.
    pub(crate) for_page: bool,
    /// Whether the request decides anew all the same.
    pub(crate) anew: bool,
}

impl<'p, T: Copy> Returned<'p, T> {
    /// The assignment of a client by this cookie, and what the request makes of it.
    pub(crate) fn new(
        persist: &'p Persist,
        kept: Option<Found<T>>,
        for_page: bool,
        request: &impl Request,
    ) -> Self {
        Returned { persist, kept, for_page, anew: persist.by_page && is_navigation(request) }
    }

    /// The assignment that decides.
    pub(crate) fn stays(&self) -> Option<T> {
        self.kept.filter(|_| !self.anew).map(|kept| kept.what)
    }

    /// Whether the client had an assignment of its own.
    pub(crate) fn is_some(&self) -> bool {
        self.kept.is_some() && !self.for_page
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
    pub(crate) fn cookie_of_page(&self, same: bool) -> Option<&'p Cookie> {
        if self.anew { self.cookie(same) } else { None }
    }
}
