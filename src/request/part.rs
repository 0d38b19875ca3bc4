//! The one reader of a request's parts: matchers, keys, the index and explanations ask it.

use super::{Request, find_cookie, find_value, path, query_param};
use crate::config::Part;

impl Part {
    /// Calls `find` on each usable value of this part, in the order of arrival, and returns its
    /// first answer.
    pub(crate) fn find<'a, T>(
        &'a self,
        request: &'a impl Request,
        mut find: impl FnMut(&'a [u8]) -> Option<T>,
    ) -> Option<T> {
        match self {
            Part::Header(name) => find_value(request, name, find),
            Part::Method => find_value(request, METHOD, find),
            Part::Authority => find_value(request, AUTHORITY, find),
            Part::Cookie(name) => find_cookie(request, name, find),
            Part::QueryParam(name) => find(query_param(request, name)?),
            Part::Path => find(path(request)?),
        }
    }

    /// Whether a value of this part passes a test. Each value of a repeated header is tried by
    /// itself, never joined with the others (CVE-2026-26308); of the cookies with one name only the
    /// first counts.
    pub(crate) fn any(&self, request: &impl Request, test: impl Fn(&[u8]) -> bool) -> bool {
        let first_only = matches!(self, Part::Cookie(_));
        let answer = self.find(request, |value| {
            let passed = test(value);
            (passed || first_only).then_some(passed)
        });
        answer == Some(true)
    }

    /// What a condition on this part looks at: nothing, one value, or several of a repeated header.
    pub fn values<'a>(&'a self, request: &'a impl Request) -> Vec<&'a [u8]> {
        let mut values = Vec::new();
        let first_only = matches!(self, Part::Cookie(_));
        self.find(request, |value| {
            values.push(value);
            first_only.then_some(())
        });
        values
    }

    /// The header that holds this part as a whole.
    pub(crate) fn header_name(&self) -> Option<&str> {
        match self {
            Part::Header(name) => Some(name),
            Part::Method => Some(METHOD),
            Part::Authority => Some(AUTHORITY),
            Part::Cookie(_) | Part::QueryParam(_) | Part::Path => None,
        }
    }
}

const METHOD: &str = ":method";
const AUTHORITY: &str = ":authority";
