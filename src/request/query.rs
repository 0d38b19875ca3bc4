//! Query parameters, as they stand in the URL: nothing is decoded, as in Envoy's own routes.

use super::scan::{is_clean, split_at_byte};
use super::{Ignored, PATH, Request, trim};
use crate::limits;

/// The value of the first parameter with this name; a parameter without `=` has an empty one.
pub(crate) fn query_param<'a>(request: &'a impl Request, name: &str) -> Option<&'a [u8]> {
    let (path, query) = split_at_byte(trim(request.find_header(PATH, Some)?), b'?');
    if let (_, Some(_)) = split_at_byte(path, b'#') {
        return None;
    }
    let (query, _) = split_at_byte(query?, b'#');
    let mut left = if query.len() <= limits::VALUE_BYTES { limits::QUERY_PAIRS } else { 0 };
    let mut rest = Some(query);
    while let Some(text) = rest {
        let Some(fewer) = left.checked_sub(1) else {
            request.ignored().insert(Ignored::Query);
            return None;
        };
        let (pair, others) = split_at_byte(text, b'&');
        let value = pair.strip_prefix(name.as_bytes()).and_then(|behind| {
            if behind.is_empty() { Some(behind) } else { behind.strip_prefix(b"=") }
        });
        if let Some(value) = value {
            return is_clean(value).then_some(value);
        }
        (left, rest) = (fewer, others);
    }
    None
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
        let find = |target: String| {
            let request = HeaderList::new([(":path", target)]);
            let found = query_param(&request, "b").is_some();
            assert_eq!(request.ignored().iter().eq([Ignored::Query]), !found);
            found
        };
        let pairs = |before: usize| find(format!("/?{}b=1", "a&".repeat(before)));
        assert!(pairs(limits::QUERY_PAIRS - 1));
        assert!(!pairs(limits::QUERY_PAIRS));
        let bytes = |before: usize| find(format!("/?{}&b=1", "a".repeat(before)));
        assert!(bytes(limits::VALUE_BYTES - 4));
        assert!(!bytes(limits::VALUE_BYTES - 3));
    }

    #[test]
    fn a_value_that_ends_a_field_is_absent() {
        let find = |target: &str| query_param(&HeaderList::new([(":path", target)]), "b").is_some();
        assert!(!find("/?b=1\r") && find("/?b=1&c=\r"));
    }
}
