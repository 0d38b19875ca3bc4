//! Cookies, parsed in place (RFC 6265bis section 5.6).

use super::{Ignored, Request, is_clean, trim, trim_start};
use crate::limits;

/// Calls `find` on each value of the cookie with this name, in the order of arrival, and returns its
/// first answer.
pub(crate) fn find_cookie<'a, T>(
    request: &'a impl Request,
    name: &str,
    mut find: impl FnMut(&'a [u8]) -> Option<T>,
) -> Option<T> {
    // Names are compared before a search for `=`.
    let name = name.as_bytes();
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

/// Every pair as it was sent, but for those whose name is replaced and those with bytes that no
/// field may hold. Nothing else is lost, however many there are.
pub(crate) fn other_cookies(
    request: &impl Request,
    replaced: impl Fn(&[u8]) -> bool,
) -> Vec<Vec<u8>> {
    let mut kept = Vec::new();
    request.find_header("cookie", |line| -> Option<()> {
        let pairs = line.split(|b| *b == b';').map(trim).filter(|text| {
            !text.is_empty() && is_clean(text) && !pair(text).is_some_and(|(n, _)| replaced(n))
        });
        kept.extend(pairs.map(<[u8]>::to_vec));
        None
    });
    kept
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
    let (mut bytes, mut pairs) = (limits::COOKIE_BYTES, limits::COOKIE_PAIRS);
    request.find_header("cookie", |line| {
        let mut rest = Some(line);
        while let Some(line) = rest {
            let (text, others) = split_at_semicolon(line);
            match (bytes.checked_sub(text.len()), pairs.checked_sub(1)) {
                (Some(left_bytes), Some(left_pairs)) => (bytes, pairs) = (left_bytes, left_pairs),
                _ => {
                    request.ignored().insert(Ignored::Cookies);
                    // Nor is any line that follows looked at.
                    pairs = 0;
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
    })
}

fn split_at_semicolon(line: &[u8]) -> (&[u8], Option<&[u8]>) {
    match semicolon(line).and_then(|end| line.split_at_checked(end)) {
        Some((text, rest)) => (text, rest.get(1..)),
        None => (line, None),
    }
}

/// The place of the first semicolon. Eight bytes are looked at together, by the test for a zero byte of
/// Hacker's Delight, section 6-1: memchr takes four in Wasm, for all its care about alignment.
fn semicolon(line: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
    const SEMICOLONS: u64 = u64::from_le_bytes([b';'; 8]);
    let (words, rest) = line.as_chunks::<8>();
    let mut places = (0_usize..).step_by(8);
    for (word, place) in words.iter().zip(places.by_ref()) {
        let word = u64::from_le_bytes(*word) ^ SEMICOLONS;
        let zeros = word.wrapping_sub(ONES) & !word & HIGHS;
        if zeros != 0 {
            // Only above the first zero byte can another one be mistaken for it.
            return Some(place | (zeros.trailing_zeros() / 8) as usize);
        }
    }
    let in_rest = rest.iter().position(|b| *b == b';')?;
    places.next()?.checked_add(in_rest)
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
    fn a_semicolon_is_found_wherever_it_is() {
        // `:` and `<` differ from it in the lowest bits, and \xbb in the highest one.
        for filler in [b'a', b':', b'<', 0, 0xbb, 0xff] {
            for length in 0..40 {
                let mut line = vec![filler; length];
                assert_eq!(semicolon(&line), None, "{line:?}");
                for place in (0..length).rev() {
                    line[place] = b';';
                    assert_eq!(semicolon(&line), Some(place), "{line:?}");
                }
            }
        }
    }

    #[test]
    fn no_byte_that_ends_a_field_is_echoed() {
        let lines = ["a=1; b=2\r\nx: y; c", "d=\0;e=3;;", " f=4"];
        let kept =
            other_cookies(&HeaderList::new(lines.map(|line| ("cookie", line))), |n| n == b"e");
        assert_eq!(kept, [&b"a=1"[..], b"c", b"f=4"]);
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
        let lines = ["a=1; =2; b ; c = 3 ;d=", "a=4;e=\0;f==5"];
        let request = HeaderList::new(lines.map(|line| ("cookie", line)));
        let mut pairs = Vec::new();
        each_cookie(&request, |name, value| {
            pairs.push(format!("{}={}", name.escape_ascii(), value.escape_ascii()));
        });
        assert_eq!(pairs, ["a=1", "c=3", "d=", "a=4", "f==5"]);
    }

    #[test]
    fn a_value_that_ends_a_field_is_passed_over() {
        assert_eq!(find(&["split=\0", "split=x"], "split").as_deref(), Some("x"));
    }
}
