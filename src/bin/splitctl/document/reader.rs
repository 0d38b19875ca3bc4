//! The tree of a YAML text, from the events of its parser.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Tag as WrittenTag};

use super::scalar::{self, Scalar, Tag};
use super::{Error, Node, Value};

/// The values of a file, those of aliases included: a short text could ask for any number of them.
const VALUES: usize = 1_000_000;

const TOO_MANY: &str = "more than a million values";

/// The treatment of a field that is given twice.
#[derive(Clone, Copy, PartialEq)]
pub enum Twice {
    Refused,
    FirstCounts,
}

/// Reads the documents of a text.
pub fn read(text: &str, twice: Twice) -> Result<Vec<Node>, Error> {
    let mut reader = Reader { twice, open: Vec::new(), anchors: HashMap::new(), values: 0 };
    let mut documents = Vec::new();
    let options = granit_parser::options! { emit_comments: false };
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) =
            event.map_err(|error| Error::new(error.marker().line(), error.info()))?;
        documents.extend(reader.take(event, span.start.line())?);
    }
    Ok(documents)
}

struct Reader {
    twice: Twice,
    /// The lists and objects whose ends have not been read, the outer ones first.
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    values: usize,
}

struct Open {
    node: Node,
    anchor: usize,
    /// The key whose value comes next.
    key: Option<Key>,
    /// The places of an object's fields, and whether each was merged into it (`<<`).
    places: HashMap<String, (usize, bool)>,
}

struct Key {
    line: usize,
    scalar: Scalar,
    written: String,
    merges: bool,
}

impl Reader {
    /// Takes the next event, and returns the document that it completes.
    fn take(&mut self, event: Event<'_>, line: usize) -> Result<Option<Node>, Error> {
        let awaiting = self.open.last_mut().filter(|open| open.awaits_key());
        let (node, anchor) = match (event, awaiting) {
            (Event::Scalar(text, style, anchor, tag), awaiting) => {
                let quoted = style != ScalarStyle::Plain;
                let scalar = resolve(&text, quoted, tag.as_deref(), line)?;
                if let Some(object) = awaiting {
                    let merges = text == "<<" && !quoted;
                    object.key = Some(Key { line, scalar, written: text.into_owned(), merges });
                    return Ok(None);
                }
                let written = (!matches!(scalar, Scalar::Text(_))).then(|| text.into_owned());
                (Node { written, ..Node::new(line, scalar.value()) }, anchor)
            }
            (Event::SequenceStart(..) | Event::MappingStart(..) | Event::Alias(_), Some(_)) => {
                return Err(Error::new(line, "the name of a field must be a text"));
            }
            (Event::SequenceStart(_, anchor, _), None) => {
                return Ok(self.start(Value::List(Vec::new()), anchor, line));
            }
            (Event::MappingStart(_, anchor, _), None) => {
                return Ok(self.start(Value::Object(Vec::new()), anchor, line));
            }
            (Event::SequenceEnd | Event::MappingEnd, _) => match self.open.pop() {
                Some(open) => (open.node, open.anchor),
                None => return Ok(None),
            },
            (Event::Alias(anchor), None) => (self.alias(anchor, line)?, 0),
            _ => return Ok(None),
        };
        self.values = self.values.saturating_add(1);
        if self.values > VALUES {
            return Err(Error::new(line, TOO_MANY));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            Some(open) => open.put(node, self.twice).map(|()| None),
            None => Ok(Some(node)),
        }
    }

    /// Begins a list or an object, which completes no document.
    fn start(&mut self, value: Value, anchor: usize, line: usize) -> Option<Node> {
        self.open.push(Open::new(Node::new(line, value), anchor));
        None
    }

    fn alias(&mut self, anchor: usize, line: usize) -> Result<Node, Error> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(Error::new(line, "an alias inside the value that it names"));
        };
        // Counted before they are copied.
        self.values = self.values.saturating_add(node.count());
        match self.values > VALUES {
            true => Err(Error::new(line, TOO_MANY)),
            false => Ok(Node { line, ..node.clone() }),
        }
    }
}

impl Open {
    fn new(node: Node, anchor: usize) -> Self {
        Open { node, anchor, key: None, places: HashMap::new() }
    }

    fn awaits_key(&self) -> bool {
        matches!(self.node.value, Value::Object(_)) && self.key.is_none()
    }

    /// Adds an element, or the value of the key that was read before.
    fn put(&mut self, node: Node, twice: Twice) -> Result<(), Error> {
        match (self.key.take(), &mut self.node.value) {
            (None, Value::List(list)) => list.push(node),
            (Some(key), _) if key.merges => self.merge(&node, key.line)?,
            (Some(key), _) => {
                let name = key.scalar.name();
                let differs = name.as_ref() != Some(&key.written);
                let written = differs.then(|| key.written.clone());
                let name = name.unwrap_or(key.written);
                let field = Node { line: key.line, key: written, ..node };
                if self.places.get(&name).is_none_or(|(_, merged)| *merged) {
                    self.set(name, field, false);
                } else if twice == Twice::Refused {
                    return Err(Error::new(key.line, format!("the field `{name}` is given twice")));
                }
            }
            (None, _) => {}
        }
        Ok(())
    }

    /// Takes over the fields of an object, or of a list of objects, of which the first one counts.
    fn merge(&mut self, from: &Node, line: usize) -> Result<(), Error> {
        let objects = match &from.value {
            Value::Object(_) => std::slice::from_ref(from),
            _ => from.elements(),
        };
        if objects.is_empty() || objects.iter().any(|it| !matches!(it.value, Value::Object(_))) {
            return Err(Error::new(line, "<< takes an object, or a list of objects"));
        }
        for (name, field) in objects.iter().rev().flat_map(Node::fields) {
            self.set(name.clone(), field.clone(), true);
        }
        Ok(())
    }

    /// Sets a field. As in go-yaml 2, a later one replaces an earlier one where one of them is merged.
    fn set(&mut self, name: String, field: Node, merged: bool) {
        let Value::Object(fields) = &mut self.node.value else { return };
        match self.places.get(&name).and_then(|(place, _)| fields.get_mut(*place)) {
            Some((_, known)) => *known = field,
            None => {
                self.places.insert(name.clone(), (fields.len(), merged));
                fields.push((name, field));
                return;
            }
        }
        self.places.entry(name).and_modify(|(_, known)| *known = merged);
    }
}

fn resolve(
    text: &str,
    quoted: bool,
    tag: Option<&WrittenTag>,
    line: usize,
) -> Result<Scalar, Error> {
    let tag = match tag {
        None if quoted => Some(Tag::Text),
        None => None,
        Some(tag) => Some(match tag.core_suffix() {
            Some("bool") => Tag::Bool,
            Some("int") => Tag::Integer,
            Some("float") => Tag::Float,
            Some("null") => Tag::Null,
            _ => Tag::Text,
        }),
    };
    match tag {
        None => Ok(scalar::plain(text)),
        Some(tag) => scalar::tagged(tag, text)
            .ok_or_else(|| Error::new(line, format!("{text:?} is not of the type of its tag"))),
    }
}
