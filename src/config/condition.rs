//! A condition: a part of the request, and what is asked of it.

use std::net::IpAddr;

use super::error::Errors;
use super::field::{Field, Object};
use super::header;
use crate::limits;

/// One condition as written.
#[derive(Clone, Debug)]
pub struct Condition {
    /// Where it stands, as in `rules[0].match[1].headers.x-user-group`.
    pub path: String,
    /// What is looked at.
    pub subject: Subject,
    /// What is asked of it.
    pub operator: Operator,
    /// Whether the answer is turned round.
    pub not: bool,
    /// Whether ASCII letters match in either case.
    pub ignore_case: bool,
}

/// A part of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A header, in lower case.
    Header(String),
    /// A cookie.
    Cookie(String),
    /// A query parameter.
    QueryParam(String),
    /// `:path` without its query.
    Path,
    /// `:method`
    Method,
    /// `:authority`, with the port where the client sent one.
    Authority,
    /// The client's address as Envoy sees it.
    SourceIp,
}

/// What is asked of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Operator {
    /// Equal to this.
    Exact(String),
    /// Begins with this.
    Prefix(String),
    /// Ends with this.
    Suffix(String),
    /// Has this in it.
    Contains(String),
    /// All of it matches this expression.
    Regex(String),
    /// Equal to one of these.
    In(Vec<String>),
    /// An integer in the half-open interval `[start, end)`.
    Range(i64, i64),
    /// There at all, or (`false`) not there.
    Present(bool),
    /// An address in one of these networks.
    Cidrs(Vec<Cidr>),
}

/// A network: an address and the length of its prefix in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    /// Any address in it.
    pub address: IpAddr,
    /// 0 to 32 for IPv4, 0 to 128 for IPv6.
    pub prefix: u32,
}

/// Reads the conditions (AND) of one `match` entry.
pub(super) fn read(field: &Field<'_>, errors: &mut Errors) -> Vec<Condition> {
    let Some(mut object) = field.object(errors) else { return Vec::new() };
    let mut found = Vec::new();
    let mut given = 0_usize;
    for (name, subject) in NAMED {
        if let Some(named) = object.optional(name).and_then(|field| field.object(errors)) {
            for (key, field) in named.entries(limits::CONDITIONS, errors) {
                given = given.saturating_add(1);
                let subject = subject(&field.path, key, errors);
                found.extend(condition(subject, field, errors));
            }
        }
    }
    for (name, subject) in [
        ("path", Subject::Path),
        ("method", Subject::Method),
        ("authority", Subject::Authority),
        ("sourceIp", Subject::SourceIp),
    ] {
        if let Some(field) = object.optional(name) {
            given = given.saturating_add(1);
            found.extend(condition(Some(subject), field, errors));
        }
    }
    object.finish(errors);
    if given == 0 {
        field.wrong::<()>("must have a condition; leave `match` out for every request", errors);
    } else if given > limits::CONDITIONS {
        errors.too_many(&field.path, given, limits::CONDITIONS);
    }
    found
}

type ReadSubject = fn(&str, &str, &mut Errors) -> Option<Subject>;

/// The subjects that have a name.
const NAMED: [(&str, ReadSubject); 3] = [
    ("headers", |path, name, errors| header::readable(path, name, errors).map(Subject::Header)),
    ("cookies", |path, name, errors| check_cookie(path, name, errors).map(Subject::Cookie)),
    ("queryParams", |path, name, errors| check_param(path, name, errors).map(Subject::QueryParam)),
];

fn condition(
    subject: Option<Subject>,
    field: &Field<'_>,
    errors: &mut Errors,
) -> Option<Condition> {
    if subject == Some(Subject::SourceIp) && field.is_list() {
        let operator = Operator::Cidrs(cidrs(field, errors)?);
        let path = field.path.clone();
        return Some(Condition {
            path,
            subject: subject?,
            operator,
            not: false,
            ignore_case: false,
        });
    }
    let mut object = field.object(errors)?;
    let not = flag(&mut object, "not", errors);
    let operator = match subject {
        Some(Subject::SourceIp) => object
            .required("in", "give a list of networks, as in [10.0.0.0/8]", errors)
            .and_then(|field| cidrs(field, errors))
            .map(Operator::Cidrs),
        _ => operator(&mut object, errors),
    };
    let textual = !matches!(operator, Some(Operator::Range(..) | Operator::Present(_)))
        && subject != Some(Subject::SourceIp);
    let ignore_case = textual && flag(&mut object, "ignoreCase", errors);
    object.finish(errors);
    let path = field.path.clone();
    Some(Condition { path, subject: subject?, operator: operator?, not, ignore_case })
}

fn flag(object: &mut Object<'_>, name: &'static str, errors: &mut Errors) -> bool {
    object.optional(name).and_then(|field| field.bool(errors)).unwrap_or(false)
}

type ReadOperator = fn(&Field<'_>, &mut Errors) -> Option<Operator>;

const OPERATORS: [(&str, ReadOperator); 8] = [
    ("exact", |field, errors| Some(Operator::Exact(operand(field, errors)?))),
    ("prefix", |field, errors| Some(Operator::Prefix(part(field, errors)?))),
    ("suffix", |field, errors| Some(Operator::Suffix(part(field, errors)?))),
    ("contains", |field, errors| Some(Operator::Contains(part(field, errors)?))),
    ("regex", |field, errors| {
        Some(Operator::Regex(field.text(limits::REGEX_BYTES, errors)?.to_owned()))
    }),
    ("in", |field, errors| {
        let fields = elements(field, errors)?;
        Some(Operator::In(fields.iter().filter_map(|field| operand(field, errors)).collect()))
    }),
    ("range", range),
    ("present", |field, errors| Some(Operator::Present(field.bool(errors)?))),
];

/// The one operator of a condition.
fn operator(object: &mut Object<'_>, errors: &mut Errors) -> Option<Operator> {
    let mut given = 0_usize;
    let mut found = None;
    for (name, read) in OPERATORS {
        if let Some(field) = object.optional(name) {
            given = given.saturating_add(1);
            found = read(field, errors);
        }
    }
    let names = OPERATORS.map(|(name, _)| name).join(", ");
    match given {
        1 => found,
        0 => {
            errors.required(&object.path, format!("give one of {names}"));
            None
        }
        _ => {
            errors.forbidden(&object.path, format!("more than one of {names}; keep one"));
            None
        }
    }
}

/// A text to compare with: values are compared without the blanks around them, so it has none.
fn operand(field: &Field<'_>, errors: &mut Errors) -> Option<String> {
    let text = field.text(limits::TEXT_BYTES, errors)?;
    if text.trim_matches([' ', '\t']) != text {
        return field.wrong("must not begin or end with a blank: values are trimmed", errors);
    }
    if text.contains(['\0', '\r', '\n']) {
        return field.wrong("must not contain NUL, CR or LF: no value does", errors);
    }
    Some(text.to_owned())
}

/// An operand that would match everything if it were empty.
fn part(field: &Field<'_>, errors: &mut Errors) -> Option<String> {
    match operand(field, errors)?.as_str() {
        "" => field.wrong("must not be empty; use `present: true` for any value", errors),
        text => Some(text.to_owned()),
    }
}

fn range(field: &Field<'_>, errors: &mut Errors) -> Option<Operator> {
    let mut object = field.object(errors)?;
    let start = object
        .required("start", "give the first integer that matches", errors)
        .and_then(|field| field.integer(errors));
    let end = object
        .required("end", "give the first integer that no longer matches", errors)
        .and_then(|field| field.integer(errors));
    object.finish(errors);
    match (start?, end?) {
        (start, end) if start < end => Some(Operator::Range(start, end)),
        _ => field.wrong("must have `start` less than `end`, which is excluded", errors),
    }
}

fn elements<'a>(field: &Field<'a>, errors: &mut Errors) -> Option<Vec<Field<'a>>> {
    let fields = field.list(limits::LIST, errors)?;
    if fields.is_empty() {
        return field.wrong("must not be empty", errors);
    }
    Some(fields)
}

fn cidrs(field: &Field<'_>, errors: &mut Errors) -> Option<Vec<Cidr>> {
    let fields = elements(field, errors)?;
    Some(fields.iter().filter_map(|field| cidr(field, errors)).collect())
}

fn cidr(field: &Field<'_>, errors: &mut Errors) -> Option<Cidr> {
    let text = field.text(limits::TEXT_BYTES, errors)?;
    let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
    let parsed = address.parse::<IpAddr>().ok().and_then(|address| {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Some(bits), |text| text.parse().ok())?;
        (prefix <= bits).then_some(Cidr { address, prefix })
    });
    parsed.or_else(|| field.wrong("must be an address or a network, as in 10.0.0.0/8", errors))
}

pub(super) fn cookie_name(field: &Field<'_>, errors: &mut Errors) -> Option<String> {
    check_cookie(&field.path, field.text(limits::TEXT_BYTES, errors)?, errors)
}

pub(super) fn param_name(field: &Field<'_>, errors: &mut Errors) -> Option<String> {
    check_param(&field.path, field.text(limits::TEXT_BYTES, errors)?, errors)
}

/// RFC 6265 section 4.1.1: a cookie's name is a token.
fn check_cookie(path: &str, name: &str, errors: &mut Errors) -> Option<String> {
    if header::is_token(name) {
        return Some(name.to_owned());
    }
    errors.invalid(
        path,
        format!("{name:?}"),
        "must be a cookie's name: no blanks, ';', '=' or '\"'",
    );
    None
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
