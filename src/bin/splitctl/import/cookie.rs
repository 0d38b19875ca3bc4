//! Expressions over the `cookie` header that ask for one cookie.

use super::form::{Condition, Part, Test};

/// Beginnings of an expression that pass over other cookies, and whether the blank behind a semicolon
/// is passed over too.
const BEFORE: [(&str, bool); 6] = [
    ("(.*?;)?", false),
    ("(.*;)?", false),
    ("(.*;\\s*)?", true),
    ("(.*?;\\s*)?", true),
    ("(.*; ?)?", true),
    ("(.*?; ?)?", true),
];

/// A condition on a cookie in place of one on the whole header, where both say the same. Where the
/// expression misses what it is meant for, it stays, with advice.
pub fn simpler(condition: Condition, regex: Option<&str>) -> (Condition, Option<String>) {
    let is_cookie = condition.part == Part::Header("cookie".to_owned()) && !condition.not;
    let Some((name, value, sees_blank)) = regex.filter(|_| is_cookie).and_then(pair) else {
        return (condition, None);
    };
    if sees_blank {
        let test = Test::Exact(value.to_owned());
        return (Condition::new(Part::Cookie(name.to_owned()), test), None);
    }
    let advice = format!(
        "the expression misses the cookie behind another one, since a blank is before it; write \
         cookies: {{ {name}: {{ exact: {value} }} }} for what was meant"
    );
    (condition, Some(advice))
}

/// The name and the value that an expression asks for.
fn pair(regex: &str) -> Option<(&str, &str, bool)> {
    let regex = regex.strip_prefix('^').unwrap_or(regex);
    let regex = regex.strip_suffix('$').unwrap_or(regex);
    let (rest, sees_blank) =
        BEFORE.iter().find_map(|(before, sees)| Some((regex.strip_prefix(before)?, *sees)))?;
    let rest = rest.strip_suffix("(;.*)?")?;
    let inner = rest.strip_prefix('(').and_then(|it| it.strip_suffix(')')).unwrap_or(rest);
    let (name, value) = inner.split_once('=')?;
    let plain = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    (plain(name) && plain(value)).then_some((name, value, sees_blank))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_a_cookie_where_that_is_certain() {
        let header = |regex: &str| {
            let test = Test::Regex(regex.to_owned());
            simpler(Condition::new(Part::Header("cookie".into()), test), Some(regex))
        };
        let (condition, advice) = header(r"^(.*;\s*)?(pick=always)(;.*)?$");
        assert_eq!(condition.part, Part::Cookie("pick".into()));
        assert_eq!(condition.test, Test::Exact("always".into()));
        assert_eq!(advice, None);
        let (condition, advice) = header("^(.*?;)?(pick=always)(;.*)?$");
        assert_eq!(condition.part, Part::Header("cookie".into()));
        assert!(advice.unwrap().contains("cookies: { pick: { exact: always } }"));
        assert_eq!(header("pick=.*").1, None);
    }
}
