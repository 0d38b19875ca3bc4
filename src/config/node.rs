//! JSON as written: unlike `serde_json::Value`, it keeps the order and the duplicates of an object's
//! keys.

use std::fmt;

use xxhash_rust::xxh64::xxh64;

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

impl Node {
    /// A number that stands for the value. White space, the order of an object's fields and the spelling
    /// of numbers do not matter to it: istiod, for one, writes all three anew.
    pub(super) fn digest(&self) -> u64 {
        match self {
            Node::Null => 1,
            Node::Bool(value) => xxh64(&[u8::from(*value)], 2),
            // -0 is 0.
            Node::Number(value) => xxh64(&(value + 0.0).to_bits().to_le_bytes(), 3),
            Node::Large(value) => xxh64(&value.to_le_bytes(), 4),
            Node::Text(value) => xxh64(value.as_bytes(), 5),
            Node::List(nodes) => {
                nodes.iter().fold(6, |sum, node| xxh64(&node.digest().to_le_bytes(), sum))
            }
            Node::Object(fields) => fields.iter().fold(7, |sum: u64, (name, node)| {
                let name = xxh64(name.as_bytes(), 0);
                sum.wrapping_add(xxh64(&node.digest().to_le_bytes(), name))
            }),
        }
    }
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
    fn a_digest_is_of_what_is_said_and_not_of_how_it_is_written() {
        let digest = |json: &str| serde_json::from_str::<Node>(json).unwrap().digest();
        let one = digest(r#"{"a":1,"b":[true,null,"x"]}"#);
        assert_eq!(one, digest("{ \"b\" : [true, null, \"\\u0078\"],\n\"a\":1.0 }"));
        for other in [
            r#"{"a":2,"b":[true,null,"x"]}"#,
            r#"{"a":1,"b":[null,true,"x"]}"#,
            r#"{"a":1,"c":[true,null,"x"]}"#,
            r#"{"a":"1","b":[true,null,"x"]}"#,
            r#"{"a":1,"b":[false,null,"x"]}"#,
            r#"{"a":1,"b":[[true],null,"x"]}"#,
        ] {
            assert_ne!(one, digest(other), "{other}");
        }
        assert_ne!(digest(r#"{"a":1,"b":2}"#), digest(r#"{"a":2,"b":1}"#));
        assert_eq!(digest("-0.0"), digest("0"));
    }

    #[test]
    fn deep_nesting_is_refused() {
        assert!(serde_json::from_str::<Node>(&"[".repeat(100_000)).is_err());
    }
}
