//! A cookie that the filter sets, with its attributes (RFC 6265bis section 4.1).

use super::duration;
use super::error::Errors;
use super::field::{Field, Object};
use super::form::Form;
use super::part;
use crate::limits;

/// A cookie as written, with the defaults filled in.
///
/// ```
/// use traffic_split::config::{Config, SameSite};
///
/// let config = br#"{ "variantHeader": "x-variant", "variants": { "v1": {}, "v2": {} }, "rules": [
///     { "name": "rollout", "split": { "v1": 90, "v2": 10 },
///       "sticky": { "issue": { "cookie": "split-id", "maxAge": "30d", "secure": true,
///                              "signing": { "env": "COOKIE_KEYS" } } } } ] }"#;
/// let rules = Config::parse(config).unwrap().rules;
/// let cookie = rules[0].sticky.as_ref().unwrap().issue.as_ref().unwrap();
/// assert_eq!((cookie.name.as_str(), cookie.max_age), ("split-id", Some(30 * 86_400)));
/// assert_eq!((cookie.path.as_str(), cookie.same_site), ("/", SameSite::Lax));
/// assert_eq!(cookie.signing.as_ref().unwrap().env, "COOKIE_KEYS");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieSpec {
    /// Its name, a token.
    pub name: String,
    /// The seconds after which it expires: 1 to [`limits::MAX_AGE`]. Without it, browsers keep the
    /// cookie for a session.
    pub max_age: Option<u64>,
    /// Whether its life begins anew while its user is active, at most once in a tenth of it. Off by
    /// default.
    pub renew: bool,
    /// Its attribute `Path`, `/` by default.
    pub path: String,
    /// Its attribute `Domain`, in lower case. Without it, browsers send the cookie only to the host
    /// that set it.
    pub domain: Option<String>,
    /// Its attribute `SameSite`, `Lax` by default.
    pub same_site: SameSite,
    /// Its attribute `Secure`: browsers send it over HTTPS only. Off by default.
    pub secure: bool,
    /// Its attribute `HttpOnly`: no script can read it. On by default.
    pub http_only: bool,
    /// Its attribute `Partitioned`: browsers keep one for each top-level site. Off by default.
    pub partitioned: bool,
    /// The place of the keys that sign it; `None` leaves it unsigned.
    pub signing: Option<Signing>,
}

impl CookieSpec {
    /// Whether both have the same attributes and signing keys; their paths may differ.
    pub(crate) fn is_like(&self, other: &CookieSpec) -> bool {
        self.parts() == other.parts()
    }

    /// All of it but the path of its keys, without a copy of any.
    fn parts(&self) -> impl PartialEq {
        let CookieSpec { name, max_age, path, domain, same_site, signing, .. } = self;
        let CookieSpec { renew, secure, http_only, partitioned, .. } = self;
        let env = signing.as_ref().map(|signing| signing.env.as_str());
        (name, max_age, path, domain, same_site, [renew, secure, http_only, partitioned], env)
    }
}

/// The place of keys: those that sign a cookie, or the one of units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signing {
    /// The path of `env` in the configuration.
    pub path: String,
    /// The environment variable of the VM that holds the keys, with commas between them. Each has at
    /// least [`limits::SIGNING_KEY_BYTES`] bytes; the first one signs, and all of them verify. Units
    /// have one key.
    pub env: String,
}

/// The values of the attribute `SameSite` (RFC 6265bis section 5.6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum SameSite {
    Strict,
    Lax,
    None,
}

/// Reads the fields of a cookie, which may stand among others of `object`.
pub(super) fn read(object: &mut Object<'_>, errors: &mut Errors) -> Option<CookieSpec> {
    let at = object.path.clone();
    let name = object
        .required("cookie", "name the cookie")
        .and_then(|field| part::cookie_name(field, errors));
    let max_age = object
        .required("maxAge", "give how long it lasts, as in 30d or session")
        .and_then(|field| max_age(field, errors));
    let renew = object.flag("renew", false, errors);
    let attribute_path = object.given("path", attribute_path, errors);
    let domain = object.given("domain", domain, errors);
    let same_site = object.given("sameSite", same_site, errors);
    let secure = object.flag("secure", false, errors);
    let http_only = object.flag("httpOnly", true, errors);
    let partitioned = object.flag("partitioned", false, errors);
    let signing = object.optional("signing").and_then(|field| signing(field, errors));
    let cookie = CookieSpec {
        name: name?,
        max_age: max_age?,
        renew,
        path: attribute_path.value_or("/".to_owned())?,
        domain: domain.value(),
        same_site: same_site.value().unwrap_or(SameSite::Lax),
        secure,
        http_only,
        partitioned,
        signing,
    };
    check(&at, &cookie, errors);
    Some(cookie)
}

/// The word for the time until the browser ends its session.
const SESSION: &str = "session";

/// Reads the life of a cookie, in seconds; `None` within is the browser's session.
fn max_age(field: &Field<'_>, errors: &mut Errors) -> Option<Option<u64>> {
    match field.word() {
        Some(SESSION) => Some(None),
        _ => duration::read_or(field, limits::MAX_AGE, SESSION, errors).map(Some),
    }
}

fn attribute(
    field: &Field<'_>,
    form: impl Fn(&str) -> bool,
    example: &str,
    errors: &mut Errors,
) -> Option<String> {
    let text = field.text(limits::TEXT_BYTES, errors)?;
    let plain = text.bytes().all(|b| b.is_ascii_graphic() && b != b';');
    if text.is_empty() || !plain || !form(text) {
        return field.wrong(&format!("must be a cookie's attribute, {example}"), errors);
    }
    Some(text.to_owned())
}

fn attribute_path(field: &Field<'_>, errors: &mut Errors) -> Option<String> {
    attribute(field, |path| path.starts_with('/'), "as in /", errors)
}

fn domain(field: &Field<'_>, errors: &mut Errors) -> Option<String> {
    let host = |text: &str| !text.starts_with('.') && text.bytes().all(is_host);
    attribute(field, host, "as in example.com", errors).map(|text| text.to_ascii_lowercase())
}

fn is_host(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.')
}

fn same_site(field: &Field<'_>, errors: &mut Errors) -> Option<SameSite> {
    let remedy = "must be Strict, Lax or None";
    match field.text_as(limits::TEXT_BYTES, remedy, errors)? {
        "Strict" => Some(SameSite::Strict),
        "Lax" => Some(SameSite::Lax),
        "None" => Some(SameSite::None),
        _ => field.wrong(remedy, errors),
    }
}

const SIGNING: Form = Form { before: "{ env: ", example: "SPLIT_COOKIE_KEYS", after: " }" };

fn signing(field: &Field<'_>, errors: &mut Errors) -> Option<Signing> {
    keys(field, SIGNING, errors)
}

/// Reads the place of keys.
pub(super) fn keys(field: &Field<'_>, form: Form, errors: &mut Errors) -> Option<Signing> {
    let mut object = field.object_as(form, errors)?;
    let remedy = "name the environment variable of the VM that holds the keys";
    let signing = object.required("env", remedy).and_then(|field| {
        let env = field.text(limits::TEXT_BYTES, errors)?;
        if !is_variable(env) {
            let remedy =
                "must be an environment variable's name: letters, digits and '_', no digit first";
            return field.wrong(remedy, errors);
        }
        Some(Signing { path: field.path.clone(), env: env.to_owned() })
    });
    object.finish(errors);
    signing
}

/// Whether a text can be the name of a variable (POSIX.1 section 3.216). Logs and terminals show it.
fn is_variable(text: &str) -> bool {
    let is_digit = |b: u8| b.is_ascii_digit();
    !text.is_empty()
        && !text.bytes().next().is_some_and(is_digit)
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Refuses a cookie that browsers would drop without a word (RFC 6265bis sections 4.1.3 and 5.7), and
/// a renewal without a life. Browsers compare the prefixes without regard to case.
fn check(path: &str, cookie: &CookieSpec, errors: &mut Errors) {
    let name = cookie.name.to_ascii_lowercase();
    let host = name.starts_with("__host-");
    let needs_secure = [
        (cookie.same_site == SameSite::None, "sameSite: None"),
        (cookie.partitioned, "partitioned"),
        (host, "a name with __Host-"),
        (name.starts_with("__secure-"), "a name with __Secure-"),
    ];
    let at = format!("{path}.secure");
    let why = needs_secure.iter().find(|(needs, _)| *needs).filter(|_| !cookie.secure);
    if let Some((_, what)) = why.filter(|_| !errors.has(&at)) {
        errors.required(&at, format!("{what} needs secure: true"));
    }
    if cookie.renew && cookie.max_age.is_none() {
        let why = "the browser ends a session's cookie; give maxAge a duration, as in 30d";
        errors.forbidden(&format!("{path}.renew"), why);
    }
    if host && cookie.domain.is_some() {
        errors.forbidden(&format!("{path}.domain"), "a name with __Host- has no domain");
    }
    if host && cookie.path != "/" {
        errors.invalid(&format!("{path}.path"), &cookie.path, "a name with __Host- needs path: /");
    }
}
