//! YAML, which includes JSON, as a tree with the lines of its values.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Error, Spanned};

/// A value and its line.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its line, counted from 1; for a field of an object, the line of the key.
    pub line: usize,
    pub value: Value,
}

#[derive(Clone, Debug)]
pub enum Value {
    Null,
    Bool(bool),
    Number(f64),
    /// An integer beyond those that an `f64` keeps exactly.
    Large(i128),
    Text(String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

/// Reads the documents of a file. Unquoted booleans are those of YAML 1.1, `no` among them, because
/// Kubernetes and Envoy read them that way.
pub fn parse(text: &str) -> Result<Vec<Node>, Error> {
    read(text, DuplicateKeyPolicy::Error)
}

/// Reads JSON. Of a field that is given twice the first counts; the check of the configuration reports
/// the second.
pub fn parse_json(text: &str) -> Option<Node> {
    read(text, DuplicateKeyPolicy::FirstWins).ok()?.pop()
}

fn read(text: &str, duplicate_keys: DuplicateKeyPolicy) -> Result<Vec<Node>, Error> {
    let options = serde_saphyr::options! { duplicate_keys: duplicate_keys, with_snippet: false };
    let documents: Vec<Spanned<Value>> = serde_saphyr::from_multiple_with_options(text, options)?;
    Ok(documents.into_iter().map(node).collect())
}

fn node(spanned: Spanned<Value>) -> Node {
    Node { line: spanned.referenced.line() as usize, value: spanned.value }
}

impl Node {
    /// The field of an object.
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.fields().iter().find(|(key, _)| key == name).map(|(_, node)| node)
    }

    /// The value under these fields, one inside the other.
    pub fn at(&self, names: &[&str]) -> Option<&Node> {
        names.iter().try_fold(self, |node, name| node.get(name))
    }

    /// The fields of an object; none for anything else.
    pub fn fields(&self) -> &[(String, Node)] {
        match &self.value {
            Value::Object(fields) => fields,
            _ => &[],
        }
    }

    /// The elements of a list; none for anything else.
    pub fn elements(&self) -> &[Node] {
        match &self.value {
            Value::List(nodes) => nodes,
            _ => &[],
        }
    }

    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Follows a path of the configuration, as in `rules[1].split.canary`, as far as there are values.
    /// Names may have dots in them.
    pub fn find(&self, path: &str) -> &Node {
        let path = path.strip_prefix('.').unwrap_or(path);
        let element = path.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let next = match element {
            Some((index, rest)) => {
                index.parse().ok().and_then(|i: usize| Some((self.elements().get(i)?, rest)))
            }
            None => self
                .fields()
                .iter()
                .filter_map(|(key, node)| Some((node, path.strip_prefix(key.as_str())?)))
                .filter(|(_, rest)| rest.is_empty() || rest.starts_with(['.', '[']))
                .min_by_key(|(_, rest)| rest.len()),
        };
        next.map_or(self, |(node, rest)| node.find(rest))
    }

    /// The first integer of the tree that an `f64` does not keep exactly, with its line.
    pub fn large(&self) -> Option<(usize, i128)> {
        match &self.value {
            Value::Large(value) => Some((self.line, *value)),
            Value::List(nodes) => nodes.iter().find_map(Node::large),
            Value::Object(fields) => fields.iter().find_map(|(_, node)| node.large()),
            _ => None,
        }
    }

    /// Moves a tree, which was read from a text inside a file, to its lines in that file.
    pub fn move_lines(&mut self, place: &impl Fn(usize) -> usize) {
        self.line = place(self.line);
        match &mut self.value {
            Value::List(nodes) => nodes.iter_mut().for_each(|node| node.move_lines(place)),
            Value::Object(fields) => {
                fields.iter_mut().for_each(|(_, node)| node.move_lines(place));
            }
            _ => {}
        }
    }
}

/// Writes the tree as JSON.
impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.value {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Number(value) => serializer.serialize_f64(*value),
            Value::Large(value) => serializer.serialize_i128(*value),
            Value::Text(value) => serializer.serialize_str(value),
            Value::List(nodes) => serializer.collect_seq(nodes),
            Value::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                fields.iter().try_for_each(|(key, node)| map.serialize_entry(key, node))?;
                map.end()
            }
        }
    }
}

/// The largest integer up to which an `f64` keeps each one exactly.
const EXACT: u128 = (1 << 53) - 1;

fn number(value: i128) -> Value {
    if value.unsigned_abs() <= EXACT { Value::Number(value as f64) } else { Value::Large(value) }
}

struct ValueVisitor;

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = seq.next_element()? {
            list.push(node(element));
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Vec::new();
        while let Some((key, value)) = map.next_entry::<Spanned<String>, Spanned<Value>>()? {
            let line = key.referenced.line() as usize;
            object.push((key.value, Node { line, value: value.value }));
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_read_as_kubernetes_and_envoy_read_them() {
        for (yaml, json) in [
            ("a: no", r#"{"a":false}"#),
            ("a: 'no'", r#"{"a":"no"}"#),
            ("a: on", r#"{"a":true}"#),
            ("a: 90", r#"{"a":90.0}"#),
            ("a: 99.9", r#"{"a":99.9}"#),
            ("a: 9007199254740991", r#"{"a":9007199254740991.0}"#),
            ("a: -9007199254740992", r#"{"a":-9007199254740992}"#),
            ("a: 18446744073709551615", r#"{"a":18446744073709551615}"#),
            ("a: -9223372036854775808", r#"{"a":-9223372036854775808}"#),
            ("a: 2026-11-01", r#"{"a":"2026-11-01"}"#),
            ("a: ~", r#"{"a":null}"#),
            ("7: x", r#"{"7":"x"}"#),
            (
                "a: &w {b: 1}\nc: *w\nd: {<<: *w, e: 2}",
                r#"{"a":{"b":1.0},"c":{"b":1.0},"d":{"e":2.0,"b":1.0}}"#,
            ),
        ] {
            let documents = parse(yaml).unwrap();
            assert_eq!(serde_json::to_string(&documents[0]).unwrap(), json, "{yaml}");
        }
    }

    #[test]
    fn paths_lead_to_lines() {
        let documents = parse(
            "# comment\nvariants:\n  v1.2: {}\n  v1:\n    cluster: a\nrules:\n- name: x\n  match:\n  \
             - headers:\n      x-a:\n        exact: 1\n",
        )
        .unwrap();
        for (path, line) in [
            ("", 2),
            ("variants.v1.2", 3),
            ("variants.v1.cluster", 5),
            ("variants.v1.2.cluster", 3),
            ("rules[0].name", 7),
            ("rules[0].split", 7),
            ("rules[0].match[0].headers.x-a.exact", 11),
            ("rules[7].name", 6),
        ] {
            assert_eq!(documents[0].find(path).line, line, "{path}");
        }
    }

    #[test]
    fn a_key_given_twice_is_an_error_with_its_line() {
        let error = parse("a: 1\nb: 2\na: 3").unwrap_err();
        assert_eq!(error.location().unwrap().line(), 3);
    }
}
