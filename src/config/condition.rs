//! A condition: a part of the request, and a test of it.

use super::error::Errors;
use super::field::{Field, Object};
use super::form::Form;
use super::operator::{self, Cidr, Operator};
use super::part::{self, Part};
use crate::limits;

/// A condition as written.
///
/// ```
/// use traffic_split::config::{Config, ConditionTest, Operator, Part};
///
/// let config = br#"{ "variantHeader": "x-variant", "variants": { "v2": {} }, "rules": [
///     { "name": "api", "to": "v2",
///       "match": [ { "path": { "prefix": "/api/", "ignoreCase": true, "not": true } } ] } ] }"#;
/// let rules = Config::parse(config).unwrap().rules;
/// let condition = &rules[0].entries.as_ref().unwrap()[0][0];
/// assert_eq!(condition.path, "rules[0].match[0].path");
/// assert!(condition.not);
/// let operator = Operator::Prefix("/api/".into());
/// assert_eq!(
///     condition.test,
///     ConditionTest::Text { part: Part::Path, operator, ignore_case: true },
/// );
/// ```
#[derive(Clone, Debug)]
pub struct Condition {
    /// Its path in the configuration, as in `rules[0].match[1].headers.x-user-group`.
    pub path: String,
    /// The test of the request.
    pub test: ConditionTest,
    /// Whether the condition holds where the test fails. A test of an absent part fails.
    pub not: bool,
}

/// The test that a condition makes of a request; [`Condition`] has an example.
#[derive(Clone, Debug, PartialEq)]
pub enum ConditionTest {
    /// A test of a text.
    Text {
        /// The part of the request that holds the text.
        part: Part,
        /// The comparison with the text.
        operator: Operator,
        /// Whether ASCII letters match in either case.
        ignore_case: bool,
    },
    /// The client's address, as Envoy sees it, is in one of these networks: 1 to [`limits::LIST`].
    SourceIp(Vec<Cidr>),
}

const ENTRY: Form = Form::fixed("{ path: { prefix: /shop } }");
const NAMES: Form = Form { before: "{ ", example: "preview", after: ": { present: true } }" };

/// Reads the conditions (AND) of one `match` entry.
pub(super) fn read(field: &Field<'_>, errors: &mut Errors) -> Vec<Condition> {
    let Some(mut object) = field.object_as(ENTRY, errors) else { return Vec::new() };
    let mut found = Vec::new();
    let mut given = 0_usize;
    for named in &part::NAMED {
        let Some(field) = object.optional(named.in_match) else { continue };
        let Some(names) = field.object_as(NAMES, errors) else {
            // A condition was meant: that none is given would be no second mistake.
            given = given.saturating_add(1);
            continue;
        };
        for (name, field) in names.entries(limits::CONDITIONS, errors) {
            given = given.saturating_add(1);
            let part = (named.read)(&field.path, name, errors);
            found.extend(text(part, field, errors));
        }
    }
    if let Some(field) = object.optional("metadata") {
        let fields = field.list_as(limits::CONDITIONS, METADATA, errors).unwrap_or_default();
        given = given.saturating_add(fields.len().max(1));
        found.extend(fields.iter().filter_map(|field| metadata(field, errors)));
    }
    for (name, part) in part::UNNAMED {
        if let Some(field) = object.optional(name) {
            given = given.saturating_add(1);
            found.extend(text(Some(part), field, errors));
        }
    }
    if let Some(field) = object.optional("sourceIp") {
        given = given.saturating_add(1);
        found.extend(source_ip(field, errors));
    }
    if given == 0 {
        object.miss("", "give a condition; leave `match` out for every request");
    }
    object.finish(errors);
    if given > limits::CONDITIONS {
        errors.too_many(&field.path, given, limits::CONDITIONS);
    }
    found
}

/// Reads a condition on a text; `part` is `None` where the name of the part is wrong.
fn text(part: Option<Part>, field: &Field<'_>, errors: &mut Errors) -> Option<Condition> {
    let form = match part {
        Some(Part::Path) => Form { before: "{ prefix: ", example: "/shop", after: " }" },
        _ if field.is_bool() => Form::fixed("{ present: true }"),
        Some(Part::Method) if field.is_list() => Form::fixed("{ in: [GET, HEAD] }"),
        _ if field.is_list() => Form::fixed("{ in: [beta, staff] }"),
        Some(Part::Method) => Form { before: "{ exact: ", example: "GET", after: " }" },
        _ => Form { before: "{ exact: ", example: "beta", after: " }" },
    };
    text_of(part, field.object_as(form, errors)?, errors)
}

const METADATA: Form =
    Form::fixed("[ { path: [envoy.filters.http.jwt_authn, payload, sub], exact: ann } ]");

/// Reads a condition on a value of metadata: its path stands beside its operator.
fn metadata(field: &Field<'_>, errors: &mut Errors) -> Option<Condition> {
    let form = Form::fixed("{ path: [envoy.filters.http.jwt_authn, payload, sub], exact: ann }");
    let mut object = field.object_as(form, errors)?;
    let remedy = "give the namespace and the names inside it";
    let part = object.required("path", remedy).and_then(|field| part::metadata(field, errors));
    text_of(part, object, errors)
}

/// Reads the operator of a condition, and what belongs to it.
fn text_of(part: Option<Part>, mut object: Object<'_>, errors: &mut Errors) -> Option<Condition> {
    let path = object.path.clone();
    let not = object.flag("not", false, errors);
    let operator = operator::read(part.as_ref(), &mut object, errors);
    let has_case = !matches!(operator, Some(Operator::Range(_) | Operator::Present(_)));
    let ignore_case = has_case && object.flag("ignoreCase", false, errors);
    let part = match part {
        Some(Part::Cookie(name)) if object.flag("ignoreNameCase", false, errors) => {
            Some(Part::CookieAnyCase(name))
        }
        part => part,
    };
    object.finish(errors);
    // RFC 9110 section 4.2.3.
    let ignore_case = ignore_case || has_case && part == Some(Part::Authority);
    if part == Some(Part::Method) && !ignore_case {
        check_methods(&path, operator.as_ref(), errors);
    }
    let test = ConditionTest::Text { part: part?, operator: operator?, ignore_case };
    Some(Condition { path, test, not })
}

/// Methods of RFC 9110 section 9 and RFC 5789.
const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// Refuses a known method in another case: methods have one (RFC 9110 section 9.1), so that no usual
/// request would match.
fn check_methods(path: &str, operator: Option<&Operator>, errors: &mut Errors) {
    let mut check = |path: &str, text: &str| {
        let known = METHODS.iter().find(|method| method.eq_ignore_ascii_case(text));
        if let Some(method) = known.filter(|method| **method != text) {
            let remedy = format!("must be {method}: a method in another case is another method");
            errors.invalid(path, format!("{text:?}"), remedy);
        }
    };
    match operator {
        Some(Operator::Exact(text)) => check(&format!("{path}.exact"), text),
        Some(Operator::In(texts)) => {
            for (index, text) in texts.iter().enumerate() {
                check(&format!("{path}.in[{index}]"), text);
            }
        }
        _ => {}
    }
}

/// Reads `sourceIp`, which is a list of networks or an object that has one.
fn source_ip(field: &Field<'_>, errors: &mut Errors) -> Option<Condition> {
    let (not, networks) = if !field.is_object() {
        (false, operator::cidrs(field, errors))
    } else {
        let mut object = field.object(errors)?;
        let not = object.flag("not", false, errors);
        let networks = object
            .required("in", "give a list of networks, as in [10.0.0.0/8]")
            .and_then(|field| operator::cidrs(field, errors));
        object.finish(errors);
        (not, networks)
    };
    Some(Condition { path: field.path.clone(), test: ConditionTest::SourceIp(networks?), not })
}
