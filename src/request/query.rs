//! Query parameters, as they stand in the URL: nothing is decoded, as in Envoy's own routes.

use super::{Request, first_value};
use crate::limits;

/// The value of the first parameter with this name; a parameter without `=` has an empty one.
pub(crate) fn query_param<'a>(request: &'a impl Request, name: &str) -> Option<&'a [u8]> {
    let target = first_value(request, ":path")?;
    let target = target.split(|b| *b == b'#').next()?;
    let query = target.get(target.iter().position(|b| *b == b'?')?.checked_add(1)?..)?;
    query.split(|b| *b == b'&').take(limits::QUERY_PAIRS).find_map(|pair| {
        let rest = pair.strip_prefix(name.as_bytes())?;
        if rest.is_empty() { Some(rest) } else { rest.strip_prefix(b"=") }
    })
}

#[cfg(test)]
mod tests {
    use super::super::HeaderList;
    use super::*;

    #[test]
    fn finds_the_first_of_a_name() {
        for (target, expected) in [
            ("/?a=1&b=2", Some("2")),
            ("/?b=1&b=2", Some("1")),
            ("/?b", Some("")),
            ("/?b=", Some("")),
            ("/?b=a=c?&d", Some("a=c?")),
            ("/?b=%20", Some("%20")),
            ("/?b=1#b=2", Some("1")),
            ("/?bb=1&ab=1", None),
            ("/#?b=1", None),
            ("/b=1", None),
        ] {
            let request = HeaderList::new([(":path", target)]);
            assert_eq!(query_param(&request, "b"), expected.map(str::as_bytes), "{target}");
        }
    }

    #[test]
    fn scanning_is_bounded() {
        let target = |before: usize| format!("/?{}b=1", "a&".repeat(before));
        let find =
            |before| query_param(&HeaderList::new([(":path", target(before))]), "b").is_some();
        assert!(find(limits::QUERY_PAIRS - 1));
        assert!(!find(limits::QUERY_PAIRS));
    }
}
