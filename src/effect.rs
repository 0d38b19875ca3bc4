//! What a decision does: it writes the routing headers, so that whatever a client sent in them is
//! overwritten or removed, and hands out cookies.

use crate::decide::Decision;
use crate::environment::Environment;
use crate::identity::Id;
use crate::plan::Plan;
use crate::request::Request;

/// A change of one request header, which replaces all its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect<'p> {
    /// The header's name, in lower case.
    pub header: &'p str,
    /// Its only value; `None` removes it.
    pub value: Option<&'p str>,
}

/// The changes of the routing headers, in order: none where the whole plan is in shadow.
pub fn effects<'p>(
    plan: &'p Plan,
    decision: &Decision<'p>,
) -> impl Iterator<Item = Effect<'p>> + use<'p> {
    let variant = decision.variant();
    let cluster = variant.and_then(|variant| variant.cluster.as_deref());
    let name = variant.map(|variant| variant.name.as_str());
    [(&plan.cluster_header, cluster), (&plan.variant_header, name)]
        .into_iter()
        .filter(|_| !plan.shadow)
        .filter_map(|(header, value)| Some(Effect { header: header.as_deref()?, value }))
}

/// Cookies that a decision hands out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cookies {
    /// The request's only `cookie` header from now on: the client's cookies and the identities
    /// just issued, so that every later hop sees what the client will send next time.
    pub request: Option<Vec<u8>>,
    /// `Set-Cookie` fields to add to the response.
    pub response: Vec<String>,
}

/// The cookies that a decision hands out; most hand out none.
pub fn cookies(
    plan: &Plan,
    decision: &Decision<'_>,
    request: &impl Request,
    environment: &mut impl Environment,
) -> Cookies {
    let mut cookies = Cookies::default();
    if plan.shadow {
        return cookies;
    }
    if let Some(id) = decision.issued.id {
        issue(plan, decision, id, request, environment, &mut cookies);
    }
    if let (Some(persist), Some(variant)) = (decision.persist, decision.variant()) {
        let value = persist.cookie.value(&variant.name, request, environment.now());
        cookies.response.push(persist.cookie.set(&value));
    }
    cookies
}

fn issue(
    plan: &Plan,
    decision: &Decision<'_>,
    id: Id,
    request: &impl Request,
    environment: &mut impl Environment,
    cookies: &mut Cookies,
) {
    let issued = || plan.issues.iter().filter(|issue| decision.issued.has(issue));
    let replaced = |name: &[u8]| issued().any(|issue| issue.cookie.name.as_bytes() == name);
    let mut pairs = crate::request::other_cookies(request, replaced);
    for issue in issued() {
        let value = issue.cookie.value(id.as_str(), request, environment.now());
        pairs.push(format!("{}={value}", issue.cookie.name).into_bytes());
        cookies.response.push(issue.cookie.set(&value));
    }
    cookies.request = Some(pairs.join(&b"; "[..]));
}
