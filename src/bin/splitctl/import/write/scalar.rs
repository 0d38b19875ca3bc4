//! Texts as YAML has them: plain where that is the same text, otherwise in quotes.

use crate::document::{self, Value};

/// Writes a text for a value or a name.
pub fn text(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { quoted(text) }
}

/// Writes a text in quotes: single ones, in which a backslash is a backslash, if they can hold it.
pub fn quoted(text: &str) -> String {
    let is_simple = !text.is_empty() && text.chars().all(|c| (' '..='~').contains(&c));
    if is_simple && (text.contains(['\\', '"']) || !text.contains('\'')) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    let mut out = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            c if u32::from(c) <= 0xff => out += &format!("\\x{:02x}", u32::from(c)),
            c if u32::from(c) <= 0xffff => out += &format!("\\u{:04x}", u32::from(c)),
            c => out += &format!("\\U{:08x}", u32::from(c)),
        }
    }
    out + "\""
}

/// Whether the text without quotes is read as this text, as a value and as a name.
fn is_plain(text: &str) -> bool {
    let safe = |c: char| c.is_ascii_alphanumeric() || "-_./*:".contains(c);
    if text.is_empty() || !text.chars().all(safe) || text.starts_with('*') || text.ends_with(':') {
        return false;
    }
    let Ok(documents) = document::parse(&format!("{{ {text}: {text} }}")) else { return false };
    let fields = documents.first().map_or(&[][..], |root| root.fields());
    matches!(fields, [(name, node)]
        if name == text && node.key.is_none()
            && matches!(&node.value, Value::Text(value) if value == text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_as_it_was() {
        for (given, expected) in [
            ("web-v1", "web-v1"),
            ("/hi", "/hi"),
            ("*.shops", "'*.shops'"),
            ("1", "'1'"),
            ("on", "'on'"),
            ("1.10", "'1.10'"),
            ("", "\"\""),
            ("it's", "\"it's\""),
            ("it's \\d", "'it''s \\d'"),
            ("é\u{1}\u{2028}", "\"\\xe9\\x01\\u2028\""),
        ] {
            assert_eq!(text(given), expected);
            let read = document::parse(&format!("{{ {}: {} }}", text(given), text(given))).unwrap();
            let (name, node) = &read[0].fields()[0];
            assert_eq!((name.as_str(), node.text()), (given, Some(given)));
        }
    }
}
