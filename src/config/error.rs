//! The errors of a configuration, field by field.
//!
//! The wording follows Kubernetes' `field.Error` (apimachinery `field/errors.go`):
//! `rules[1].split.canary: Invalid value: -5: must be at least 0`.

use std::fmt;

use crate::limits;

/// The bytes of a wrong value that its error repeats.
const ECHO_BYTES: usize = 64;

/// One mistake in a configuration: its place, its kind, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The path of the field, as in `rules[1].split.canary`; empty for the whole configuration.
    pub path: String,
    /// The kind, the value and the remedy, as in `Invalid value: -5: must be at least 0`.
    pub message: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "configuration" } else { &self.path };
        write!(f, "{path}: {}", self.message)
    }
}

/// All errors of a configuration, in the order found. Displayed, each is a line.
///
/// ```
/// use traffic_split::config::{Config, Error};
///
/// let errors = Config::parse(br#"{ "variants": {}, "rules": [ { "to": "a" } ] }"#).unwrap_err();
/// let [Error { path, message }] = errors.iter().collect::<Vec<_>>()[..] else { panic!() };
/// assert_eq!(path, "rules[0].name");
/// assert!(message.starts_with("Required value: "));
/// assert!(errors.to_string().starts_with("rules[0].name: Required value: "));
/// assert_eq!(errors.omitted(), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Errors {
    found: Vec<Error>,
    omitted: usize,
}

impl Errors {
    /// The first errors, at most [`limits::ERRORS`].
    pub fn iter(&self) -> impl Iterator<Item = &Error> {
        self.found.iter()
    }

    /// The number of further errors in words, as in `3 more errors`; `None` if there are none.
    pub fn omitted(&self) -> Option<String> {
        (self.omitted > 0).then(|| format!("{} more errors", self.omitted))
    }

    /// Whether there are no errors.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Whether there is an error about this field itself.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.found.iter().any(|error| error.path == path)
    }

    /// Whether there is an error about this field, or about one inside it.
    pub(crate) fn has_within(&self, path: &str) -> bool {
        self.found.iter().any(|error| {
            let rest = error.path.strip_prefix(path);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    /// Adds an error for a value that is not allowed.
    pub(crate) fn invalid(
        &mut self,
        path: &str,
        value: impl fmt::Display,
        remedy: impl fmt::Display,
    ) {
        self.add(path, format!("Invalid value: {}: {remedy}", echo(&value.to_string())));
    }

    /// Adds an error for a missing field.
    pub(crate) fn required(&mut self, path: &str, remedy: impl fmt::Display) {
        self.add(path, format!("Required value: {remedy}"));
    }

    /// Adds an error for a name that is given twice.
    pub(crate) fn duplicate(&mut self, path: &str, name: &str) {
        self.add(path, format!("Duplicate value: {}", echo(&format!("{name:?}"))));
    }

    /// Adds an error for a field that is not allowed beside the others.
    pub(crate) fn forbidden(&mut self, path: &str, remedy: impl fmt::Display) {
        self.add(path, format!("Forbidden: {remedy}"));
    }

    /// Adds an error for a field that is not one of `known`.
    pub(crate) fn unknown(&mut self, path: &str, known: &[&str]) {
        self.add(
            path,
            match known {
                [] => "Unknown field: there is none here, write {}".to_owned(),
                known => format!("Unknown field: must be one of {}", known.join(", ")),
            },
        );
    }

    /// Adds an error for a list or an object with more than `limit` elements.
    pub(crate) fn too_many(&mut self, path: &str, count: usize, limit: usize) {
        self.add(path, format!("Too many: {count}: must have at most {limit} items"));
    }

    /// Adds an error for a text of more than `limit` bytes.
    pub(crate) fn too_long(&mut self, path: &str, limit: usize) {
        self.add(path, format!("Too long: may not be more than {limit} bytes"));
    }

    fn add(&mut self, path: &str, message: String) {
        if self.found.len() < limits::ERRORS {
            self.found.push(Error { path: one_line(path), message: one_line(&message) });
        } else {
            self.omitted = self.omitted.saturating_add(1);
        }
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.found.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        self.omitted().map_or(Ok(()), |more| write!(f, "\nconfiguration: {more}"))
    }
}

impl std::error::Error for Errors {}

/// Cuts a wrong value to the bytes that its error repeats.
pub(super) fn echo(value: &str) -> String {
    let mut end = ECHO_BYTES;
    while !value.is_char_boundary(end) && end < value.len() {
        end = end.saturating_add(1);
    }
    match value.get(..end) {
        Some(head) if end < value.len() => format!("{head}…"),
        _ => value.to_owned(),
    }
}

/// Whether a character is for the terminal and not for the reader: a control character, a line
/// separator, or a control of the direction of text (Unicode's annex 9), by which a line can look like
/// another one.
///
/// ```
/// use traffic_split::config::is_unprintable;
///
/// assert!(['\n', '\u{1b}', '\u{9b}', '\u{202e}', '\u{2066}'].into_iter().all(is_unprintable));
/// assert!(!is_unprintable('é'));
/// ```
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// Escapes what is not printable, so that each error is one line of a log whatever names it repeats.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unprintable(c) {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line() {
        let mut errors = Errors::default();
        errors.invalid("a\nb", "c\r\u{1b}[0m", "no");
        errors.forbidden("\u{202e}d", "é\u{2066}");
        assert_eq!(
            errors.to_string(),
            "a\\nb: Invalid value: c\\r\\u{1b}[0m: no\n\\u{202e}d: Forbidden: é\\u{2066}"
        );
    }

    #[test]
    fn errors_read_like_kubernetes() {
        let mut errors = Errors::default();
        errors.invalid("rules[1].split.canary", -5, "must be at least 0");
        errors.required("", "give `rules`");
        assert_eq!(
            errors.to_string(),
            "rules[1].split.canary: Invalid value: -5: must be at least 0\n\
             configuration: Required value: give `rules`"
        );
    }

    #[test]
    fn a_value_is_cut_behind_a_whole_character() {
        let x64 = "x".repeat(64);
        for (value, shown) in [
            (x64.clone(), x64.clone()),
            (format!("{x64}x"), format!("{x64}…")),
            (format!("x{}", "é".repeat(40)), format!("x{}…", "é".repeat(32))),
            (format!("x{}", "é".repeat(32)), format!("x{}", "é".repeat(32))),
        ] {
            assert_eq!(echo(&value), shown);
        }
    }

    #[test]
    fn long_values_and_long_lists_are_cut() {
        let mut errors = Errors::default();
        errors.invalid("a", "é".repeat(40), "no");
        assert_eq!(errors.to_string(), format!("a: Invalid value: {}…: no", "é".repeat(32)));
        for _ in 0..limits::ERRORS {
            errors.duplicate("a", "b");
        }
        assert!(errors.to_string().ends_with("\nconfiguration: 1 more errors"));
        assert_eq!(errors.iter().count(), limits::ERRORS);
    }
}
