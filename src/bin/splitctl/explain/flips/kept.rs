//! Reasons in the cookies that the filter sets: assignments that end, and values that do not count.

use traffic_split::config::{ActionSpec, CookieSpec, Part, PersistSpec, format_time};
use traffic_split::{Reason, is_issued_text, limits};

use super::super::sent;
use super::Decided;
use super::part::{named_otherwise, repeated};
use crate::resume::length;

/// The reasons in the assignment that a cookie keeps.
pub fn reasons(decided: &Decided<'_>) -> Vec<String> {
    let Some(persist) = decided.spec.persist() else { return Vec::new() };
    let (name, end) = (&persist.cookie.name, end(persist));
    let part = Part::Cookie(name.clone());
    let mut reasons = Vec::new();
    match decided.reason {
        Reason::Persisted => reasons.push(format!(
            "cookie {name} keeps the assignment until {end}; then {}",
            next(decided)
        )),
        Reason::Random => reasons.push(format!(
            "the request has no key, so it is drawn; cookie {name} keeps the draw until {end}, and then \
             the client is drawn anew"
        )),
        _ => {}
    }
    if decided.reason != Reason::Persisted {
        reasons.extend(refused(decided, &persist.cookie, |payload| assigned(decided, payload)));
        reasons.extend(named_otherwise(&part, decided.request));
    }
    reasons.extend(repeated(Some(&part), decided.request));
    reasons
}

/// The end of an assignment.
fn end(persist: &PersistSpec) -> String {
    match persist.cookie.max_age.map(length) {
        _ if persist.by_page => "the browser navigates (reassign)".to_owned(),
        Some(age) if persist.cookie.renew => format!("{age} after it was last set (maxAge, renew)"),
        Some(age) => format!("{age} after it was set (maxAge)"),
        None => "the browser ends its session (maxAge)".to_owned(),
    }
}

/// The fate of a client when its assignment ends.
fn next(decided: &Decided<'_>) -> String {
    let chosen = |key| decided.rule.assign(&decided.checked.snapshot, key).ok();
    match decided.sent_key() {
        None => "the client has no key, and is drawn anew".to_owned(),
        Some(key) => match chosen(key).map(|variant| variant.name.as_str()) {
            Some(variant) if decided.variant == Some(variant) => {
                format!("its key chooses, which gives {variant} as well while these weights stand")
            }
            Some(variant) => format!("its key chooses, which gives {variant} by these weights"),
            None => "its key chooses, by the weights of that time".to_owned(),
        },
    }
}

/// Why the cookie with an identity does not count.
pub fn refused_identity(decided: &Decided<'_>, cookie: &CookieSpec) -> Option<String> {
    let why = "has no identity that the filter issued".to_owned();
    refused(decided, cookie, |payload| (!is_issued_text(payload.as_bytes())).then_some(why))
}

/// Why a payload is no assignment of the rule.
fn assigned(decided: &Decided<'_>, payload: &str) -> Option<String> {
    let Some(ActionSpec::Split(split)) = &decided.spec.action else {
        let is_point = payload.parse::<u64>().is_ok();
        return (!is_point).then(|| format!("has {payload:?}, which is no point"));
    };
    let weighted = decided.rule.weights(&decided.checked.snapshot);
    let known = split.weights.iter().any(|known| known.variant == payload);
    let drained = split.persist.as_ref().is_some_and(|persist| !persist.drain);
    match known {
        false => Some(format!("has {payload:?}, which is no variant of the split")),
        true if drained && weighted.iter().all(|(variant, _)| variant.name != payload) => {
            Some(format!("has {payload}, whose weight is 0, and `drain: false` keeps nobody there"))
        }
        true => None,
    }
}

/// Why a cookie that the filter sets is there, and does not count. `wrong` looks at its payload.
fn refused(
    decided: &Decided<'_>,
    cookie: &CookieSpec,
    wrong: impl FnOnce(&str) -> Option<String>,
) -> Option<String> {
    let values = sent::of_cookie(&cookie.name, decided.request);
    let value = values.first()?;
    let text = String::from_utf8_lossy(value);
    let why = if value.len() > limits::SIGNED_BYTES {
        Some(format!("is {} bytes; it may have {}", value.len(), limits::SIGNED_BYTES))
    } else if cookie.signing.is_none() {
        wrong(undated(&text))
    } else {
        Some(unsigned(decided, cookie, &text, wrong))
    };
    why.map(|why| format!("cookie {} does not count: it {why}", cookie.name))
}

/// The payload of an unsigned value, behind which `renew` puts a time: `payload~issued`.
fn undated(value: &str) -> &str {
    let dated = value.rsplit_once('~');
    let is_time = |time: &str| u64::from_str_radix(time, 16).is_ok();
    dated.filter(|(_, time)| is_time(time)).map_or(value, |(payload, _)| payload)
}

/// Why a value of a signed cookie does not count: `payload.issued.expires.mac`, or with `.2` before the
/// last part, and its times in hexadecimal.
fn unsigned(
    decided: &Decided<'_>,
    cookie: &CookieSpec,
    value: &str,
    wrong: impl FnOnce(&str) -> Option<String>,
) -> String {
    let env = cookie.signing.as_ref().map_or("", |signing| &signing.env);
    let body = value.rsplit_once('.').map_or("", |(body, _)| body);
    let parts: Vec<_> = body.rsplit('.').collect();
    let parts = match parts.as_slice() {
        ["2", times @ ..] => times,
        times => times,
    };
    let time = |text: &str| u64::from_str_radix(text, 16).ok();
    let [expires, issued, payload @ ..] = parts else { return unlike() };
    let (Some(expires), Some(issued)) = (time(expires), time(issued)) else { return unlike() };
    let payload: Vec<_> = payload.iter().rev().copied().collect();
    let now = decided.checked.snapshot.now();
    let has_host = decided.request.headers.iter().any(|(name, _)| name == ":authority");
    if expires <= now {
        format!("expired at {}", format_time(expires))
    } else if issued > now.saturating_add(limits::CLOCK_SKEW) {
        format!("was issued at {}, which is to come", format_time(issued))
    } else if decided.checked.lacks(env) {
        format!("cannot be verified here, where {env} is not set")
    } else if cookie.domain.is_none() && !has_host {
        "was signed for a host, and the request has none; give --authority".to_owned()
    } else {
        wrong(&payload.join(".")).unwrap_or_else(|| {
            "does not verify: it was signed with another key, for another host or salt, or by somebody \
             else"
                .to_owned()
        })
    }
}

fn unlike() -> String {
    "is not signed as the filter signs".to_owned()
}
