//! Lists in one header's value.

/// The elements of a list, without the blanks around them: a comma in quotes parts none (RFC 9110
/// section 5.6.1).
pub(crate) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    let ends = move |b: &u8| {
        match b {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            _ => return *b == b',' && !quoted,
        }
        false
    };
    value.split(ends).map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_parts_elements_outside_of_quotes() {
        for (value, expected) in [
            ("a, b ,c", &["a", "b", "c"][..]),
            ("", &[""]),
            ("a,,b,", &["a", "", "b", ""]),
            (r#"a="b,c", d"#, &[r#"a="b,c""#, "d"]),
            (r#""a\",b", c"#, &[r#""a\",b""#, "c"]),
            (r#""a\\", b"#, &[r#""a\\""#, "b"]),
            (r"a\, b", &[r"a\", "b"]),
            (r#"a\"b, c", d"#, &[r#"a\"b, c""#, "d"]),
            (r#"a, "b, c"#, &["a", r#""b, c"#]),
        ] {
            let found: Vec<_> = elements(value.as_bytes()).collect();
            assert_eq!(found, expected.iter().map(|e| e.as_bytes()).collect::<Vec<_>>(), "{value}");
        }
    }
}
