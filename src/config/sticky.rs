//! Stickiness: the key by which a client is recognised, the identity that is issued to a client
//! without one, and the cookie that keeps an assignment.

use std::fmt;
use std::sync::Arc;

use super::cookie::{self, CookieSpec};
use super::error::Errors;
use super::field::{Field, Object};
use super::form::Form;
use super::operator;
use super::part::{self, Part};
use crate::engine::{self, Engine, SplitContext};
use crate::limits;

/// The stickiness of a rule: it recognises a client, so that the client keeps its variant.
///
/// ```
/// use traffic_split::config::{Config, KeySource, Part};
///
/// let config = br#"{ "variantHeader": "x-variant", "variants": { "v1": {}, "v2": {} }, "rules": [
///     { "name": "rollout", "split": { "v1": 90, "v2": 10 },
///       "sticky": { "key": [ { "header": "X-User-Id" }, { "sourceIp": true } ] } } ] }"#;
/// let rules = Config::parse(config).unwrap().rules;
/// let sticky = rules[0].sticky.as_ref().unwrap();
/// assert_eq!(sticky.key[0], KeySource::Part(Part::Header("x-user-id".into())));
/// assert_eq!(sticky.key[1], KeySource::SourceIp);
/// assert_eq!(sticky.salt, None);
/// ```
#[derive(Clone, Debug)]
pub struct StickySpec {
    /// Its path in the configuration, as in `rules[1].sticky`.
    pub path: String,
    /// The places to look for the client's identity, at most [`limits::KEY_SOURCES`]. The first one
    /// that a request has, and that is not empty, is hashed.
    pub key: Vec<KeySource>,
    /// Whether an earlier filter sets the source, so that no client can, for each entry of `key`. It
    /// decides nothing: a signed cookie proves nothing beside a key that clients choose.
    pub trusted: Vec<bool>,
    /// The values that are no identity, at most [`limits::NO_IDENTITIES`].
    pub ignore: Vec<String>,
    /// The cookie in which a client without a key gets an identity.
    pub issue: Option<CookieSpec>,
    /// The text that is hashed together with the key, which keeps experiments on one key independent;
    /// the rule's name if it is absent.
    pub salt: Option<String>,
    /// The flag engine whose buckets choose, in place of the filter's own hash.
    pub engine: Option<Arc<Engine>>,
}

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

/// A cookie that keeps a client's variant when the weights change.
///
/// ```
/// use traffic_split::config::{ActionSpec, Config};
///
/// let config = br#"{ "variantHeader": "x-variant", "variants": { "v1": {}, "v2": {} }, "rules": [
///     { "name": "rollout", "split": { "v1": 90, "v2": 10 },
///       "persist": { "cookie": "variant", "maxAge": "1h" } } ] }"#;
/// let rules = Config::parse(config).unwrap().rules;
/// let Some(ActionSpec::Split(split)) = &rules[0].action else { panic!() };
/// let persist = split.persist.as_ref().unwrap();
/// assert_eq!((persist.cookie.max_age, persist.drain), (Some(3_600), true));
/// ```
#[derive(Clone, Debug)]
pub struct PersistSpec {
    /// Its path in the configuration, as in `rules[1].persist`.
    pub path: String,
    /// The cookie, whose value is the variant's name.
    pub cookie: CookieSpec,
    /// Whether a variant of weight 0 keeps its clients, as it does by default. It plays no part where
    /// the route has the weights.
    pub drain: bool,
    /// Whether a client with an assignment is decided anew when its browser navigates. By default it
    /// keeps the assignment until the cookie ends.
    pub by_page: bool,
}

const STICKY: Form = Form { before: "{ key: [ { cookie: ", example: "uid", after: " } ] }" };
const KEY: Form = Form { before: "[ { cookie: ", example: "uid", after: " } ]" };
const SOURCE: Form = Form { before: "{ cookie: ", example: "uid", after: " }" };
const ISSUED: Form = Form { before: "{ cookie: ", example: "split-id", after: ", maxAge: 30d }" };
const PERSISTED: Form =
    Form { before: "{ cookie: ", example: "split-variant", after: ", maxAge: 1h }" };

/// Reads the stickiness of a rule with this split, or without one.
pub(super) fn read(
    field: &Field<'_>,
    context: Option<&SplitContext<'_>>,
    errors: &mut Errors,
) -> Option<StickySpec> {
    let mut object = field.object_as(STICKY, errors)?;
    let issue = object.given("issue", issue, errors);
    let key = object.given("key", keys, errors);
    if !key.is_given() && !issue.is_given() {
        object.miss("key", "give where to look for the client's identity, as in [{cookie: uid}]");
    }
    let ignore = object.given("ignore", ignore, errors);
    if ignore.is_given() && !key.is_given() {
        let why = "an issued identity is none of these; leave it out, or give a key";
        errors.forbidden(&format!("{}.ignore", field.path), why);
    }
    let salt = object.optional("salt").and_then(|field| salt(field, errors));
    let engine = buckets(&mut object, context, errors);
    object.finish(errors);
    let (key, trusted) = key.value().unwrap_or_default().into_iter().unzip();
    let (issue, ignore) = (issue.value(), ignore.value().unwrap_or_default());
    Some(StickySpec { path: field.path.clone(), key, trusted, ignore, issue, salt, engine })
}

/// Reads `engine`, and refuses what the SDKs of flag engines do not have.
fn buckets(
    object: &mut Object<'_>,
    context: Option<&SplitContext<'_>>,
    errors: &mut Errors,
) -> Option<Arc<Engine>> {
    let field = object.optional("engine").cloned();
    if let Some(context) = context {
        context.check(field.is_some(), errors);
    }
    let field = field?;
    let Some(context) = context else {
        errors.forbidden(&field.path, "only a `split` has variants for an engine to choose from");
        return None;
    };
    for (name, why) in [
        (
            "issue",
            "the SDK in the application buckets by its own key, and knows no identity of ours",
        ),
        ("salt", "an engine has its own: the salt, seed or key of the flag, in `engine`"),
    ] {
        if let Some(given) = object.optional(name) {
            errors.forbidden(&given.path, why);
        }
    }
    engine::read(&field, context, errors).map(Arc::new)
}

fn issue(field: &Field<'_>, errors: &mut Errors) -> Option<CookieSpec> {
    let mut object = field.object_as(ISSUED, errors)?;
    let cookie = cookie::read(&mut object, errors);
    object.finish(errors);
    cookie
}

pub(super) fn persist(field: &Field<'_>, errors: &mut Errors) -> Option<PersistSpec> {
    let mut object = field.object_as(PERSISTED, errors)?;
    let cookie = cookie::read(&mut object, errors);
    let drain = object.flag("drain", true, errors);
    let by_page = object.given("reassign", reassign, errors).is_given();
    object.finish(errors);
    Some(PersistSpec { path: field.path.clone(), cookie: cookie?, drain, by_page })
}

/// Reads when a client with an assignment is decided anew.
fn reassign(field: &Field<'_>, errors: &mut Errors) -> Option<()> {
    match field.word() {
        Some("navigation") => Some(()),
        _ => field.wrong(
            "must be navigation; leave it out to keep clients until the cookie ends",
            errors,
        ),
    }
}

/// Reads the sources of a key, each with whether it is trusted.
fn keys(field: &Field<'_>, errors: &mut Errors) -> Option<Vec<(KeySource, bool)>> {
    let fields = field.list_as(limits::KEY_SOURCES, KEY, errors)?;
    if fields.is_empty() {
        return field.wrong("must have an entry, as in [{cookie: uid}]", errors);
    }
    Some(fields.iter().filter_map(|field| key(field, errors)).collect())
}

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
        object.miss(
            "",
            "give one of header, cookie, queryParam, filterState, baggage, metadata, sourceIp",
        );
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
            KeySource::Part(part) if is_inner => {
                let (json, percent) = (json.value_or(Vec::new())?, decode.value_or(false)?);
                let proven = is_proven(&part);
                let source = KeySource::Inner(part, Inner { percent, json });
                Some((source, trusted.value_or(proven)?))
            }
            source => {
                let proven = source.part().is_some_and(is_proven);
                Some((source, trusted.value_or(proven)?))
            }
        },
        _ => field.wrong("must have only one of header, cookie, queryParam, filterState, baggage, metadata, sourceIp", errors),
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

/// Reads the values that are no identity. `null` in YAML is no text, but it is meant as one here.
fn ignore(field: &Field<'_>, errors: &mut Errors) -> Option<Vec<String>> {
    let form = Form { before: "[", example: "anonymous", after: "]" };
    let fields = field.list_as(limits::NO_IDENTITIES, form, errors)?;
    let value = |field: &Field<'_>, errors: &mut Errors| match field.is_null() {
        true => Some("null".to_owned()),
        false => operator::operand(field, errors),
    };
    Some(fields.iter().filter_map(|field| value(field, errors)).collect())
}

fn source_ip(field: &Field<'_>, errors: &mut Errors) -> Option<KeySource> {
    match field.bool(errors)? {
        true => Some(KeySource::SourceIp),
        false => field.wrong("must be true; leave it out otherwise", errors),
    }
}

fn salt(field: &Field<'_>, errors: &mut Errors) -> Option<String> {
    match field.text(limits::TEXT_BYTES, errors)? {
        "" => field.wrong("must not be empty; leave it out for the rule's name", errors),
        salt => Some(salt.to_owned()),
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
