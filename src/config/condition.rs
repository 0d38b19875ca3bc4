//! A condition: a part of the request, and what is asked of it.

use super::error::Errors;
use super::field::Field;
use super::operator::{self, Cidr, Operator};
use super::part::{self, Part};
use crate::limits;

/// One condition as written.
#[derive(Clone, Debug)]
pub struct Condition {
    /// Where it stands, as in `rules[0].match[1].headers.x-user-group`.
    pub path: String,
    /// What is asked of the request.
    pub test: ConditionTest,
    /// Whether the answer is turned round.
    pub not: bool,
}

/// What a condition asks of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum ConditionTest {
    /// Something of a text.
    Text {
        /// The part of the request that holds the text.
        part: Part,
        /// What is asked of it.
        operator: Operator,
        /// Whether ASCII letters match in either case.
        ignore_case: bool,
    },
    /// The client's address, as Envoy sees it, lies in one of these networks.
    SourceIp(Vec<Cidr>),
}

/// Reads the conditions (AND) of one `match` entry.
pub(super) fn read(field: &Field<'_>, errors: &mut Errors) -> Vec<Condition> {
    let Some(mut object) = field.object(errors) else { return Vec::new() };
    let mut found = Vec::new();
    let mut given = 0_usize;
    for named in &part::NAMED {
        if let Some(names) = object.optional(named.in_match).and_then(|f| f.object(errors)) {
            for (name, field) in names.entries(limits::CONDITIONS, errors) {
                given = given.saturating_add(1);
                let part = (named.read)(&field.path, name, errors);
                found.extend(text(part, field, errors));
            }
        }
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
    let understood = object.finish(errors);
    if given == 0 && understood {
        field.wrong::<()>("must have a condition; leave `match` out for every request", errors);
    } else if given > limits::CONDITIONS {
        errors.too_many(&field.path, given, limits::CONDITIONS);
    }
    found
}

/// Reads a condition on a text; `part` is `None` where the name of the part is wrong.
fn text(part: Option<Part>, field: &Field<'_>, errors: &mut Errors) -> Option<Condition> {
    let mut object = field.object(errors)?;
    let not = object.flag("not", false, errors);
    let operator = operator::read(&mut object, errors);
    let has_case = !matches!(operator, Some(Operator::Range(_) | Operator::Present(_)));
    let ignore_case = has_case && object.flag("ignoreCase", false, errors);
    object.finish(errors);
    let test = ConditionTest::Text { part: part?, operator: operator?, ignore_case };
    Some(Condition { path: field.path.clone(), test, not })
}

/// Reads `sourceIp`, which is a list of networks or an object that has one.
fn source_ip(field: &Field<'_>, errors: &mut Errors) -> Option<Condition> {
    let (not, networks) = if field.is_list() {
        (false, operator::cidrs(field, errors))
    } else {
        let mut object = field.object(errors)?;
        let not = object.flag("not", false, errors);
        let networks = object
            .required("in", "give a list of networks, as in [10.0.0.0/8]", errors)
            .and_then(|field| operator::cidrs(field, errors));
        object.finish(errors);
        (not, networks)
    };
    Some(Condition { path: field.path.clone(), test: ConditionTest::SourceIp(networks?), not })
}
