//! A value in the configuration, and the ways to read it. Reading goes on after a mistake, so that
//! one look at the log shows all of them.

use std::collections::BTreeSet;

use super::decimal::Decimal;
use super::error::{Errors, echo};
use super::form::Form;
use super::given::Given;
use super::name::check_name;
use super::node::{EXACT_INTEGER, Node};
use crate::limits;

/// A value and its path.
#[derive(Clone)]
pub(crate) struct Field<'a> {
    pub(crate) path: String,
    node: &'a Node,
}

impl<'a> Field<'a> {
    pub(crate) fn root(node: &'a Node) -> Self {
        Field { path: String::new(), node }
    }

    /// The fields of an object. A name that is too long or was given before is an error, and left out.
    pub(crate) fn object(&self, errors: &mut Errors) -> Option<Object<'a>> {
        self.object_as(Form::fixed(""), errors)
    }

    /// The fields of an object that looks like `form`.
    pub(super) fn object_as(&self, form: Form, errors: &mut Errors) -> Option<Object<'a>> {
        let Node::Object(entries) = self.node else {
            return self.unlike("must be an object", form, errors);
        };
        // Each path below repeats these names, so that without a bound they would multiply.
        if entries.len() > limits::FIELDS {
            errors.too_many(&self.path, entries.len(), limits::FIELDS);
            return None;
        }
        let mut fields: Vec<(&'a str, Field<'a>)> = Vec::with_capacity(entries.len());
        let mut seen = BTreeSet::new();
        for (key, node) in entries {
            if key.len() > limits::TEXT_BYTES {
                errors.too_long(&child(&self.path, &echo(key)), limits::TEXT_BYTES);
                continue;
            }
            let path = child(&self.path, key);
            if seen.insert(key.as_str()) {
                fields.push((key, Field { path, node }));
            } else {
                errors.duplicate(&path, key);
            }
        }
        Some(Object { path: self.path.clone(), fields, known: Vec::new(), missing: Vec::new() })
    }

    /// The elements of a list of at most `limit`.
    pub(crate) fn list(&self, limit: usize, errors: &mut Errors) -> Option<Vec<Field<'a>>> {
        self.list_as(limit, Form::fixed(""), errors)
    }

    /// The elements of a list of at most `limit` that looks like `form`.
    pub(super) fn list_as(
        &self,
        limit: usize,
        form: Form,
        errors: &mut Errors,
    ) -> Option<Vec<Field<'a>>> {
        let Node::List(nodes) = self.node else {
            return self.unlike("must be a list", form, errors);
        };
        if nodes.len() > limit {
            errors.too_many(&self.path, nodes.len(), limit);
            return None;
        }
        let fields = nodes.iter().enumerate();
        Some(fields.map(|(i, node)| Field { path: format!("{}[{i}]", self.path), node }).collect())
    }

    /// A string of at most `limit` bytes.
    pub(crate) fn text(&self, limit: usize, errors: &mut Errors) -> Option<&'a str> {
        self.text_as(limit, "must be a string", errors)
    }

    /// A string of at most `limit` bytes, with what would be right in place of another type.
    pub(super) fn text_as(
        &self,
        limit: usize,
        remedy: &str,
        errors: &mut Errors,
    ) -> Option<&'a str> {
        match self.node {
            Node::Text(text) if text.len() <= limit => Some(text),
            Node::Text(_) => {
                errors.too_long(&self.path, limit);
                None
            }
            _ => self.wrong(remedy, errors),
        }
    }

    /// The number that a string or a number holds, without a percent sign.
    pub(super) fn as_number(&self) -> Option<f64> {
        match self.node {
            Node::Number(number) => Some(*number),
            Node::Large(number) => Some(**number as f64),
            Node::Text(text) => number(text.strip_suffix('%').unwrap_or(text)),
            _ => None,
        }
    }

    pub(crate) fn bool(&self, errors: &mut Errors) -> Option<bool> {
        match self.node {
            Node::Bool(value) => Some(*value),
            Node::Text(_) => self.wrong("must be true or false, without quotes", errors),
            _ => self.wrong("must be true or false", errors),
        }
    }

    pub(crate) fn number(&self, errors: &mut Errors) -> Option<f64> {
        match self.node {
            Node::Number(value) => Some(*value),
            Node::Large(value) => Some(**value as f64),
            _ => match self.as_number() {
                Some(meant) => {
                    self.wrong(&format!("must be a number: write {}", Decimal(meant)), errors)
                }
                None => self.wrong("must be a number", errors),
            },
        }
    }

    pub(crate) fn integer(&self, errors: &mut Errors) -> Option<i64> {
        match self.number(errors)? {
            value if value.fract() == 0.0 && value.abs() <= EXACT_INTEGER as f64 => {
                Some(value as i64)
            }
            _ => self.wrong("must be an integer", errors),
        }
    }

    /// An integer of 64 bits with or without a sign. It may be given as text too, since on its way
    /// through a Struct of Kubernetes a number keeps 53 bits.
    pub(crate) fn long(&self, errors: &mut Errors) -> Option<i128> {
        match self.node {
            Node::Large(value) => Some(**value),
            Node::Number(value) if value.fract() == 0.0 && value.abs() > EXACT_INTEGER as f64 => {
                self.wrong("must be exact; write all its digits, in quotes", errors)
            }
            Node::Text(text) => match long(text) {
                Some(value) => Some(value),
                None => self.wrong("must be an integer of 64 bits", errors),
            },
            _ => self.integer(errors).map(i128::from),
        }
    }

    /// The name of a rule, a variant or a layer.
    pub(crate) fn name(&self, errors: &mut Errors) -> Option<String> {
        let text = self.text(limits::NAME_BYTES, errors)?;
        check_name(&self.path, text, errors)
    }

    /// Whether the value is true or false.
    pub(super) fn is_bool(&self) -> bool {
        matches!(self.node, Node::Bool(_))
    }

    /// Whether the value is an object.
    pub(super) fn is_object(&self) -> bool {
        matches!(self.node, Node::Object(_))
    }

    /// Whether the value is a number.
    pub(crate) fn is_number(&self) -> bool {
        matches!(self.node, Node::Number(_))
    }

    /// Whether the value is null.
    pub(crate) fn is_null(&self) -> bool {
        *self.node == Node::Null
    }

    /// The value if it is a string, of any length.
    pub(crate) fn word(&self) -> Option<&'a str> {
        match self.node {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether the value is a list.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.node, Node::List(_))
    }

    fn unlike<T>(&self, remedy: &str, form: Form, errors: &mut Errors) -> Option<T> {
        match form.of(self.node).as_str() {
            "" => self.wrong(remedy, errors),
            meant => self.wrong(&format!("{remedy}, as in {meant}"), errors),
        }
    }

    /// Adds an error for the value with what would be right, and returns `None` for it.
    pub(crate) fn wrong<T>(&self, remedy: &str, errors: &mut Errors) -> Option<T> {
        errors.invalid(&self.path, self.node, remedy);
        None
    }
}

/// The fields of an object. [`Object::finish`] reports those that no reader asked for, and those that
/// are missing.
pub(crate) struct Object<'a> {
    pub(crate) path: String,
    fields: Vec<(&'a str, Field<'a>)>,
    known: Vec<&'static str>,
    /// The paths of missing fields, and what to give there.
    missing: Vec<(String, String)>,
}

impl<'a> Object<'a> {
    /// A field that may be absent.
    pub(crate) fn optional(&mut self, name: &'static str) -> Option<&Field<'a>> {
        if !self.known.contains(&name) {
            self.known.push(name);
        }
        self.fields.iter().find(|(key, _)| *key == name).map(|(_, field)| field)
    }

    /// Passes over a field, which may hold anything.
    pub(crate) fn ignore(&mut self, name: &str) {
        self.fields.retain(|(key, _)| *key != name);
    }

    /// A field that may be absent, read by `read`.
    pub(crate) fn given<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&Field<'a>, &mut Errors) -> Option<T>,
        errors: &mut Errors,
    ) -> Given<T> {
        match self.optional(name).map(|field| read(field, errors)) {
            None => Given::Absent,
            Some(None) => Given::Wrong,
            Some(Some(value)) => Given::Value(value),
        }
    }

    /// A boolean, or its default if it is absent or wrong.
    pub(crate) fn flag(&mut self, name: &'static str, default: bool, errors: &mut Errors) -> bool {
        self.optional(name).and_then(|field| field.bool(errors)).unwrap_or(default)
    }

    /// A field whose absence is an error.
    pub(crate) fn required(&mut self, name: &'static str, remedy: &str) -> Option<&Field<'a>> {
        if self.optional(name).is_none() {
            self.miss(name, remedy);
        }
        self.optional(name)
    }

    /// Notes that a field is missing; without a name, one of those that the object has to have.
    pub(super) fn miss(&mut self, name: &str, remedy: &str) {
        let path = if name.is_empty() { self.path.clone() } else { child(&self.path, name) };
        self.missing.push((path, remedy.to_owned()));
    }

    /// All fields with their keys, for an object whose keys are names: at most `limit`.
    pub(crate) fn entries(&self, limit: usize, errors: &mut Errors) -> &[(&'a str, Field<'a>)] {
        if self.fields.len() > limit {
            errors.too_many(&self.path, self.fields.len(), limit);
            return &[];
        }
        &self.fields
    }

    /// Adds an error for each field that no reader asked for, and for each that is missing. An
    /// unknown field is taken for a missing one under a wrong name, which is one mistake.
    pub(crate) fn finish(self, errors: &mut Errors) {
        let unknown = self.fields.iter().filter(|(key, _)| !self.known.contains(key));
        let misnamed = unknown.map(|(_, field)| errors.unknown(&field.path, &self.known)).count();
        for (path, remedy) in self.missing.iter().skip(misnamed) {
            errors.required(path, remedy);
        }
    }
}

/// Reads a number as JSON does. `str::parse::<f64>` would add 20 KB to the module.
pub(super) fn number(text: &str) -> Option<f64> {
    match serde_json::from_slice(text.as_bytes()) {
        Ok(Node::Number(number)) => Some(number),
        _ => None,
    }
}

/// A decimal integer of 64 bits with an optional sign, and nothing else.
pub(crate) fn long(text: &str) -> Option<i128> {
    let signed = text.parse::<i64>().map(i128::from);
    signed.or_else(|_| text.parse::<u64>().map(i128::from)).ok()
}

fn child(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
