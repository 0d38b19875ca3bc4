//! Navigations of browsers, by what browsers say of their requests (W3C, Fetch Metadata Request Headers).
//! They say it over TLS and to loopback addresses alone.

use crate::request::{Request, first_value};

/// The request headers that tell a navigation, in lower case.
pub(crate) const HEADERS: [&str; 3] = ["sec-fetch-dest", "sec-fetch-mode", "sec-purpose"];

/// Whether a request asks for a page that a browser shows in place of the one before. A form that is
/// sent belongs to the page that has it, and so does a page that is only fetched in advance.
#[inline(never)]
pub(crate) fn is_navigation(request: &impl Request) -> bool {
    let [dest, mode, purpose] = HEADERS;
    [(mode, "navigate"), (dest, "document"), (":method", "GET")]
        .iter()
        .all(|(name, value)| first_value(request, name) == Some(value.as_bytes()))
        && first_value(request, purpose).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::HeaderList;

    #[test]
    fn a_navigation_is_told_by_all_of_its_headers() {
        let page =
            [(":method", "GET"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
        let with = |name: &'static str, value: &'static str| {
            let rest = page.into_iter().filter(move |(known, _)| *known != name);
            HeaderList::new(rest.chain([(name, value)]).filter(|(_, value)| !value.is_empty()))
        };
        for (name, value, expected) in [
            ("accept", "text/html", true),
            ("sec-fetch-user", "?1", true),
            ("sec-fetch-site", "cross-site", true),
            ("sec-fetch-dest", "iframe", false),
            ("sec-fetch-dest", "object", false),
            ("sec-fetch-dest", "empty", false),
            ("sec-fetch-dest", "", false),
            ("sec-fetch-dest", "Document", false),
            ("sec-fetch-mode", "cors", false),
            ("sec-fetch-mode", "nested-navigate", false),
            ("sec-fetch-mode", "", false),
            (":method", "POST", false),
            ("sec-purpose", "prefetch", false),
            ("sec-purpose", "prefetch;prerender", false),
        ] {
            assert_eq!(is_navigation(&with(name, value)), expected, "{name}: {value}");
        }
        assert!(!is_navigation(&HeaderList::default()));
    }
}
