//! What keeps a client with its variant: a key that is hashed, an identity that is issued where
//! there is none, and an assignment that is kept.

use std::fmt;

use super::cookie::{self, CookieSpec};
use super::error::Errors;
use super::field::Field;
use super::part::{self, Part};
use crate::limits;

/// How a client is recognised.
#[derive(Clone, Debug)]
pub struct StickySpec {
    /// Where it stands.
    pub path: String,
    /// The first source present and not empty is hashed.
    pub key: Vec<KeySource>,
    /// Issues an identity to a request that has no key.
    pub issue: Option<CookieSpec>,
    /// Keeps experiments on one key apart, or together; the rule's name when absent.
    pub salt: Option<String>,
}

/// A place in the request where a client's identity may be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A text of the request.
    Part(Part),
    /// The client's address as Envoy sees it.
    SourceIp,
}

/// A source as people call it, as in `cookie uid`.
impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeySource::Part(part) => part.fmt(f),
            KeySource::SourceIp => f.write_str("source address"),
        }
    }
}

/// Keeps an assignment, whatever becomes of the weights.
#[derive(Clone, Debug)]
pub struct PersistSpec {
    /// Where it stands.
    pub path: String,
    /// The cookie that holds the variant's name.
    pub cookie: CookieSpec,
    /// Whether a variant of weight 0 keeps its clients.
    pub drain: bool,
}

pub(super) fn read(field: &Field<'_>, errors: &mut Errors) -> Option<StickySpec> {
    let mut object = field.object(errors)?;
    let issue = object.given("issue", issue, errors);
    let key = object.given("key", keys, errors);
    if !key.is_given() && !issue.is_given() {
        let remedy = "give where to look for the client's identity, as in [{cookie: uid}]";
        errors.required(&format!("{}.key", field.path), remedy);
    }
    let salt = object.optional("salt").and_then(|field| salt(field, errors));
    object.finish(errors);
    let (key, issue) = (key.value().unwrap_or_default(), issue.value());
    Some(StickySpec { path: field.path.clone(), key, issue, salt })
}

fn issue(field: &Field<'_>, errors: &mut Errors) -> Option<CookieSpec> {
    let mut object = field.object(errors)?;
    let cookie = cookie::read(&mut object, errors);
    object.finish(errors);
    cookie
}

pub(super) fn persist(field: &Field<'_>, errors: &mut Errors) -> Option<PersistSpec> {
    let mut object = field.object(errors)?;
    let cookie = cookie::read(&mut object, errors);
    let drain = object.flag("drain", true, errors);
    object.finish(errors);
    Some(PersistSpec { path: field.path.clone(), cookie: cookie?, drain })
}

fn keys(field: &Field<'_>, errors: &mut Errors) -> Option<Vec<KeySource>> {
    let fields = field.list(limits::KEY_SOURCES, errors)?;
    if fields.is_empty() {
        return field.wrong("must have an entry, as in [{cookie: uid}]", errors);
    }
    Some(fields.iter().filter_map(|field| key(field, errors)).collect())
}

fn key(field: &Field<'_>, errors: &mut Errors) -> Option<KeySource> {
    let mut object = field.object(errors)?;
    let mut given = Vec::new();
    for named in &part::NAMED {
        if let Some(field) = object.optional(named.in_key) {
            let name = field.text(limits::TEXT_BYTES, errors);
            let part = name.and_then(|name| (named.read)(&field.path, name, errors));
            given.push(part.map(KeySource::Part));
        }
    }
    if let Some(field) = object.optional("sourceIp") {
        given.push(source_ip(field, errors));
    }
    object.finish(errors);
    match given.as_mut_slice() {
        [source] => source.take(),
        _ => field.wrong("must have one of header, cookie, queryParam, sourceIp", errors),
    }
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
