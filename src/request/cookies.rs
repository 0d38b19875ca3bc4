//! Cookies, parsed in place (RFC 6265bis section 5.6).

use super::scan::{is_clean, split_at_byte};
use super::{Ignored, IgnoredSet, Request, Spent, trim, trim_start};
use crate::limits;

/// Calls `find` on each value of the cookie with this name, in the order of arrival, and returns its
/// first answer.
pub(crate) fn find_cookie<'a, T>(
    request: &'a impl Request,
    name: &str,
    mut find: impl FnMut(&'a [u8]) -> Option<T>,
) -> Option<T> {
    let name = name.as_bytes();
    // Names are compared before a search for `=`.
    find_text(request, |text| {
        let text = trim_start(text);
        // Most differ in the first byte, and so cost no call.
        if text.first() != name.first() {
            return None;
        }
        let behind = text.strip_prefix(name)?;
        let value = trim(trim(behind).strip_prefix(b"=")?);
        if is_clean(value) { find(value) } else { None }
    })
}

/// The same of a name in which ASCII letters match in either case, as nginx looks cookies up.
pub(crate) fn find_cookie_any_case<'a, T>(
    request: &'a impl Request,
    name: &str,
    mut find: impl FnMut(&'a [u8]) -> Option<T>,
) -> Option<T> {
    find_text(request, |text| {
        let (known, value) = pair(text)?;
        let found = known.eq_ignore_ascii_case(name.as_bytes()) && is_clean(value);
        if found { find(value) } else { None }
    })
}

/// All `cookie` fields as one (RFC 9113 section 8.2.3), as they were sent: only the pairs whose name is
/// replaced are cut out, and those with bytes that no field may hold.
pub(crate) fn other_cookies(request: &impl Request, replaced: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut kept = Vec::new();
    request.find_header("cookie", |line| -> Option<()> {
        let stays =
            |text: &&[u8]| is_clean(text) && !pair(text).is_some_and(|(name, _)| replaced(name));
        let texts: Vec<_> = line.split(|b| *b == b';').filter(stays).collect();
        append_cookie(&mut kept, trim_start(&texts.join(&b';')));
        None
    });
    kept
}

/// Puts a text of cookies behind others.
pub(crate) fn append_cookie(cookies: &mut Vec<u8>, text: &[u8]) {
    if text.is_empty() {
        return;
    }
    cookies.extend_from_slice(match cookies.trim_ascii_end() {
        [] => b"",
        [.., b';'] => b" ",
        _ => b"; ",
    });
    cookies.extend_from_slice(text);
}

/// Looks at the pairs of all `cookie` fields, names and values.
pub(crate) fn each_cookie<'a>(request: &'a impl Request, mut look: impl FnMut(&'a [u8], &'a [u8])) {
    let _: Option<()> = find_text(request, |text| {
        let (name, value) = pair(text).filter(|(_, value)| is_clean(value))?;
        look(name, value);
        None
    });
}

/// Calls `find` on each text between semicolons, as if HTTP/2 crumbs and repeated lines had been
/// joined with `; ` (RFC 9113 section 8.2.3), and returns its first answer.
fn find_text<'a, T>(
    request: &'a impl Request,
    mut find: impl FnMut(&'a [u8]) -> Option<T>,
) -> Option<T> {
    let mut left = Left { bytes: limits::COOKIE_BYTES, pairs: limits::COOKIE_PAIRS };
    let (ignored, spent) = (request.ignored(), request.spent());
    request.find_header("cookie", |line| find_in_line(line, &mut left, (ignored, spent), &mut find))
}

/// How much is still looked at.
struct Left {
    bytes: usize,
    pairs: usize,
}

/// The same in one line. A function of its own: inside the loop over all headers it would slow down
/// that loop.
#[inline(never)]
fn find_in_line<'a, T>(
    line: &'a [u8],
    left: &mut Left,
    (ignored, spent): (&IgnoredSet, Option<&Spent>),
    find: &mut impl FnMut(&'a [u8]) -> Option<T>,
) -> Option<T> {
    if spent.is_some_and(|spent| !spent.scan(line.len())) {
        ignored.insert(Ignored::Cookies);
        return None;
    }
    let mut rest = Some(line);
    while let Some(line) = rest {
        let (text, others) = split_at_byte(line, b';');
        match (left.bytes.checked_sub(text.len()), left.pairs.checked_sub(1)) {
            (Some(bytes), Some(pairs)) => *left = Left { bytes, pairs },
            _ => {
                ignored.insert(Ignored::Cookies);
                // Nor is any line that follows looked at.
                left.pairs = 0;
                return None;
            }
        }
        let found = find(text);
        if found.is_some() {
            return found;
        }
        rest = others;
    }
    None
}

/// Name and value; `None` of what is no pair, or has no name. Quotes and `$` have no special
/// meaning; only SP and HTAB are trimmed.
fn pair(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, value) = text.split_at_checked(text.iter().position(|b| *b == b'=')?)?;
    let (name, value) = (trim(name), trim(value.get(1..)?));
    (!name.is_empty()).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::super::HeaderList;
    use super::*;

    fn find(lines: &[&str], name: &str) -> Option<String> {
        let request = HeaderList::new(lines.iter().map(|line| ("cookie", *line)));
        find_cookie(&request, name, Some).map(|value| String::from_utf8(value.to_vec()).unwrap())
    }

    #[test]
    fn finds_the_first_of_a_name() {
        for (lines, expected) in [
            (&["a=1; split=x; b=2"][..], Some("x")),
            (&["a=1", "split=x"], Some("x")),
            (&["split=x; split=y"], Some("x")),
            (&["=x;;a; ;split=x;"], Some("x")),
            (&["split = x "], Some("x")),
            (&["split=x=y"], Some("x=y")),
            (&["split="], Some("")),
            (&["split=\"v\""], Some("\"v\"")),
            (&["$Version=1; split=v; $Path=/"], Some("v")),
            (&["xsplit=x; split2=y; Split=z"], None),
            (&["\u{2000}split=x"], None),
            (&["split"], None),
            (&[], None),
        ] {
            assert_eq!(find(lines, "split").as_deref(), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_name_in_any_case_is_found_where_it_is_first() {
        for (lines, expected) in [
            (&["a=1; SPLIT=x; split=y"][..], Some("x")),
            (&["splits=x; plit=y", "Split = z "], Some("z")),
            (&["SPLIT=\0; split=y"], Some("y")),
            (&["split; =split"], None),
        ] {
            let request = HeaderList::new(lines.iter().map(|line| ("cookie", *line)));
            let found = find_cookie_any_case(&request, "spLit", Some);
            assert_eq!(found, expected.map(str::as_bytes), "{lines:?}");
        }
    }

    #[test]
    fn every_byte_of_other_cookies_stays() {
        for (lines, expected) in [
            (&["a=\"x;y\""][..], "a=\"x;y\""),
            (&["a=1;b=2;  c=3"], "a=1;b=2;  c=3"),
            (&["a=1; e=5; b=2"], "a=1; b=2"),
            (&["e=5; a=1"], "a=1"),
            (&["a=1; e=5"], "a=1"),
            (&["a=1; e = 5 ;b"], "a=1;b"),
            (&["e=5"], ""),
            (&["e=5;e=6", "e"], "e"),
            (&["a=1;;=2; ;"], "a=1;;=2; ;"),
            (&["a=\"x; e=5; y\""], "a=\"x; y\""),
            (&["a=1", "e=5", "b=\"x;y\"; c"], "a=1; b=\"x;y\"; c"),
            (&["a=1;", "b=2"], "a=1; b=2"),
            (&["a=\u{e9}; E=5; ee=6"], "a=\u{e9}; E=5; ee=6"),
            (&[], ""),
        ] {
            let request = HeaderList::new(lines.iter().map(|line| ("cookie", *line)));
            let kept = other_cookies(&request, |name| name == b"e");
            assert_eq!(String::from_utf8(kept).unwrap(), expected, "{lines:?}");
        }
    }

    #[test]
    fn no_byte_that_ends_a_field_is_echoed() {
        let lines = ["a=1; b=2\r\nx: y; c", "d=\0;e=3;;", " f=4"];
        let kept =
            other_cookies(&HeaderList::new(lines.map(|line| ("cookie", line))), |n| n == b"e");
        assert_eq!(kept, b"a=1; c; ; f=4");
    }

    #[test]
    fn scanning_is_bounded() {
        let crumbs = |before: usize| "a=1;".repeat(before) + "split=x";
        assert_eq!(find(&[&crumbs(limits::COOKIE_PAIRS - 1)], "split").as_deref(), Some("x"));
        assert_eq!(find(&[&crumbs(limits::COOKIE_PAIRS)], "split"), None);
        let long = |bytes: usize| format!("a={};split=x", "1".repeat(bytes));
        assert_eq!(find(&[&long(limits::COOKIE_BYTES - 9)], "split").as_deref(), Some("x"));
        assert_eq!(find(&[&long(limits::COOKIE_BYTES - 8)], "split"), None);
        let longer = "1".repeat(limits::COOKIE_BYTES + 1);
        assert_eq!(find(&[&longer, "split=x"], "split"), None, "nor is a later line looked at");
    }

    #[test]
    fn cookies_beyond_the_limits_are_noted() {
        for (pairs, noted) in [(limits::COOKIE_PAIRS, false), (limits::COOKIE_PAIRS + 1, true)] {
            let line = vec!["a=1"; pairs].join(";");
            let request = HeaderList::new([("cookie", line)]);
            assert_eq!(find_cookie(&request, "b", Some), None);
            assert_eq!(request.ignored().iter().any(|it| it == Ignored::Cookies), noted, "{pairs}");
        }
    }

    #[test]
    fn each_pair_is_looked_at_once() {
        let lines = ["d=;a=1; =2; b ; c = 3", "a=4;e=\0;f==5"];
        let request = HeaderList::new(lines.map(|line| ("cookie", line)));
        let mut pairs = Vec::new();
        each_cookie(&request, |name, value| {
            pairs.push(format!("{}={}", name.escape_ascii(), value.escape_ascii()));
        });
        assert_eq!(pairs, ["d=", "a=1", "c=3", "a=4", "f==5"]);
    }

    #[test]
    fn a_value_that_ends_a_field_is_passed_over() {
        assert_eq!(find(&["split=\0", "split=x"], "split").as_deref(), Some("x"));
    }
}
