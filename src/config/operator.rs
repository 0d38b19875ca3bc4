//! The operators of conditions, by Istio's names where it has them.

use std::net::IpAddr;
use std::ops::Range;

use super::error::Errors;
use super::field::{Field, Object};
use super::form::Form;
use super::part::Part;
use crate::limits;

/// A comparison with a text, whose blanks at both ends do not count.
///
/// ```
/// use traffic_split::config::{Config, ConditionTest, Operator};
///
/// let config = br#"{ "variantHeader": "x-variant", "variants": { "v2": {} }, "rules": [
///     { "name": "shards", "to": "v2",
///       "match": [ { "cookies": { "shard": { "range": { "start": 1, "end": 10 } } } } ] } ] }"#;
/// let rules = Config::parse(config).unwrap().rules;
/// let condition = &rules[0].entries.as_ref().unwrap()[0][0];
/// let ConditionTest::Text { operator, .. } = &condition.test else { panic!() };
/// assert_eq!(*operator, Operator::Range(Box::new(1..10)));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Operator {
    /// The text equals this one.
    Exact(String),
    /// The text begins with this one, which is not empty.
    Prefix(String),
    /// The segments of the path begin with those of this one: it begins with `/`, and a `/` at its end
    /// says nothing. As `PathPrefix` of Kubernetes' Gateway API.
    PathPrefix(String),
    /// The text ends with this one, which is not empty.
    Suffix(String),
    /// The text contains this one, which is not empty.
    Contains(String),
    /// The text is a list with commas between its elements, and this one is an element of it: it is not
    /// empty, and has no comma.
    Member(String),
    /// The whole text matches this regular expression of at most [`limits::REGEX_BYTES`].
    Regex(String),
    /// The text equals one of these: 1 to [`limits::LIST`].
    In(Vec<String>),
    /// The text is an integer from `start` to less than `end`, which have 64 bits, with a sign or
    /// without.
    Range(Box<Range<i128>>),
    /// The part of the request is present, or with `false` absent.
    Present(bool),
}

/// A network: an address, and the length of its prefix in bits.
///
/// ```
/// use traffic_split::config::{Cidr, Config, ConditionTest};
///
/// let config = br#"{ "variantHeader": "x-variant", "variants": { "v2": {} }, "rules": [
///     { "name": "office", "match": [ { "sourceIp": ["10.1.0.0/16"] } ], "to": "v2" } ] }"#;
/// let rules = Config::parse(config).unwrap().rules;
/// let condition = &rules[0].entries.as_ref().unwrap()[0][0];
/// let office = Cidr { address: "10.1.0.0".parse().unwrap(), prefix: 16 };
/// assert_eq!(condition.test, ConditionTest::SourceIp(vec![office]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    /// An address of the network.
    pub address: IpAddr,
    /// The bits that its addresses share: 0 to 32 for IPv4, 0 to 128 for IPv6; all of them where the
    /// configuration has an address alone.
    pub prefix: u32,
}

type ReadOperator = fn(&Field<'_>, &mut Errors) -> Option<Operator>;

const OPERATORS: [(&str, ReadOperator); 10] = [
    ("exact", |field, errors| Some(Operator::Exact(operand(field, errors)?))),
    ("prefix", |field, errors| Some(Operator::Prefix(part(field, starts_blank, errors)?))),
    (PATH_PREFIX, path_prefix),
    ("suffix", |field, errors| Some(Operator::Suffix(part(field, ends_blank, errors)?))),
    ("contains", |field, errors| Some(Operator::Contains(part(field, |_| false, errors)?))),
    ("member", |field, errors| match operand(field, errors)? {
        text if text.is_empty() || text.contains(',') => {
            field.wrong("must be one element, without a comma: an entry each for several", errors)
        }
        text => Some(Operator::Member(text)),
    }),
    ("regex", |field, errors| {
        Some(Operator::Regex(field.text(limits::REGEX_BYTES, errors)?.to_owned()))
    }),
    ("in", |field, errors| {
        let fields = elements(field, "beta", errors)?;
        Some(Operator::In(fields.iter().filter_map(|field| operand(field, errors)).collect()))
    }),
    ("range", range),
    ("present", |field, errors| Some(Operator::Present(field.bool(errors)?))),
];

/// The operator of paths alone.
const PATH_PREFIX: &str = "pathPrefix";

/// Reads the one operator of a condition on a part of the request.
pub(super) fn read(
    part: Option<&Part>,
    object: &mut Object<'_>,
    errors: &mut Errors,
) -> Option<Operator> {
    let fits = |name: &str| name != PATH_PREFIX || part == Some(&Part::Path);
    let operators = OPERATORS.iter().filter(|(name, _)| fits(name));
    let mut given = 0_usize;
    let mut found = None;
    for (name, read) in operators.clone() {
        if let Some(field) = object.optional(name) {
            given = given.saturating_add(1);
            found = read(field, errors);
        }
    }
    let names = operators.map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    match given {
        1 => found,
        0 => {
            object.miss("", &format!("give one of {names}"));
            None
        }
        _ => {
            errors.forbidden(&object.path, format!("more than one of {names}; keep one"));
            None
        }
    }
}

/// Reads a text that whole values are compared with.
pub(super) fn operand(field: &Field<'_>, errors: &mut Errors) -> Option<String> {
    plain(field, |text| starts_blank(text) || ends_blank(text), errors)
}

/// Reads a text that values begin with, end with or contain. An empty one would match every value.
fn part(field: &Field<'_>, is_blank: impl Fn(&str) -> bool, errors: &mut Errors) -> Option<String> {
    match plain(field, is_blank, errors)?.as_str() {
        "" => field.wrong("must not be empty; use `present: true` for any value", errors),
        text => Some(text.to_owned()),
    }
}

fn path_prefix(field: &Field<'_>, errors: &mut Errors) -> Option<Operator> {
    let text = operand(field, errors)?;
    let bytes = text.as_bytes();
    let doubled = bytes.windows(2).any(|pair| pair == b"//");
    if bytes.first() != Some(&b'/') || doubled || bytes.iter().any(|b| matches!(b, b'?' | b'#')) {
        return field.wrong("must be a path, as in /reviews or /api/v1", errors);
    }
    Some(Operator::PathPrefix(text))
}

/// Reads a text that some value can match. Values are trimmed, so a text with a blank where it meets
/// the start or the end of a value matches none; `is_blank` looks for that.
fn plain(
    field: &Field<'_>,
    is_blank: impl Fn(&str) -> bool,
    errors: &mut Errors,
) -> Option<String> {
    let remedy = match field.is_list() {
        true => "must be a string; `in` takes a list",
        false => "must be a string",
    };
    let text = field.text_as(limits::TEXT_BYTES, remedy, errors)?;
    if is_blank(text) {
        return field.wrong("must not begin or end with a blank: values are trimmed", errors);
    }
    if text.contains(['\0', '\r', '\n']) {
        return field.wrong("must not contain NUL, CR or LF: no value does", errors);
    }
    Some(text.to_owned())
}

fn starts_blank(text: &str) -> bool {
    text.starts_with([' ', '\t'])
}

fn ends_blank(text: &str) -> bool {
    text.ends_with([' ', '\t'])
}

fn range(field: &Field<'_>, errors: &mut Errors) -> Option<Operator> {
    let mut object = field.object_as(Form::fixed("{ start: 1, end: 10 }"), errors)?;
    let start = object
        .required("start", "give the first integer that matches")
        .and_then(|field| field.long(errors));
    let end = object
        .required("end", "give the first integer that no longer matches")
        .and_then(|field| field.long(errors));
    object.finish(errors);
    match (start?, end?) {
        (start, end) if start < end => Some(Operator::Range(Box::new(start..end))),
        _ => field.wrong("must have `start` less than `end`, which is excluded", errors),
    }
}

fn elements<'a>(
    field: &Field<'a>,
    example: &'static str,
    errors: &mut Errors,
) -> Option<Vec<Field<'a>>> {
    let form = Form { before: "[", example, after: "]" };
    let fields = field.list_as(limits::LIST, form, errors)?;
    if fields.is_empty() {
        return field.wrong("must not be empty", errors);
    }
    Some(fields)
}

/// Reads a list of networks.
pub(super) fn cidrs(field: &Field<'_>, errors: &mut Errors) -> Option<Vec<Cidr>> {
    let fields = elements(field, "10.0.0.0/8", errors)?;
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
