//! YAML, which includes JSON, as a tree with the lines of its values.

mod reader;
mod scalar;

use serde::ser::{Serialize, SerializeMap, Serializer};

use reader::Twice;

/// A value and its line.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its line, counted from 1; for a field of an object, the line of the key.
    pub line: usize,
    pub value: Value,
    /// The scalar as written, unless it is a text.
    pub written: Option<String>,
    /// The key of this field as written, if Kubernetes makes another name of it (`true` of `on`), or
    /// refuses it as a name (`~`).
    pub key: Option<String>,
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

/// The error that a text is no YAML.
#[derive(Debug)]
pub struct Error {
    pub line: usize,
    pub message: String,
}

impl Error {
    fn new(line: usize, message: impl Into<String>) -> Self {
        Error { line, message: message.into() }
    }
}

/// Reads the documents of a file as Kubernetes reads them.
pub fn parse(text: &str) -> Result<Vec<Node>, Error> {
    reader::read(text, Twice::Refused)
}

/// Reads JSON. Of a field that is given twice the first counts; the check of the configuration reports
/// the second.
pub fn parse_json(text: &str) -> Option<Node> {
    reader::read(text, Twice::FirstCounts).ok()?.pop()
}

impl Node {
    pub fn new(line: usize, value: Value) -> Self {
        Node { line, value, written: None, key: None }
    }

    /// The values in it, with itself.
    fn count(&self) -> usize {
        let fields = self.fields().iter().map(|(_, node)| node);
        fields.chain(self.elements()).fold(1, |sum, node| sum.saturating_add(node.count()))
    }

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

    /// A copy in which one of its nodes is a text.
    pub fn with_text(&self, node: &Node, text: &str) -> Node {
        let value = match &self.value {
            _ if std::ptr::eq(self, node) => Value::Text(text.to_owned()),
            Value::List(nodes) => {
                Value::List(nodes.iter().map(|it| it.with_text(node, text)).collect())
            }
            Value::Object(fields) => Value::Object(
                fields.iter().map(|(key, it)| (key.clone(), it.with_text(node, text))).collect(),
            ),
            value => value.clone(),
        };
        Node { line: self.line, value, written: None, key: None }
    }

    /// The same object without one of its fields.
    pub fn without(&self, name: &str) -> Node {
        let mut node = self.clone();
        if let Value::Object(fields) = &mut node.value {
            fields.retain(|(key, _)| key != name);
        }
        node
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
            // 90 and not 90.0, as its author wrote it.
            Value::Number(value) if value.fract() == 0.0 && value.abs() <= EXACT as f64 => {
                serializer.serialize_i64(*value as i64)
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The recorded answers of `sigs.k8s.io/yaml` to each scalar; `make mesh-test` compares them anew.
    const SCALARS: &str = include_str!("../../../wasm-tests/splitctl/scalars.json");

    #[test]
    fn scalars_are_read_as_kubernetes_reads_them() {
        let recorded: Vec<serde_json::Value> = serde_json::from_str(SCALARS).unwrap();
        let mut wrong = Vec::new();
        for answer in &recorded {
            let scalar = answer["scalar"].as_str().unwrap();
            let read = parse(&format!("a: {scalar}")).ok().map(|documents| {
                let field = documents[0].get("a").unwrap();
                let refused = matches!(field.value, Value::Number(number) if !number.is_finite());
                (!refused).then(|| serde_json::to_value(field).unwrap())
            });
            let (read, expected) = (read.flatten(), answer.get("value"));
            // A Struct, in which the filter's configuration is kept, has 64-bit floats alone.
            let number =
                |value: Option<&serde_json::Value>| value.and_then(serde_json::Value::as_f64);
            if read.as_ref() != expected
                && number(read.as_ref()).is_none_or(|it| Some(it) != number(expected))
            {
                wrong.push(format!("{scalar}: {read:?}, not {expected:?}"));
            }
            let read = parse(&format!("{scalar}: a")).ok().and_then(|documents| {
                let (name, field) = &documents[0].fields()[0];
                (field.key.as_ref() != Some(name)).then(|| name.clone())
            });
            let expected = answer.get("key").and_then(serde_json::Value::as_str);
            if read.as_deref() != expected {
                wrong.push(format!("{scalar}: as a name {read:?}, not {expected:?}"));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert!(recorded.len() > 200);
    }

    #[test]
    fn aliases_and_merged_fields_are_written_out() {
        for (yaml, expected) in [
            (
                "a: &w {b: 1}\nc: *w\nd: {<<: *w, e: 2}",
                r#"{"a":{"b":1},"c":{"b":1},"d":{"b":1,"e":2}}"#,
            ),
            // go-yaml 2 takes fields in their order, and the first of several objects.
            ("a: &w {b: 1}\nc: {<<: *w, b: 2}", r#"{"a":{"b":1},"c":{"b":2}}"#),
            ("a: &w {b: 1}\nc: {b: 2, <<: *w}", r#"{"a":{"b":1},"c":{"b":1}}"#),
            ("a: &w {b: 1}\nc: {<<: [{b: 3}, *w]}", r#"{"a":{"b":1},"c":{"b":3}}"#),
        ] {
            let documents = parse(yaml).unwrap();
            assert_eq!(serde_json::to_string(&documents[0]).unwrap(), expected, "{yaml}");
        }
        assert!(parse("a: {<<: 1}").is_err());
    }

    #[test]
    fn a_short_text_with_aliases_of_aliases_is_refused() {
        let mut yaml = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let ten = vec![format!("*a{}", level - 1); 10].join(", ");
            yaml += &format!("a{level}: &a{level} [{ten}]\n");
        }
        let error = parse(&yaml).unwrap_err();
        assert_eq!((error.line, error.message.as_str()), (6, "more than a million values"));
        assert_eq!(parse("a: &a [*a]").unwrap_err().line, 1);
        assert_eq!(parse("[a]: b").unwrap_err().message, "the name of a field must be a text");
        assert!(parse(&"[".repeat(100_000)).is_err());
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
        assert_eq!(error.line, 3);
    }
}
