//! The key of a sticky rule as it is written: the places where a client's identity may be found.

use std::fmt;

use super::error::Errors;
use super::field::Field;
use super::form::Form;
use super::part::{self, Part};
use crate::limits;

/// A place in a request where a client's identity may be found.
///
/// ```
/// use traffic_split::config::{KeySource, Part};
///
/// assert_eq!(KeySource::Part(Part::Cookie("uid".into())).to_string(), "cookie uid");
/// assert_eq!(KeySource::SourceIp.to_string(), "source address");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The text of a part of the request.
    Part(Part),
    /// A text inside that of a part of the request.
    Inner(Part, Inner),
    /// The client's address, as Envoy sees it.
    SourceIp,
}

/// The place of a text inside another one.
///
/// ```
/// use traffic_split::config::{Config, Inner, KeySource, Part};
///
/// let config = br#"{ "variantHeader": "x-variant", "variants": { "v1": {}, "v2": {} }, "rules": [
///     { "name": "rollout", "split": { "v1": 90, "v2": 10 },
///       "sticky": { "key": [ { "cookie": "session", "json": "user.id" } ] } } ] }"#;
/// let rules = Config::parse(config).unwrap().rules;
/// let source = &rules[0].sticky.as_ref().unwrap().key[0];
/// let inner = Inner { percent: false, json: vec!["user".into(), "id".into()] };
/// assert_eq!(*source, KeySource::Inner(Part::Cookie("session".into()), inner));
/// assert_eq!(source.to_string(), "user.id in cookie session");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inner {
    /// Whether the text around is percent-encoded (RFC 3986 section 2.1).
    pub percent: bool,
    /// The names of members of JSON objects, one inside the other, at most [`limits::JSON_NAMES`];
    /// none for the text as a whole.
    pub json: Vec<String>,
}

impl KeySource {
    /// The part of the request that it looks at, if it does.
    pub fn part(&self) -> Option<&Part> {
        match self {
            KeySource::Part(part) | KeySource::Inner(part, _) => Some(part),
            KeySource::SourceIp => None,
        }
    }
}

/// Writes the source as people call it, as in `cookie uid`.
impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeySource::Part(part) => part.fmt(f),
            KeySource::Inner(part, Inner { json, .. }) if json.is_empty() => {
                write!(f, "{part}, decoded")
            }
            KeySource::Inner(part, Inner { json, .. }) => write!(f, "{} in {part}", json.join(".")),
            KeySource::SourceIp => f.write_str("source address"),
        }
    }
}

const KEY: Form = Form { before: "[ { cookie: ", example: "uid", after: " } ]" };
const SOURCE: Form = Form { before: "{ cookie: ", example: "uid", after: " }" };

/// Reads the sources of a key, each with whether it is trusted.
pub(super) fn keys(field: &Field<'_>, errors: &mut Errors) -> Option<Vec<(KeySource, bool)>> {
    let fields = field.list_as(limits::KEY_SOURCES, KEY, errors)?;
    if fields.is_empty() {
        return field.wrong("must have an entry, as in [{cookie: uid}]", errors);
    }
    Some(fields.iter().filter_map(|field| key(field, errors)).collect())
}

/// The fields that name a source, in messages.
const SOURCES: &str = "header, cookie, queryParam, filterState, baggage, metadata, sourceIp";

fn key(field: &Field<'_>, errors: &mut Errors) -> Option<(KeySource, bool)> {
    let mut object = field.object_as(SOURCE, errors)?;
    let mut given = Vec::new();
    for named in &part::NAMED {
        if let Some(field) = object.optional(named.in_key) {
            let name = field.text(limits::TEXT_BYTES, errors);
            let part = name.and_then(|name| (named.read)(&field.path, name, errors));
            given.push(part.map(KeySource::Part));
        }
    }
    if let Some(field) = object.optional("metadata") {
        given.push(part::metadata(field, errors).map(KeySource::Part));
    }
    if let Some(field) = object.optional("sourceIp") {
        given.push(source_ip(field, errors));
    }
    if given.is_empty() {
        object.miss("", &format!("give one of {SOURCES}"));
    }
    let json = object.given("json", json, errors);
    let decode = object.given("decode", decode, errors);
    let trusted = object.given("trusted", |field, errors| field.bool(errors), errors);
    object.finish(errors);
    let is_inner = json.is_given() || decode.is_given();
    match given.as_mut_slice() {
        [] => None,
        [source] => match source.take()? {
            KeySource::SourceIp if is_inner || trusted.is_given() => {
                let remedy = "must not have json, decode or trusted: Envoy itself has the address";
                field.wrong(remedy, errors)
            }
            source => {
                let trusted = trusted.value_or(source.part().is_some_and(is_proven))?;
                let source = match source {
                    KeySource::Part(part) if is_inner => {
                        let (json, percent) = (json.value_or(Vec::new())?, decode.value_or(false)?);
                        KeySource::Inner(part, Inner { percent, json })
                    }
                    source => source,
                };
                Some((source, trusted))
            }
        },
        _ => field.wrong(&format!("must have only one of {SOURCES}"), errors),
    }
}

/// Whether only the proxy itself writes a part.
fn is_proven(part: &Part) -> bool {
    matches!(part, Part::Property(_))
}

fn json(field: &Field<'_>, errors: &mut Errors) -> Option<Vec<String>> {
    let text = field.text(limits::TEXT_BYTES, errors)?;
    let names: Vec<_> = text.split('.').map(str::to_owned).collect();
    if names.len() > limits::JSON_NAMES || names.iter().any(String::is_empty) {
        let remedy = format!("must be 1 to {} names, as in user.id", limits::JSON_NAMES);
        return field.wrong(&remedy, errors);
    }
    Some(names)
}

fn decode(field: &Field<'_>, errors: &mut Errors) -> Option<bool> {
    match field.text(limits::TEXT_BYTES, errors)? {
        "percent" => Some(true),
        _ => field.wrong("must be percent", errors),
    }
}

fn source_ip(field: &Field<'_>, errors: &mut Errors) -> Option<KeySource> {
    match field.bool(errors)? {
        true => Some(KeySource::SourceIp),
        false => field.wrong("must be true; leave it out otherwise", errors),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_shown_as_people_call_it() {
        for (source, shown) in [
            (KeySource::Part(Part::Header("x-user".into())), "header x-user"),
            (KeySource::Part(Part::Cookie("uid".into())), "cookie uid"),
            (KeySource::Part(Part::QueryParam("beta".into())), "query parameter beta"),
            (KeySource::Part(Part::Path), "path"),
            (KeySource::Part(Part::Method), "method"),
            (KeySource::Part(Part::Authority), "authority"),
            (KeySource::SourceIp, "source address"),
            (
                KeySource::Inner(Part::Path, Inner { percent: true, json: Vec::new() }),
                "path, decoded",
            ),
        ] {
            assert_eq!(source.to_string(), shown);
        }
    }
}
