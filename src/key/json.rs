//! The text of a member of a JSON object (RFC 8259), found without reading the object into memory. Each
//! loop takes at least a byte of the text with every turn, and none calls itself.

use std::borrow::Cow;

use crate::config;

/// The text of a string or a number under these names, one inside the other; of a name that is given
/// twice, the first counts. `None` of anything else, and of what is no JSON up to there.
pub(super) fn member<'a>(text: &'a [u8], names: &[String]) -> Option<Cow<'a, [u8]>> {
    let value = names.iter().try_fold(text, |object, name| value(object, name))?;
    if value.first() == Some(&b'"') {
        return unescaped(string(value)?.0);
    }
    let (number, _) = scalar(value)?;
    let is_number = |b: &u8| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    number.iter().all(is_number).then_some(Cow::Borrowed(number))
}

/// The text from the value under a name on, of the object with which a text begins.
fn value<'a>(object: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut rest = object.trim_ascii_start().strip_prefix(b"{")?;
    loop {
        let (key, behind) = string(rest.trim_ascii_start())?;
        let value = behind.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        if *unescaped(key)? == *name.as_bytes() {
            return Some(value);
        }
        rest = behind_value(value)?.trim_ascii_start().strip_prefix(b",")?;
    }
}

/// The string with which a text begins, without its quotes, and what follows.
fn string(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.strip_prefix(b"\"")?;
    let mut escaped = false;
    let end = text.iter().position(|b| {
        let ends = *b == b'"' && !escaped;
        escaped = *b == b'\\' && !escaped;
        ends
    })?;
    let (inside, rest) = text.split_at_checked(end)?;
    Some((inside, rest.get(1..)?))
}

/// The number or word with which a text begins, and what follows. Without anything behind it, it may
/// be cut off.
fn scalar(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let ends = |b: &u8| matches!(b, b',' | b'}' | b']') || b.is_ascii_whitespace();
    let end = text.iter().position(ends).filter(|end| *end > 0)?;
    text.split_at_checked(end)
}

/// The text behind the value with which a text begins. Brackets are counted, and need not be of a kind.
fn behind_value(text: &[u8]) -> Option<&[u8]> {
    let (mut rest, mut depth) = (text, 0_usize);
    loop {
        rest = match rest {
            [b'"', ..] => string(rest)?.1,
            [b'{' | b'[', inside @ ..] => {
                depth = depth.checked_add(1)?;
                inside
            }
            [b'}' | b']', behind @ ..] => {
                depth = depth.checked_sub(1)?;
                behind
            }
            [_, behind @ ..] if depth > 0 => behind,
            _ => scalar(rest)?.1,
        };
        if depth == 0 {
            return Some(rest);
        }
    }
}

/// The text that a string stands for.
fn unescaped(inside: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !inside.contains(&b'\\') {
        return Some(Cow::Borrowed(inside));
    }
    let quoted = [b"\"", inside, b"\""].concat();
    Some(Cow::Owned(config::text_of_json(&quoted)?.into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, names: &str) -> Option<String> {
        let names: Vec<_> = names.split('.').map(str::to_owned).collect();
        Some(String::from_utf8_lossy(&member(text.as_bytes(), &names)?).into_owned())
    }

    #[test]
    fn strings_and_numbers_are_found() {
        for (text, names, expected) in [
            (r#"{"id":"7"}"#, "id", Some("7")),
            (r#"{"id":7}"#, "id", Some("7")),
            (r#"{"id":-1.5e3,"a":1}"#, "id", Some("-1.5e3")),
            (r#"{"id":12345678901234567890}"#, "id", Some("12345678901234567890")),
            (r#" { "user" : { "id" : "u-7" , "x" : 1 } } "#, "user.id", Some("u-7")),
            (r#"{"a":[1,{"id":"no"},"}"],"b":{"id":"no"},"id":"yes"}"#, "id", Some("yes")),
            (r#"{"a":"\"id\":\"no\"","id":"yes"}"#, "id", Some("yes")),
            (r#"{"a":"\\","id":"yes"}"#, "id", Some("yes")),
            (r#"{"a":true,"b":null,"c":{},"d":[],"id":"yes"}"#, "id", Some("yes")),
            (r#"{"id":"first","id":"second"}"#, "id", Some("first")),
            (r#"{"id":"a\/b\u00e9\ud83d\ude00"}"#, "id", Some("a/bé😀")),
            (r#"{"\u0069d":"yes"}"#, "id", Some("yes")),
            (r#"{"id":""}"#, "id", Some("")),
            (r#"{"user":{"a":1},"id":"no"}"#, "user.id", None),
            (r#"{"user":"x","id":1}"#, "user.id", None),
            (r#"{"id":null}"#, "id", None),
            (r#"{"id":true}"#, "id", None),
            (r#"{"id":{"id":1}}"#, "id", None),
            (r#"{"id":[1]}"#, "id", None),
            (r#"{"id":}"#, "id", None),
            (r#"{"id":"\ud800"}"#, "id", None),
            (r#"{"id":"\x"}"#, "id", None),
            ("[{\"id\":1}]", "id", None),
            ("7", "id", None),
            ("", "id", None),
            ("{}", "id", None),
            ("null", "id", None),
        ] {
            assert_eq!(found(text, names).as_deref(), expected, "{text}");
        }
    }

    /// Another value than the whole text has would be another client.
    #[test]
    fn of_a_text_that_is_cut_off_nothing_else_is_found() {
        let text = r#"{"a":[1,"x\"",{"b":null}],"user":{"n":"é","id":12345}}"#;
        for end in 0..text.len() {
            let names = ["user", "id"].map(str::to_owned);
            let cut = member(&text.as_bytes()[..end], &names);
            assert!(cut.is_none() || cut.as_deref() == Some(b"12345"), "{}", &text[..end]);
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = |bracket: &str| format!(r#"{{"a":{},"id":1}}"#, bracket.repeat(1_000_000));
        assert_eq!(found(&deep("["), "id"), None);
        assert_eq!(found(&deep("{\"a\":"), "id"), None);
        let closed = format!(r#"{{"a":{}{},"id":1}}"#, "[".repeat(1000), "]".repeat(1000));
        assert_eq!(found(&closed, "id").as_deref(), Some("1"));
    }
}
