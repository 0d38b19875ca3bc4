//! Values of examples that were never replaced.

use super::{Lint, Warning};
use crate::document::{Node, Value};

/// Domains for documentation (RFC 2606 section 3), and the manifests' own mark.
const TEXTS: [&str; 4] = ["example.com", "example.net", "example.org", "set-in-settings"];

/// The digits of a digest of zeros.
const ZEROS: &str = "sha256:0000000000000000";

/// Finds placeholders in a document. Names of fields are none, nor are texts of several lines.
pub fn find(file: &str, document: &Node) -> Vec<Warning> {
    let mut found = Vec::new();
    search(file, document, &mut found);
    found
}

fn search(file: &str, node: &Node, found: &mut Vec<Warning>) {
    node.fields().iter().for_each(|(_, node)| search(file, node, found));
    node.elements().iter().for_each(|node| search(file, node, found));
    let Value::Text(text) = &node.value else { return };
    let known = TEXTS.iter().find(|known| has_word(text, known));
    let what = match known {
        _ if text.contains('\n') => return,
        _ if text.contains(ZEROS) => "a digest of zeros",
        Some(known) => known,
        None => return,
    };
    found.push(Warning::new(
        Lint::Placeholder,
        file,
        node.line,
        format!("{what} is a placeholder"),
    ));
}

/// Whether a text has this among its names, so that `myexample.com` is none.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text.get(at + word.len()..).and_then(|after| after.chars().next());
        let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '-');
        !is_part(before) && !is_part(after)
    })
}
