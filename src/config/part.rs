//! The parts of a request that hold text, and the names that a configuration has for them.

use std::fmt;

use super::error::Errors;
use super::field::Field;
use super::form::Form;
use super::header;
use crate::limits;

/// A part of a request that holds text.
///
/// ```
/// use traffic_split::config::Part;
///
/// assert_eq!(Part::QueryParam("beta".into()).to_string(), "query parameter beta");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The header of this name, in lower case.
    Header(String),
    /// The cookie of this name.
    Cookie(String),
    /// The cookie of this name, in which ASCII letters match in either case.
    CookieAnyCase(String),
    /// The query parameter of this name, as it stands in the URL: percent-encoded.
    QueryParam(String),
    /// The pseudo-header `:path` without its query.
    Path,
    /// The pseudo-header `:method`.
    Method,
    /// The pseudo-header `:authority`, with its port if the client sent one.
    Authority,
    /// A property that the proxy has of the request, by its path in Envoy with NUL between the segments:
    /// dynamic metadata or filter state.
    Property(String),
    /// The member of this key in the header `baggage`, percent-decoded.
    Baggage(String),
}

impl Part {
    /// The value of dynamic metadata under these names, the first of which is its namespace.
    ///
    /// ```
    /// use traffic_split::config::Part;
    ///
    /// let part = Part::metadata(&["envoy.filters.http.jwt_authn", "payload", "sub"]);
    /// assert_eq!(part.to_string(), "metadata envoy.filters.http.jwt_authn, payload, sub");
    /// ```
    pub fn metadata<S: AsRef<str>>(segments: &[S]) -> Part {
        let segments: Vec<_> = segments.iter().map(S::as_ref).collect();
        Part::Property(format!("{METADATA}{}", segments.join("\0")))
    }

    /// The filter state of this name.
    ///
    /// ```
    /// assert_eq!(traffic_split::config::Part::filter_state("a.b").to_string(), "filter state a.b");
    /// ```
    pub fn filter_state(name: &str) -> Part {
        Part::Property(format!("{FILTER_STATE}{name}"))
    }
}

/// Writes the part as people call it, as in `header x-user-group`.
impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Header(name) => write!(f, "header {name}"),
            Part::Cookie(name) => write!(f, "cookie {name}"),
            Part::CookieAnyCase(name) => write!(f, "cookie {name} in any case"),
            Part::QueryParam(name) => write!(f, "query parameter {name}"),
            Part::Path => f.write_str("path"),
            Part::Method => f.write_str("method"),
            Part::Authority => f.write_str("authority"),
            Part::Property(path) => match path.strip_prefix(METADATA) {
                Some(path) => write!(f, "metadata {}", path.replace('\0', ", ")),
                None => write!(f, "filter state {}", path.trim_start_matches(FILTER_STATE)),
            },
            Part::Baggage(key) => write!(f, "baggage {key}"),
        }
    }
}

/// A kind of part, such as headers, that a request has many of, each with a name.
pub(super) struct NamedPart {
    /// The field of a `match` entry, whose keys are the names.
    pub(super) in_match: &'static str,
    /// The field of a sticky key, whose value is the name.
    pub(super) in_key: &'static str,
    /// Checks a name that stands at a path of the configuration.
    pub(super) read: fn(&str, &str, &mut Errors) -> Option<Part>,
}

/// Every kind of named part: a new one is registered here.
pub(super) const NAMED: [NamedPart; 5] = [
    NamedPart {
        in_match: "headers",
        in_key: "header",
        read: |path, name, errors| header::readable(path, name, errors).map(Part::Header),
    },
    NamedPart {
        in_match: "cookies",
        in_key: "cookie",
        read: |path, name, errors| check_sent_cookie(path, name, errors).map(Part::Cookie),
    },
    NamedPart {
        in_match: "queryParams",
        in_key: "queryParam",
        read: |path, name, errors| check_param(path, name, errors).map(Part::QueryParam),
    },
    NamedPart {
        in_match: "filterState",
        in_key: "filterState",
        read: |path, name, errors| {
            let name = check_segment(path, name, errors)?;
            Some(Part::filter_state(&name))
        },
    },
    NamedPart { in_match: "baggage", in_key: "baggage", read: check_member },
];

/// The start of the path to dynamic metadata, up to its namespace.
const METADATA: &str = "metadata\0filter_metadata\0";

/// The start of the path to filter state, up to its name.
const FILTER_STATE: &str = "filter_state\0";

const PATH: Form = Form::fixed("[envoy.filters.http.jwt_authn, payload, sub]");

/// Reads the path to a value of dynamic metadata.
pub(super) fn metadata(field: &Field<'_>, errors: &mut Errors) -> Option<Part> {
    let fields = field.list_as(limits::SEGMENTS, PATH, errors)?;
    if fields.len() < 2 {
        return field.wrong("must be a namespace and the names inside it", errors);
    }
    let mut segment = |field: &Field<'_>| {
        check_segment(&field.path, field.text(limits::TEXT_BYTES, errors)?, errors)
    };
    let segments: Vec<_> = fields.iter().filter_map(&mut segment).collect();
    let is_whole = segments.len() == fields.len();
    is_whole.then(|| Part::metadata(&segments))
}

/// Checks a name that is a segment of a property's path.
fn check_segment(path: &str, name: &str, errors: &mut Errors) -> Option<String> {
    if name.is_empty() || name.contains(char::is_control) {
        let remedy = "must be a name without control characters";
        errors.invalid(path, format!("{name:?}"), remedy);
        return None;
    }
    Some(name.to_owned())
}

/// Checks the key of a member of `baggage`, which is a token (W3C Baggage section 3.2.1).
fn check_member(path: &str, name: &str, errors: &mut Errors) -> Option<Part> {
    if header::is_token(name) {
        return Some(Part::Baggage(name.to_owned()));
    }
    let remedy = "must be a key of baggage: letters, digits and !#$%&'*+-.^_`|~";
    errors.invalid(path, format!("{name:?}"), remedy);
    None
}

/// Every part that a request has once, by the field of a `match` entry: a new one is registered
/// here.
pub(super) const UNNAMED: [(&str, Part); 3] =
    [("path", Part::Path), ("method", Part::Method), ("authority", Part::Authority)];

/// Reads the name of a cookie that the filter sets, which is a token (RFC 6265bis section 4.1.1).
pub(super) fn cookie_name(field: &Field<'_>, errors: &mut Errors) -> Option<String> {
    let name = field.text(limits::TEXT_BYTES, errors)?;
    let wrong = name.chars().find(|c| !c.is_ascii() || !header::is_token_byte(*c as u8));
    check_cookie(&field.path, name, wrong, errors)
}

/// Checks the name of a cookie that is read: servers set, and browsers send, nearly any character
/// (RFC 6265bis section 5.6).
fn check_sent_cookie(path: &str, name: &str, errors: &mut Errors) -> Option<String> {
    if name.starts_with(' ') || name.ends_with(' ') {
        errors.invalid(
            path,
            format!("{name:?}"),
            "must have no blanks around it: they are trimmed",
        );
        return None;
    }
    let wrong = name.chars().find(|c| c.is_ascii_control() || matches!(c, ';' | '='));
    check_cookie(path, name, wrong, errors)
}

/// Checks the name of a cookie in which this character is wrong.
fn check_cookie(
    path: &str,
    name: &str,
    wrong: Option<char>,
    errors: &mut Errors,
) -> Option<String> {
    match wrong {
        None if !name.is_empty() => return Some(name.to_owned()),
        None => errors.invalid(path, "\"\"", "must be a cookie's name"),
        Some(wrong) => {
            let remedy = format!("must be a cookie's name, without {wrong:?}");
            errors.invalid(path, format!("{name:?}"), remedy);
        }
    }
    None
}

/// Reads the name of a query parameter.
pub(super) fn param_name(field: &Field<'_>, errors: &mut Errors) -> Option<String> {
    check_param(&field.path, field.text(limits::TEXT_BYTES, errors)?, errors)
}

fn check_param(path: &str, name: &str, errors: &mut Errors) -> Option<String> {
    let plain = |b: u8| b.is_ascii_graphic() && !b"&=#".contains(&b);
    if !name.is_empty() && name.bytes().all(plain) {
        return Some(name.to_owned());
    }
    let remedy = "must be a query parameter's name as it stands in the URL, percent-encoded";
    errors.invalid(path, format!("{name:?}"), remedy);
    None
}
