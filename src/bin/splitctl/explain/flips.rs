//! The usual reasons for which a user gets another variant tomorrow, where a request shows one.

use traffic_split::config::{ActionSpec, KeySource, Part, RuleSpec};
use traffic_split::{Explanation, HeaderList, Reason};

/// The reasons that the rule which decided has for this request.
pub fn reasons(
    rule: &RuleSpec,
    explanation: &Explanation<'_>,
    request: &HeaderList,
) -> Vec<String> {
    let Some(sticky) = rule.sticky.as_ref() else { return Vec::new() };
    let decision = &explanation.decision;
    if decision.reason() == Reason::Override {
        return Vec::new();
    }
    let mut reasons = Vec::new();
    let is_split = matches!(rule.action, Some(ActionSpec::Split(_) | ActionSpec::Route(_)));
    let hashed = decision.reason() == Reason::Sticky && is_split;
    let key = explanation.steps.last().and_then(|step| step.key.as_ref());
    if let Some(key) = key.filter(|_| hashed || decision.reason() == Reason::Random) {
        let earlier = sticky.key.iter().take_while(|source| **source != key.source);
        let earlier: Vec<_> = earlier.map(KeySource::to_string).collect();
        if !earlier.is_empty() {
            reasons.push(format!(
                "told by {}, since it has no {}: once the client has one, as after a login, another key \
                 is hashed, and it may flip",
                key.source,
                earlier.join(" and no ")
            ));
        }
        if key.issued {
            reasons.push(format!(
                "a client that loses {}, or does not send it back, is issued another identity, and may \
                 flip",
                key.source
            ));
        }
        if key.source == KeySource::SourceIp {
            reasons.push(
                "an address is shared by many clients behind one proxy, and a mobile client changes it"
                    .to_owned(),
            );
        }
    }
    if key.is_none_or(|key| key.issued) {
        reasons.extend(sticky.key.iter().filter_map(|source| unusable(rule, source, request)));
        let issued = sticky.issue.as_ref().map(|cookie| Part::Cookie(cookie.name.clone()));
        if let Some(part) = issued.filter(|part| !part.values(request).is_empty()) {
            reasons.push(format!(
                "{part} is there, and has no identity that the filter issued: it is another value, its \
                 signature does not verify, or it is over"
            ));
        }
    }
    if hashed && sticky.salt.is_none() && sticky.engine.is_none() {
        reasons.push(format!(
            "the rule has no salt, so its name {:?} is the salt: under another name everyone is drawn anew",
            rule.name
        ));
    }
    reasons.extend(guarded(rule, decision.variant().map(|variant| variant.name.as_str())));
    reasons
}

/// Why a source that is there is no key.
fn unusable(rule: &RuleSpec, source: &KeySource, request: &HeaderList) -> Option<String> {
    let part = source.part()?;
    let values = part.values(request);
    let value = values.first()?;
    if values.iter().any(|value| value.len() > traffic_split::limits::KEY_BYTES) {
        return None;
    }
    let ignored = rule.sticky.iter().flat_map(|sticky| &sticky.ignore);
    let why = match (source, value) {
        (_, [] | [b'"', b'"']) => "is empty".to_owned(),
        (KeySource::Inner(..), _) => format!("is there, and has no {source}"),
        (_, value) if ignored.clone().any(|known| known.as_bytes() == *value) => {
            format!("is {:?}, which `ignore` lists", String::from_utf8_lossy(value))
        }
        _ => return None,
    };
    Some(format!("{part} {why}: it is no key"))
}

fn guarded(rule: &RuleSpec, variant: Option<&str>) -> Option<String> {
    let Some(ActionSpec::Split(split)) = &rule.action else { return None };
    let guard = split.guard.as_ref().filter(|guard| Some(guard.watch.as_str()) == variant)?;
    Some(format!(
        "where the guard of {} trips, its clients go to {} until it is closed again",
        guard.watch, guard.fallback
    ))
}

#[cfg(test)]
mod tests {
    use super::super::explained::Explained;
    use super::*;
    use crate::diff::tests::checked;
    use crate::routes::Routes;

    fn told(rule: &str, headers: &[(&str, &str)]) -> Vec<String> {
        let yaml = format!("variantHeader: v\nvariants: {{ a: {{}}, b: {{}} }}\nrules: [ {rule} ]");
        let request = HeaderList::new(headers.iter().map(|(name, value)| (*name, *value)));
        Explained::new(&checked(&yaml, 0), &request, &Routes::default()).flips
    }

    #[test]
    fn a_reason_is_told_where_the_request_shows_it() {
        let rule = |sticky: &str| {
            format!("{{ name: r, split: {{ a: 1, b: 1 }}, sticky: {{ salt: s, {sticky} }} }}")
        };
        let login = rule("key: [ { header: x-user }, { cookie: uid } ]");
        let issue = rule("key: [ { header: x-user } ], issue: { cookie: id, maxAge: 1d }");
        let json = rule("key: [ { cookie: s, json: user.id } ]");
        let ignore = rule("key: [ { header: x-user } ], ignore: [undefined]");
        let address = rule("key: [ { header: x-user }, { cookie: uid } ]");
        let unsalted =
            "{ name: r, split: { a: 1, b: 1 }, sticky: { key: [ { header: x-user } ] } }";
        for (rule, headers, words) in [
            (
                &login,
                &[("cookie", "uid=7")][..],
                "since it has no header x-user: once the client has one, as after a login",
            ),
            (&issue, &[], "a client that loses cookie id"),
            (
                &issue,
                &[("cookie", "id=mine")],
                "cookie id is there, and has no identity that the filter issued",
            ),
            (&json, &[("cookie", "s={}")], "cookie s is there, and has no user.id in cookie s"),
            (
                &ignore,
                &[("x-user", "undefined")],
                "header x-user is \"undefined\", which `ignore` lists",
            ),
            (&ignore, &[("x-user", "\"\"")], "header x-user is empty"),
            (&unsalted.to_owned(), &[("x-user", "7")], "its name \"r\" is the salt"),
        ] {
            let told = told(rule, headers);
            assert!(told.iter().any(|it| it.contains(words)), "{words}: {told:?}");
        }
        assert_eq!(told(&address, &[("x-user", "7"), ("cookie", "uid=7")]), [""; 0]);
    }

    #[test]
    fn a_variant_under_guard_may_be_taken_away() {
        let rule = "{ name: r, split: { a: 0, b: 1 }, sticky: { salt: s, key: [ { header: x } ] }, \
                    guard: { watch: b, fallback: a, maxErrorRate: 5% } }";
        assert_eq!(
            told(rule, &[("x", "7")]),
            ["where the guard of b trips, its clients go to a until it is closed again"]
        );
    }
}
