//! The cookies of a decision: new identities, assignments and choices, and those that end.

use crate::decision::Decision;
use crate::environment::Environment;
use crate::identity::Id;
use crate::persist::FOR_PAGE;
use crate::plan::Plan;
use crate::request::{Request, append_cookie, other_cookies};

/// The cookies that a decision hands out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Cookies {
    /// The request's only `cookie` header from now on: the client's cookies and the identities
    /// just issued, so that every later hop sees what the client will send next time.
    pub(super) request: Option<Vec<u8>>,
    /// `Set-Cookie` fields to add to the response.
    pub(super) response: Vec<String>,
}

/// The cookies of a decision that is carried out.
pub(super) fn cookies(
    plan: &Plan,
    decision: &Decision<'_>,
    request: &impl Request,
    environment: &mut impl Environment,
) -> Cookies {
    let mut cookies = match decision.issued.id {
        Some(id) => issue(plan, decision, id, request, environment.now()),
        None => Cookies::default(),
    };
    if let Some(cookie) = decision.keep
        && let Some(mut payload) = decision.payload()
    {
        if decision.for_page {
            payload.push(FOR_PAGE);
        }
        let value = cookie.value(&payload, request, environment.now());
        cookies.response.push(cookie.set(&value));
    }
    if request.spent().is_some_and(|spent| spent.due() != 0) {
        renew(plan, request, environment, &mut cookies.response);
    }
    if decision.issued.ended != 0 {
        cookies.response.extend(plan.ended(decision.issued.ended).cloned());
    }
    cookies
}

/// Sets the identities anew that are due.
#[cold]
#[inline(never)]
fn renew(
    plan: &Plan,
    request: &impl Request,
    environment: &mut impl Environment,
    response: &mut Vec<String>,
) {
    for issue in plan.issues.iter().filter(|issue| issue.is_due(request)) {
        let now = environment.now();
        let id = issue.returned(request, environment);
        let id = id.and_then(|id| std::str::from_utf8(id).ok());
        let value = id.map(|id| issue.cookie.value(id, request, now));
        response.extend(value.map(|value| issue.cookie.set(&value)));
    }
}

/// The cookies with a new identity. `now` is in Unix seconds.
#[inline(never)] // Most requests are issued nothing.
fn issue(
    plan: &Plan,
    decision: &Decision<'_>,
    id: Id,
    request: &impl Request,
    now: u64,
) -> Cookies {
    let issued = || plan.issues.iter().filter(|issue| decision.issued.has(issue));
    let replaced = |name: &[u8]| issued().any(|issue| issue.cookie.name.as_bytes() == name);
    let mut cookies = other_cookies(request, replaced);
    let mut response = Vec::new();
    for issue in issued() {
        let value = issue.cookie.value(id.as_str(), request, now);
        append_cookie(&mut cookies, format!("{}={value}", issue.cookie.name).as_bytes());
        response.push(issue.cookie.set(&value));
    }
    Cookies { request: Some(cookies), response }
}
