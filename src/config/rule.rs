//! A rule: what it matches, and where it sends what matched.

use super::condition::{self, Condition};
use super::error::Errors;
use super::field::{Field, Object};
use super::header;
use crate::limits;

/// One rule as written.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Where it stands, as in `rules[1]`.
    pub path: String,
    /// Its name, unique in the configuration.
    pub name: String,
    /// Entries (OR) of conditions (AND); `None` matches every request.
    pub entries: Option<Vec<Vec<Condition>>>,
    /// Where a request that matches goes; `None` when it could not be read.
    pub action: Option<Action>,
}

/// Where a request goes.
#[derive(Clone, Debug)]
pub enum Action {
    /// Always to this variant.
    To(String),
    /// To one of several.
    Split {
        /// Variants with their weights, in the order written.
        weights: Vec<(String, f64)>,
        /// What makes the choice stick; without it every request draws anew.
        sticky: Option<Sticky>,
    },
}

/// What keeps a client with its variant.
#[derive(Clone, Debug)]
pub struct Sticky {
    /// The first source present and not empty is hashed.
    pub key: Vec<KeySource>,
    /// Keeps experiments on one key apart, or together; the rule's name when absent.
    pub salt: Option<String>,
}

/// A place in the request where a client's identity may be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A header, in lower case.
    Header(String),
    /// A cookie.
    Cookie(String),
    /// A query parameter.
    QueryParam(String),
    /// The client's address as Envoy sees it.
    SourceIp,
}

pub(super) fn read(field: &Field<'_>, errors: &mut Errors) -> Option<Rule> {
    let mut object = field.object(errors)?;
    let remedy = "name the rule: logs, metrics and the default salt use it";
    let name = object.required("name", remedy, errors).and_then(|field| field.name(errors));
    let entries = object.optional("match").map(|field| entries(field, errors));
    let action = action(&mut object, errors);
    object.finish(errors);
    let name = name.unwrap_or_default();
    Some(Rule { path: field.path.clone(), name, entries, action })
}

fn entries(field: &Field<'_>, errors: &mut Errors) -> Vec<Vec<Condition>> {
    let fields = field.list(limits::MATCH_ENTRIES, errors).unwrap_or_default();
    if fields.is_empty() && field.is_list() {
        field.wrong::<()>("must have an entry; leave it out to match every request", errors);
    }
    fields.iter().map(|field| condition::read(field, errors)).collect()
}

fn action(object: &mut Object<'_>, errors: &mut Errors) -> Option<Action> {
    let to = object.optional("to").map(|field| field.name(errors));
    let split = object.optional("split").map(|field| weights(field, errors));
    let sticky = object.optional("sticky").map(|field| (field.path.clone(), sticky(field, errors)));
    match (to, split) {
        (Some(_), Some(_)) => {
            errors.forbidden(&format!("{}.split", object.path), "`to` is given as well; keep one");
            None
        }
        (None, None) => {
            errors.required(&object.path, "give `to: VARIANT` or `split: {VARIANT: WEIGHT, ...}`");
            None
        }
        (Some(to), None) => {
            if let Some((path, _)) = sticky {
                errors.forbidden(&path, "only a `split` can be sticky");
            }
            to.map(Action::To)
        }
        (None, Some(weights)) => {
            let sticky = sticky.and_then(|(_, sticky)| sticky);
            weights.map(|weights| Action::Split { weights, sticky })
        }
    }
}

fn weights(field: &Field<'_>, errors: &mut Errors) -> Option<Vec<(String, f64)>> {
    let object = field.object(errors)?;
    let entries = object.entries(limits::SPLIT_VARIANTS, errors);
    let weights: Vec<_> = entries
        .iter()
        .filter_map(|(name, field)| Some(((*name).to_owned(), weight(field, errors)?)))
        .collect();
    if weights.len() == entries.len() && weights.iter().all(|(_, weight)| *weight == 0.0) {
        return field.wrong("must have a weight above 0", errors);
    }
    Some(weights)
}

fn weight(field: &Field<'_>, errors: &mut Errors) -> Option<f64> {
    let weight = field.number(errors)?;
    if weight < 0.0 {
        field.wrong("must be at least 0", errors)
    } else if weight > 0.0 && weight < limits::WEIGHT_MIN {
        field.wrong(&format!("must be 0 or at least {}", limits::WEIGHT_MIN), errors)
    } else if weight > limits::WEIGHT_MAX {
        field.wrong(&format!("must be at most {}", limits::WEIGHT_MAX), errors)
    } else {
        Some(weight)
    }
}

fn sticky(field: &Field<'_>, errors: &mut Errors) -> Option<Sticky> {
    let mut object = field.object(errors)?;
    let remedy = "give where to look for the client's identity, as in [{cookie: uid}]";
    let key = object
        .required("key", remedy, errors)
        .and_then(|field| keys(field, errors))
        .unwrap_or_default();
    let salt = object.optional("salt").and_then(|field| salt(field, errors));
    object.finish(errors);
    Some(Sticky { key, salt })
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
    let header = object.optional("header").map(|field| {
        let name = field.text(limits::TEXT_BYTES, errors)?;
        header::readable(&field.path, name, errors).map(KeySource::Header)
    });
    let cookie = object
        .optional("cookie")
        .map(|field| condition::cookie_name(field, errors).map(KeySource::Cookie));
    let param = object
        .optional("queryParam")
        .map(|field| condition::param_name(field, errors).map(KeySource::QueryParam));
    let source_ip = object.optional("sourceIp").map(|field| match field.bool(errors)? {
        true => Some(KeySource::SourceIp),
        false => field.wrong("must be true; leave it out otherwise", errors),
    });
    object.finish(errors);
    let mut given = [header, cookie, param, source_ip].into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(source), None) => source,
        _ => field.wrong("must have one of header, cookie, queryParam, sourceIp", errors),
    }
}

fn salt(field: &Field<'_>, errors: &mut Errors) -> Option<String> {
    match field.text(limits::TEXT_BYTES, errors)? {
        "" => field.wrong("must not be empty; leave it out for the rule's name", errors),
        salt => Some(salt.to_owned()),
    }
}
