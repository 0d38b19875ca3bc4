//! What a condition asks of a value, with Istio's words where it has them.

use std::net::IpAddr;
use std::ops::Range;

use super::error::Errors;
use super::field::{Field, Object};
use crate::limits;

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
    Range(Range<i64>),
    /// There at all, or (`false`) not there.
    Present(bool),
}

/// A network: an address and the length of its prefix in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    /// Any address in it.
    pub address: IpAddr,
    /// 0 to 32 for IPv4, 0 to 128 for IPv6.
    pub prefix: u32,
}

type ReadOperator = fn(&Field<'_>, &mut Errors) -> Option<Operator>;

const OPERATORS: [(&str, ReadOperator); 8] = [
    ("exact", |field, errors| Some(Operator::Exact(operand(field, errors)?))),
    ("prefix", |field, errors| Some(Operator::Prefix(part(field, true, false, errors)?))),
    ("suffix", |field, errors| Some(Operator::Suffix(part(field, false, true, errors)?))),
    ("contains", |field, errors| Some(Operator::Contains(part(field, false, false, errors)?))),
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

/// Reads the one operator of a condition.
pub(super) fn read(object: &mut Object<'_>, errors: &mut Errors) -> Option<Operator> {
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

/// A text to compare with as a whole.
fn operand(field: &Field<'_>, errors: &mut Errors) -> Option<String> {
    outer(field, true, true, errors)
}

/// A text that stands at the start of a value, at its end, or anywhere; it would match everything
/// if it were empty.
fn part(field: &Field<'_>, start: bool, end: bool, errors: &mut Errors) -> Option<String> {
    match outer(field, start, end, errors)?.as_str() {
        "" => field.wrong("must not be empty; use `present: true` for any value", errors),
        text => Some(text.to_owned()),
    }
}

/// Values are compared without the blanks around them: where a text meets their start or end, it
/// has none there either.
fn outer(field: &Field<'_>, start: bool, end: bool, errors: &mut Errors) -> Option<String> {
    let text = field.text(limits::TEXT_BYTES, errors)?;
    if start && text.starts_with([' ', '\t']) || end && text.ends_with([' ', '\t']) {
        return field.wrong("must not begin or end with a blank: values are trimmed", errors);
    }
    if text.contains(['\0', '\r', '\n']) {
        return field.wrong("must not contain NUL, CR or LF: no value does", errors);
    }
    Some(text.to_owned())
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
        (start, end) if start < end => Some(Operator::Range(start..end)),
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

pub(super) fn cidrs(field: &Field<'_>, errors: &mut Errors) -> Option<Vec<Cidr>> {
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
