//! Stickiness: the key by which a client is recognised, the identity that is issued to a client
//! without one, and the cookie that keeps an assignment.

use std::sync::Arc;

use super::cookie::{self, CookieSpec};
use super::error::Errors;
use super::field::{Field, Object};
use super::form::Form;
use super::key::{self, KeySource};
use super::operator;
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

impl StickySpec {
    /// Whether a value is an identity as it stands: it is not too long, not empty, and not one to ignore.
    ///
    /// ```
    /// use traffic_split::config::Config;
    ///
    /// let config = br#"{ "variantHeader": "x-variant", "variants": { "v1": {} }, "rules": [
    ///     { "name": "rollout", "split": { "v1": 1 },
    ///       "sticky": { "key": [ { "cookie": "uid" } ], "ignore": [ "none" ] } } ] }"#;
    /// let rules = Config::parse(config).unwrap().rules;
    /// let sticky = rules[0].sticky.as_ref().unwrap();
    /// assert!(sticky.is_identity(b"7") && !sticky.is_identity(b"") && !sticky.is_identity(b"none"));
    /// ```
    pub fn is_identity(&self, value: &[u8]) -> bool {
        value.len() <= limits::KEY_BYTES
            && is_identity(value, self.ignore.iter().map(String::as_bytes))
    }
}

/// Whether a value of no excessive length is an identity. Hashing an empty one would put every anonymous
/// client into one variant; some servers write an empty cookie as two quotes.
pub(crate) fn is_identity<'i>(value: &[u8], mut ignored: impl Iterator<Item = &'i [u8]>) -> bool {
    !matches!(value, [] | [b'"', b'"']) && !ignored.any(|known| known == value)
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
    let key = object.given("key", key::keys, errors);
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

fn salt(field: &Field<'_>, errors: &mut Errors) -> Option<String> {
    match field.text(limits::TEXT_BYTES, errors)? {
        "" => field.wrong("must not be empty; leave it out for the rule's name", errors),
        salt => Some(salt.to_owned()),
    }
}
