//! Scalars that Kubernetes reads otherwise than they look, such as the name `on` and the number `010`.

use crate::document::{Node, Value};

/// A scalar that is read otherwise than it looks.
pub struct Misread {
    /// Its path, with the names as written.
    pub path: String,
    pub line: usize,
    pub message: String,
}

/// Finds them in a configuration.
pub fn find(tree: &Node) -> Vec<Misread> {
    let mut found = Vec::new();
    search(tree, "", &mut found);
    found
}

/// A copy with every name as its author wrote it.
pub fn as_written(node: &Node) -> Node {
    let value = match &node.value {
        Value::List(nodes) => Value::List(nodes.iter().map(as_written).collect()),
        Value::Object(fields) => {
            let field = |(name, field): &(String, Node)| {
                (field.key.as_ref().unwrap_or(name).clone(), as_written(field))
            };
            Value::Object(fields.iter().map(field).collect())
        }
        value => value.clone(),
    };
    Node { line: node.line, value, written: node.written.clone(), key: None }
}

fn search(node: &Node, path: &str, found: &mut Vec<Misread>) {
    let misread = |path: &str, line, message| Misread { path: path.to_owned(), line, message };
    found.extend(number(node).map(|message| misread(path, node.line, message)));
    for (name, field) in node.fields() {
        let written = field.key.as_ref().unwrap_or(name);
        let path = if path.is_empty() { written.clone() } else { format!("{path}.{written}") };
        if field.key.is_some() {
            let reading = match written == name {
                true => "refuses it as a name".to_owned(),
                false => format!("reads this name as {name:?}"),
            };
            let message =
                format!("Invalid value: {written}: Kubernetes {reading}; quote it: {written:?}");
            found.push(misread(&path, field.line, message));
        }
        search(field, &path, found);
    }
    for (index, element) in node.elements().iter().enumerate() {
        search(element, &format!("{path}[{index}]"), found);
    }
}

/// The error of a number that JSON does not have, or that has an octal spelling.
fn number(node: &Node) -> Option<String> {
    let written = node.written.as_ref()?;
    let number = match node.value {
        Value::Number(number) => number,
        Value::Large(number) => number as f64,
        _ => return None,
    };
    if !number.is_finite() {
        return Some(format!("Invalid value: {written}: JSON has no such number"));
    }
    let decimal: f64 = written.replace('_', "").parse().ok()?;
    (decimal != number).then(|| {
        format!(
            "Invalid value: {written}: Kubernetes reads it as {number}; write {number} or {decimal}"
        )
    })
}
