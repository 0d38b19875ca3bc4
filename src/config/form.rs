//! The right form of a value, for the error about one that was written otherwise.

use std::fmt;

use super::node::Node;

/// A form with an example in it. A text or a number takes the place of the example: where a header is
/// given as `beta`, `{ exact: beta }` was meant.
#[derive(Clone, Copy)]
pub(super) struct Form {
    pub(super) before: &'static str,
    pub(super) example: &'static str,
    pub(super) after: &'static str,
}

impl Form {
    /// A form that no value fits into.
    pub(super) const fn fixed(example: &'static str) -> Form {
        Form { before: "", example, after: "" }
    }

    /// Writes the form for a value.
    pub(super) fn of(self, node: &Node) -> String {
        let Form { before, example, after } = self;
        match node {
            Node::Text(text) if !before.is_empty() => format!("{before}{}{after}", Plain(text)),
            Node::Number(_) if !before.is_empty() => format!("{before}\"{node}\"{after}"),
            _ => format!("{before}{example}{after}"),
        }
    }
}

/// The words that YAML 1.1 reads as booleans or null.
const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];

/// A text as YAML has it: in quotes if it would be read as something else.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0;
        let is_word = WORDS.iter().any(|word| word.eq_ignore_ascii_case(text));
        let is_number = !text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
            && !text.contains('/')
            && text.matches('.').count() < 2;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./".contains(&b);
        if !is_word && !is_number && text.bytes().all(plain) {
            f.write_str(text)
        } else {
            write!(f, "{:?}", super::error::echo(text))
        }
    }
}
