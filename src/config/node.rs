//! JSON as written: unlike `serde_json::Value`, it keeps the order and the duplicates of an object's
//! keys.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::decimal::Decimal;

/// The largest integer up to which an `f64` keeps each one exactly (RFC 8259 section 6).
pub(super) const EXACT_INTEGER: u64 = (1 << 53) - 1;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Null,
    Bool(bool),
    /// A number. There is one kind only, since a Struct of Kubernetes delivers 90 as 90.0.
    Number(f64),
    /// An integer beyond those that an `f64` keeps exactly.
    Large(Box<i128>),
    Text(String),
    List(Vec<Node>),
    /// An object: its keys with their values.
    Object(Vec<(String, Node)>),
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Node::Null => write!(f, "null"),
            Node::Bool(value) => write!(f, "{value}"),
            Node::Number(value) => write!(f, "{}", Decimal(*value)),
            Node::Large(value) => write!(f, "{}", Decimal(**value as f64)),
            Node::Text(value) => write!(f, "{value:?}"),
            Node::List(_) => write!(f, "[…]"),
            Node::Object(_) => write!(f, "{{…}}"),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

/// The text of a JSON string with its quotes.
pub(crate) fn text_of_json(json: &[u8]) -> Option<String> {
    match serde_json::from_slice(json) {
        Ok(Node::Text(text)) => Some(text),
        _ => None,
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(match value.unsigned_abs() <= EXACT_INTEGER {
            true => Node::Number(value as f64),
            false => Node::Large(Box::new(value.into())),
        })
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(match value <= EXACT_INTEGER {
            true => Node::Number(value as f64),
            false => Node::Large(Box::new(value.into())),
        })
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(node) = seq.next_element()? {
            list.push(node);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut object = Vec::new();
        while let Some(entry) = map.next_entry()? {
            object.push(entry);
        }
        Ok(Node::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_and_duplicates() {
        let node: Node = serde_json::from_str(r#"{"b":[1,2.5,null],"a":"x","b":true}"#).unwrap();
        let list = vec![Node::Number(1.0), Node::Number(2.5), Node::Null];
        assert_eq!(
            node,
            Node::Object(vec![
                ("b".into(), Node::List(list)),
                ("a".into(), Node::Text("x".into())),
                ("b".into(), Node::Bool(true)),
            ])
        );
    }

    #[test]
    fn deep_nesting_is_refused() {
        assert!(serde_json::from_str::<Node>(&"[".repeat(100_000)).is_err());
    }
}
