//! Query parameters, as they stand in the URL: nothing is decoded, as in Envoy's own routes.

use super::scan::{is_clean, split_at_byte};
use super::{Ignored, PATH, Request, trim};
use crate::limits;

/// Names with values, in the order of arrival.
#[derive(Debug, Default)]
pub struct Pairs<'r> {
    pairs: Vec<(&'r [u8], &'r [u8])>,
    /// Whether there are more than may be looked at.
    cut: bool,
}

impl<'r> Pairs<'r> {
    fn push(&mut self, name: &'r [u8], value: &'r [u8]) {
        self.pairs.push((name, value));
    }

    /// The values of a name.
    fn of(&self, name: &[u8]) -> impl Iterator<Item = &[u8]> {
        self.pairs.iter().filter(move |(known, _)| *known == name).map(|(_, value)| *value)
    }
}

/// The value of the first parameter with this name; a parameter without `=` has an empty one.
#[inline(never)]
pub(crate) fn query_param<'a>(request: &'a impl Request, name: &str) -> Option<&'a [u8]> {
    let (value, cut) = match request.known() {
        Some(known) => {
            let pairs = known.query();
            (pairs.of(name.as_bytes()).next(), pairs.cut)
        }
        None => find(target(request), |pair| value_of(pair, name)),
    };
    settled(request, value, cut)
}

/// The same of the request as its client sent it: the proxy may have followed a redirect to another query.
#[inline(never)]
pub(crate) fn asked_param<'a>(request: &'a impl Request, name: &str) -> Option<&'a [u8]> {
    let target = request.first_path().unwrap_or_else(|| target(request));
    // Each of many rules may ask anew.
    let (value, cut) = match request.spent().is_none_or(|spent| spent.scan(target.len())) {
        true => find(target, |pair| value_of(pair, name)),
        false => (None, true),
    };
    settled(request, value, cut)
}

/// The value that was found, if it is usable; without one, notes where the search was `cut`.
fn settled<'a>(request: &impl Request, value: Option<&'a [u8]>, cut: bool) -> Option<&'a [u8]> {
    if value.is_none() && cut {
        request.ignored().insert(Ignored::Query);
    }
    value.filter(|value| is_clean(value))
}

/// The value of a parameter that has this name.
fn value_of<'a>(pair: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let behind = pair.strip_prefix(name.as_bytes())?;
    if behind.is_empty() { Some(behind) } else { behind.strip_prefix(b"=") }
}

/// Looks at all parameters, names and values; whether there are more than may be looked at.
#[inline(never)]
pub(crate) fn each_param<'a>(
    request: &'a impl Request,
    mut look: impl FnMut(&'a [u8], &'a [u8]),
) -> bool {
    let (_, cut) = find(target(request), |pair| -> Option<()> {
        let (name, value) = split_at_byte(pair, b'=');
        look(name, value.unwrap_or_default());
        None
    });
    cut
}

/// All parameters.
pub(super) fn pairs(request: &impl Request) -> Pairs<'_> {
    let mut pairs = Pairs::default();
    pairs.cut = each_param(request, |name, value| pairs.push(name, value));
    pairs
}

fn target(request: &impl Request) -> &[u8] {
    request.find_header(PATH, Some).map(trim).unwrap_or_default()
}

/// Calls `find` on each parameter of a path with its query, and returns its first answer, and whether
/// there are more than may be looked at.
fn find<'a, T>(target: &'a [u8], mut find: impl FnMut(&'a [u8]) -> Option<T>) -> (Option<T>, bool) {
    let (path, query) = split_at_byte(target, b'?');
    let mut rest = query.filter(|_| split_at_byte(path, b'#').1.is_none());
    rest = rest.map(|query| split_at_byte(query, b'#').0);
    let fits = rest.is_some_and(|query| query.len() <= limits::VALUE_BYTES);
    let mut left = if fits { limits::QUERY_PAIRS } else { 0 };
    while let Some(text) = rest {
        let Some(fewer) = left.checked_sub(1) else { return (None, true) };
        let (pair, others) = split_at_byte(text, b'&');
        let found = find(pair);
        if found.is_some() {
            return (found, false);
        }
        (left, rest) = (fewer, others);
    }
    (None, false)
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
        assert!(!find(format!("/?b=1&{}", "a".repeat(limits::VALUE_BYTES))), "nor its first pair");
    }

    /// A request that the proxy has sent elsewhere.
    struct Rerun(HeaderList, &'static [u8]);

    impl Request for Rerun {
        fn find_field<'a, T>(
            &'a self,
            find: impl FnMut(&'a [u8], &'a [u8]) -> Option<T>,
        ) -> Option<T> {
            self.0.find_field(find)
        }

        fn first_path(&self) -> Option<&[u8]> {
            Some(self.1)
        }

        fn source_address(&self) -> Option<std::net::IpAddr> {
            None
        }

        fn ignored(&self) -> &crate::IgnoredSet {
            self.0.ignored()
        }
    }

    #[test]
    fn a_client_has_asked_what_it_sent_at_first() {
        let request = Rerun(HeaderList::new([(":path", "/new?b=2&c=3")]), b"/?b=1");
        assert_eq!(asked_param(&request, "b"), Some(&b"1"[..]));
        assert_eq!(asked_param(&request, "c"), None);
        assert_eq!(query_param(&request, "b"), Some(&b"2"[..]), "conditions see where it leads");
    }

    #[test]
    fn asking_is_bounded_over_all_rules() {
        let target = format!("/?b=1&{}", "a".repeat(limits::VALUE_BYTES / 2));
        let request = HeaderList::new([(":path", target.clone())]);
        let reader = super::super::Reader::new(&request);
        let most = limits::SCANNED_BYTES / target.len();
        let found = (0..most + 9).filter(|_| asked_param(&reader, "b").is_some()).count();
        assert_eq!(found, most);
        assert_eq!(reader.ignored().iter().collect::<Vec<_>>(), [Ignored::Query]);
    }

    #[test]
    fn a_value_that_ends_a_field_is_absent() {
        let find = |target: &str| query_param(&HeaderList::new([(":path", target)]), "b").is_some();
        assert!(!find("/?b=1\r") && find("/?b=1&c=\r"));
    }
}
