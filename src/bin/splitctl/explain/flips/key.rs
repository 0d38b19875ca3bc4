//! Reasons in the key by which a client is told.

use traffic_split::config::{KeySource, Part, StickySpec};
use traffic_split::{FoundKey, HeaderList, Reason, limits};

use super::Decided;
use super::kept;
use super::part::{named_otherwise, repeated};

/// The reasons in the key of the rule that decided.
pub fn reasons(decided: &Decided<'_>) -> Vec<String> {
    let Some(sticky) = &decided.spec.sticky else {
        let drawn = decided.reason == Reason::Random && decided.spec.persist().is_none();
        let why = "the split is not sticky: each request is drawn anew";
        return drawn.then(|| why.to_owned()).into_iter().collect();
    };
    let mut reasons = Vec::new();
    // Who is kept by a cookie needs its key for a slice alone.
    let counts = decided.spec.layer.is_some() || decided.reason != Reason::Persisted;
    match decided.key.filter(|_| counts) {
        Some(key) => reasons.extend(told(sticky, key)),
        None if decided.reason == Reason::Random && decided.spec.persist().is_none() => {
            reasons.push(keyless(sticky));
        }
        None => {}
    }
    if counts {
        reasons.extend(ignored(decided, sticky));
    }
    if decided.is_hashed() && sticky.salt.is_none() && sticky.engine.is_none() {
        reasons.push(format!(
            "the rule has no salt, so its name {:?} is the salt: under another name everyone is drawn anew",
            decided.spec.name
        ));
    }
    reasons
}

fn keyless(sticky: &StickySpec) -> String {
    let sources: Vec<_> = sticky.key.iter().map(KeySource::to_string).collect();
    format!(
        "the request has no key ({}), and each request without one is drawn anew",
        sources.join(", ")
    )
}

/// The reasons in the place of a key that was found.
fn told(sticky: &StickySpec, key: &FoundKey) -> Vec<String> {
    let place = sticky.key.iter().position(|source| *source == key.source);
    let (earlier, later) = sticky.key.split_at(place.unwrap_or(sticky.key.len()));
    let earlier: Vec<_> = earlier.iter().map(KeySource::to_string).collect();
    let mut reasons = Vec::new();
    if !earlier.is_empty() {
        reasons.push(format!(
            "told by {}, since it has no {}: once the client has one, as after a login, another key is \
             hashed, and it may flip",
            key.source,
            earlier.join(" and no ")
        ));
    }
    let trusted = place.and_then(|place| sticky.trusted.get(place)).is_some_and(|it| *it);
    let is_cookie = |source: &&KeySource| matches!(source.part(), Some(Part::Cookie(_)));
    let next = later.iter().skip(1).find(is_cookie).map(KeySource::to_string);
    let next = next.or_else(|| Some(format!("cookie {}", sticky.issue.as_ref()?.name)));
    if let (Some(Part::Header(_) | Part::QueryParam(_)), Some(next), false) =
        (key.source.part(), next, trusted)
    {
        reasons.push(format!(
            "told by {}, which stands before {next}, and which a client sends as it likes: a request \
             without it is told by {next}, and may flip",
            key.source
        ));
    }
    if key.issued {
        reasons.push(format!(
            "a client that loses {}, or does not send it back, is issued another identity, and may flip",
            key.source
        ));
    }
    if key.source == KeySource::SourceIp {
        reasons.push(
            "an address is shared by many clients behind one proxy, and a mobile client changes it"
                .to_owned(),
        );
    }
    reasons
}

/// The values of the request that look like the key, and are none, or are only one of several.
fn ignored(decided: &Decided<'_>, sticky: &StickySpec) -> Vec<String> {
    let request = decided.request;
    let place = |key: &FoundKey| sticky.key.iter().position(|source| *source == key.source);
    let place = decided.key.and_then(place);
    let asked = sticky.key.iter().take(place.map_or(sticky.key.len(), |place| place + 1));
    let mut reasons = Vec::new();
    for (number, source) in asked.enumerate() {
        if Some(number) != place {
            reasons.extend(unusable(sticky, source, request));
        }
        reasons.extend(source.part().and_then(|part| named_otherwise(part, request)));
        reasons.extend(repeated(source.part(), request));
    }
    if let Some(issue) = sticky.issue.as_ref().filter(|_| place.is_none()) {
        let part = Part::Cookie(issue.name.clone());
        let is_new = decided.key.is_some_and(|key| key.issued);
        reasons.extend(kept::refused_identity(decided, issue).filter(|_| is_new));
        reasons.extend(named_otherwise(&part, request));
        reasons.extend(repeated(Some(&part), request));
    }
    reasons
}

/// Why a source that is there is no key.
fn unusable(sticky: &StickySpec, source: &KeySource, request: &HeaderList) -> Option<String> {
    let part = source.part()?;
    let values = part.values(request);
    let value = values.first()?;
    if values.iter().any(|value| value.len() > limits::KEY_BYTES) {
        return None;
    }
    let why = match (source, value) {
        (_, [] | [b'"', b'"']) => "is empty".to_owned(),
        (KeySource::Inner(..), _) => format!("is there, and has no {source}"),
        (_, value) if sticky.ignore.iter().any(|known| known.as_bytes() == *value) => {
            format!("is {:?}, which `ignore` lists", String::from_utf8_lossy(value))
        }
        _ => return None,
    };
    Some(format!("{part} {why}: it is no key"))
}
