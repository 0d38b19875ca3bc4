//! A condition: a part of the request, and what is asked of it.

use super::error::Errors;
use super::field::Field;
use super::header;
use super::operator::{self, Operator};
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
    let understood = object.finish(errors);
    if given == 0 && understood {
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
        let operator = Operator::Cidrs(operator::cidrs(field, errors)?);
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
    let not = object.flag("not", false, errors);
    let operator = match subject {
        Some(Subject::SourceIp) => object
            .required("in", "give a list of networks, as in [10.0.0.0/8]", errors)
            .and_then(|field| operator::cidrs(field, errors))
            .map(Operator::Cidrs),
        _ => operator::read(&mut object, errors),
    };
    let textual = !matches!(operator, Some(Operator::Range(..) | Operator::Present(_)))
        && subject != Some(Subject::SourceIp);
    let ignore_case = textual && object.flag("ignoreCase", false, errors);
    object.finish(errors);
    let path = field.path.clone();
    Some(Condition { path, subject: subject?, operator: operator?, not, ignore_case })
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
