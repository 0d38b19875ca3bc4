//! The one reader of a request's parts: matchers, keys, the index and explanations ask it.

use super::{Request, find_cookie, find_cookie_any_case, find_value, path, query_param, texts};
use crate::config::Part;

impl Part {
    /// Calls `find` on each usable value of this part, in the order of arrival, and returns its
    /// first answer.
    pub(crate) fn find<'a, T>(
        &'a self,
        request: &'a impl Request,
        mut find: impl FnMut(&'a [u8]) -> Option<T>,
    ) -> Option<T> {
        match self {
            Part::Header(name) => find_value(request, name, find),
            Part::Method => find_value(request, METHOD, find),
            Part::Authority => find_value(request, AUTHORITY, find),
            Part::Cookie(name) => find_cookie(request, name, find),
            Part::CookieAnyCase(name) => find_cookie_any_case(request, name, find),
            Part::QueryParam(name) => find(query_param(request, name)?),
            Part::Path => find(path(request)?),
            Part::Property(path) => find(texts::property(request, path)?),
            Part::Baggage(key) => find(texts::baggage(request, key)?),
        }
    }

    /// Whether a value of this part passes a test. Each value of a repeated header is tried by
    /// itself, never joined with the others (CVE-2026-26308); of the cookies with one name only the
    /// first counts.
    pub(crate) fn any(&self, request: &impl Request, mut test: impl FnMut(&[u8]) -> bool) -> bool {
        let first_only = matches!(self, Part::Cookie(_) | Part::CookieAnyCase(_));
        let answer = self.find(request, |value| {
            let passed = test(value);
            (passed || first_only).then_some(passed)
        });
        answer == Some(true)
    }

    /// The values that a condition on this part looks at: none, one, or several of a repeated header.
    pub fn values<'a>(&'a self, request: &'a impl Request) -> Vec<&'a [u8]> {
        let mut values = Vec::new();
        let first_only = matches!(self, Part::Cookie(_) | Part::CookieAnyCase(_));
        self.find(request, |value| {
            values.push(value);
            first_only.then_some(())
        });
        values
    }

    /// The header that holds this part as a whole.
    pub(crate) fn header_name(&self) -> Option<&str> {
        match self {
            Part::Header(name) => Some(name),
            Part::Method => Some(METHOD),
            Part::Authority => Some(AUTHORITY),
            Part::Cookie(_)
            | Part::CookieAnyCase(_)
            | Part::QueryParam(_)
            | Part::Path
            | Part::Property(_)
            | Part::Baggage(_) => None,
        }
    }
}

const METHOD: &str = ":method";
pub(crate) const AUTHORITY: &str = ":authority";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::HeaderList;

    fn request() -> HeaderList {
        HeaderList::new([
            (":method", "GET"),
            (":authority", "h:80"),
            (":path", "/p?q=1&q=2"),
            ("x", "1"),
            ("x", "2"),
            ("cookie", "c=1; c=2"),
            ("filter_state\0f", "/p"),
            ("baggage", "b=other"),
        ])
    }

    #[test]
    fn each_part_is_read_where_it_is() {
        for (part, values, header) in [
            (Part::Header("x".into()), &["1", "2"][..], Some("x")),
            (Part::Method, &["GET"], Some(":method")),
            (Part::Authority, &["h:80"], Some(":authority")),
            (Part::Cookie("c".into()), &["1"], None),
            (Part::CookieAnyCase("C".into()), &["1"], None),
            (Part::QueryParam("q".into()), &["1"], None),
            (Part::Path, &["/p"], None),
            (Part::Property("filter_state\0f".into()), &["/p"], None),
            (Part::Baggage("b".into()), &["other"], None),
            (Part::Header("y".into()), &[], Some("y")),
        ] {
            let request = request();
            let expected: Vec<_> = values.iter().map(|value| value.as_bytes()).collect();
            assert_eq!(part.values(&request), expected, "{part:?}");
            assert_eq!(part.header_name(), header, "{part:?}");
            for value in ["1", "2", "GET", "h:80", "/p", "other"] {
                let any = part.any(&request, |known| known == value.as_bytes());
                assert_eq!(any, values.contains(&value), "{part:?} {value}");
            }
        }
    }

    #[test]
    fn the_first_answer_counts() {
        let (part, request) = (Part::Header("x".into()), request());
        assert_eq!(part.find(&request, |value| Some(value.to_vec())), Some(b"1".to_vec()));
        assert_eq!(part.find(&request, |value| (value == b"2").then_some(7)), Some(7));
        assert_eq!(part.find(&request, |_| None::<()>), None);
    }
}
