//! Questions to a value. Values are bytes: an operand is compared with them as UTF-8.

use std::ops::Range;

use super::list::List;
use super::search::Search;
use crate::regex::Regex;
use crate::request::{Ignored, IgnoredSet, elements};
use crate::{config, limits};

/// A question to a value.
#[derive(Debug)]
pub(crate) enum Text {
    Exact(Operand),
    Prefix(Operand),
    /// The segments of a path: the operand has no `/` at its end.
    PathPrefix(Operand),
    Suffix(Operand),
    /// A search, and the steps that it may take in a request.
    Contains(Search, u32),
    /// An element of a list, and the steps that the search for it may take in a request.
    Member(Operand, u32),
    In(List),
    /// An expression, and the steps that it may take in a request. Matches no value that is not UTF-8.
    Regex(Regex, u32),
    Range(Box<Range<i128>>),
    Present,
}

impl Text {
    /// Whether a value matches. One that is too long to be searched does not, and is noted. `left` has the
    /// steps that are left of this condition in this request, once it has taken some.
    pub(crate) fn matches(
        &self,
        value: &[u8],
        ignored: &IgnoredSet,
        left: &mut Option<u32>,
    ) -> bool {
        match self {
            Text::Exact(operand) => operand.equals(value),
            Text::Prefix(operand) => {
                value.get(..operand.bytes.len()).is_some_and(|head| operand.equals(head))
            }
            Text::PathPrefix(operand) => operand.begins_path(value),
            Text::Suffix(operand) => value
                .len()
                .checked_sub(operand.bytes.len())
                .and_then(|start| value.get(start..))
                .is_some_and(|tail| operand.equals(tail)),
            Text::Contains(search, steps) => {
                let left = left.get_or_insert(*steps);
                searched(value, ignored, |value| search.found_in(value, left))
            }
            Text::Member(operand, steps) => {
                let left = left.get_or_insert(*steps);
                searched(value, ignored, |value| operand.is_member(value, left))
            }
            Text::In(list) => list.contains(value),
            Text::Regex(regex, steps) => {
                let left = left.get_or_insert(*steps);
                searched(value, ignored, |value| regex.matches(value, left))
            }
            Text::Range(range) => integer(value).is_some_and(|number| range.contains(&number)),
            Text::Present => true,
        }
    }
}

impl Text {
    /// The only values that match, where there are so many, and where their case is ignored or counts
    /// as asked.
    pub(crate) fn values(&self, ignore_case: bool) -> Option<impl Iterator<Item = &[u8]>> {
        let values = match self {
            Text::Exact(operand) if operand.ignore_case == ignore_case => {
                std::slice::from_ref(&operand.bytes)
            }
            Text::In(list) => list.values(ignore_case)?,
            _ => return None,
        };
        Some(values.iter().map(|value| &**value))
    }

    /// The text that every matching value begins with, if there is one.
    pub(crate) fn prefix(&self) -> Option<&[u8]> {
        match self {
            Text::Prefix(operand) | Text::PathPrefix(operand) if !operand.ignore_case => {
                Some(&operand.bytes)
            }
            _ => None,
        }
    }
}

/// Searches a value; one that is too long, or takes more steps than are left, is noted. A function of
/// its own, as the others marked so: code that most requests jump over still costs them, in its length.
#[inline(never)]
fn searched(
    value: &[u8],
    ignored: &IgnoredSet,
    search: impl FnOnce(&[u8]) -> Option<bool>,
) -> bool {
    let fits = Some(value).filter(|value| value.len() <= limits::SEARCH_BYTES);
    let found = fits.and_then(search);
    if found.is_none() {
        ignored.insert(Ignored::Search);
    }
    found == Some(true)
}

/// A text to compare with, in either case of ASCII letters if so asked.
#[derive(Debug)]
pub(crate) struct Operand {
    bytes: Box<[u8]>,
    ignore_case: bool,
}

impl Operand {
    pub(crate) fn new(text: &str, ignore_case: bool) -> Self {
        Operand { bytes: text.as_bytes().into(), ignore_case }
    }

    /// Whether the segments of a path begin with those of this one.
    #[inline(never)]
    fn begins_path(&self, path: &[u8]) -> bool {
        path.split_at_checked(self.bytes.len())
            .is_some_and(|(head, rest)| matches!(rest, [] | [b'/', ..]) && self.equals(head))
    }

    /// Whether it is an element of a list; `None` if that takes more steps than are left.
    #[inline(never)]
    fn is_member(&self, list: &[u8], left: &mut u32) -> Option<bool> {
        *left = left.checked_sub(u32::try_from(list.len()).ok()?)?;
        Some(elements(list).any(|element| self.equals(element)))
    }

    fn equals(&self, value: &[u8]) -> bool {
        if self.ignore_case {
            self.bytes.eq_ignore_ascii_case(value)
        } else {
            *self.bytes == *value
        }
    }
}

fn integer(value: &[u8]) -> Option<i128> {
    let value = value.get(..).filter(|value| value.len() <= limits::INTEGER_BYTES)?;
    config::long(std::str::from_utf8(value).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operand(text: &str, ignore_case: bool) -> Operand {
        Operand::new(text, ignore_case)
    }

    fn regex(pattern: &str) -> Text {
        Text::Regex(Regex::new(pattern, false, &mut 1000).unwrap(), u32::MAX)
    }

    fn matches(text: &Text, value: &[u8]) -> bool {
        text.matches(value, &IgnoredSet::default(), &mut None)
    }

    #[test]
    fn operators() {
        let list = |ignore_case| List::new(["beta", "Alpha", "0"].into_iter(), ignore_case);
        for (text, yes, no) in [
            (Text::Exact(operand("ab", false)), &["ab"][..], &["AB", "abc", "a", ""][..]),
            (Text::Exact(operand("aB", true)), &["ab", "AB"], &["abc"]),
            (Text::Exact(operand("", false)), &[""], &["a"]),
            (Text::Prefix(operand("/a", false)), &["/a", "/ab"], &["/A", "/", "", "x/a"]),
            (Text::Prefix(operand("/a", true)), &["/A", "/ab"], &["/"]),
            (
                Text::PathPrefix(operand("/a", false)),
                &["/a", "/a/", "/a/b", "/a//b"],
                &["/A", "/ab", "/", "", "/b/a", "/a-v2", "/a."],
            ),
            (Text::PathPrefix(operand("/a", true)), &["/A/b"], &["/AB"]),
            (Text::PathPrefix(operand("", false)), &["/", "/a", ""], &["*"]),
            (Text::Suffix(operand("com", false)), &["com", "a.com"], &["COM", "om", "", "comx"]),
            (Text::Suffix(operand("com", true)), &["a.COM"], &["om"]),
            (
                Text::Member(operand("beta", false), 1_000),
                &[
                    "beta",
                    "staff, beta",
                    "beta,staff",
                    " a ,\tbeta , ,b",
                    ",,beta",
                    "\"a,b\", beta",
                ],
                &["notbeta", "beta2", "Beta", "", "staff beta", "\"x, beta, y\"", "beta;q=1"],
            ),
            (Text::Member(operand("beta", true), 1_000), &["a, BETA"], &["betas"]),
            (Text::In(list(false)), &["beta", "Alpha", "0"], &["alpha", "Beta", "", "00"]),
            (Text::In(list(true)), &["BETA", "alpha"], &["betas", ""]),
            (
                Text::Range(Box::new(-1..10)),
                &["-1", "0", "9", "+9", "009"],
                &["10", "-2", "1.0", "", "1a"],
            ),
            (Text::Range(Box::new(0..7)), &["6"], &["7", "-"]),
            (
                Text::Range(Box::new(i128::from(i64::MIN)..i128::from(u64::MAX))),
                &["-9223372036854775808", "9223372036854775808", "18446744073709551614"],
                &["-9223372036854775809", "18446744073709551615", "18446744073709551616"],
            ),
            (Text::Present, &["", "a"], &[]),
        ] {
            for value in yes {
                assert!(matches(&text, value.as_bytes()), "{text:?} {value}");
            }
            for value in no {
                assert!(!matches(&text, value.as_bytes()), "{text:?} {value}");
            }
        }
    }

    #[test]
    fn a_value_too_long_to_be_searched_is_noted() {
        let (at, beyond) = (limits::SEARCH_BYTES, limits::SEARCH_BYTES + 1);
        for (text, length, matched, noted) in [
            (Text::Contains(Search::new("aa", false), u32::MAX), at, true, false),
            (Text::Contains(Search::new("aa", false), u32::MAX), beyond, false, true),
            (Text::Member(operand(&"a".repeat(at), false), u32::MAX), at, true, false),
            (Text::Member(operand("aa", false), u32::MAX), beyond, false, true),
            (regex("a*"), at, true, false),
            (regex("a*"), beyond, false, true),
            (Text::Prefix(operand("aa", false)), beyond, true, false),
            (Text::Present, beyond, true, false),
        ] {
            let ignored = IgnoredSet::default();
            assert_eq!(
                text.matches(&b"a".repeat(length), &ignored, &mut None),
                matched,
                "{text:?}"
            );
            assert_eq!(ignored.iter().eq([Ignored::Search]), noted, "{text:?}");
        }
    }

    /// `SEARCH_STEPS` of a configuration are shared out among its conditions.
    #[test]
    fn a_condition_takes_no_more_steps_than_its_own() {
        for text in [
            Text::Contains(Search::new("b", false), 100),
            Text::Regex(Regex::new(".*b", false, &mut 1000).unwrap(), 100),
        ] {
            let (ignored, mut left) = (IgnoredSet::default(), None);
            let mut asked = |value: &str| text.matches(value.as_bytes(), &ignored, &mut left);
            assert!(!asked(&"a".repeat(60)) && asked(&("a".repeat(39) + "b")), "{text:?}");
            assert_eq!(ignored.iter().count(), 0, "{text:?}");
            assert!(!asked("b"), "{text:?}");
            assert!(ignored.iter().eq([Ignored::Search]), "{text:?}");
            assert!(text.matches(b"b", &ignored, &mut None), "the next request begins anew");
        }
    }

    #[test]
    fn a_number_of_more_digits_than_any_has_is_none() {
        let seven = Text::Range(Box::new(7..8));
        for (digits, matched) in [(limits::INTEGER_BYTES, true), (limits::INTEGER_BYTES + 1, false)]
        {
            assert_eq!(matches(&seven, format!("{:0>digits$}", 7).as_bytes()), matched, "{digits}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_are_compared_as_bytes() {
        let value = b"1 \xc0\xa7";
        assert!(matches(&Text::Prefix(operand("1 ", false)), value));
        assert!(!matches(&Text::Exact(operand("1 ", false)), value));
        assert!(!matches(&regex(".*"), value));
        assert!(!matches(&Text::Range(Box::new(0..2)), value));
    }

    #[test]
    fn values_and_prefixes_are_known_where_case_counts() {
        let list = |ignore_case| List::new(["b", "a"].into_iter(), ignore_case);
        for (text, values, prefix) in [
            (Text::Exact(operand("ab", false)), Some(vec!["ab"]), None),
            (Text::Exact(operand("ab", true)), None, None),
            (Text::In(list(false)), Some(vec!["b", "a"]), None),
            (Text::In(list(true)), None, None),
            (Text::Prefix(operand("/a", false)), None, Some("/a")),
            (Text::Prefix(operand("/a", true)), None, None),
            (Text::Suffix(operand("/a", false)), None, None),
            (Text::Present, None, None),
        ] {
            assert!(text.values(false).is_none() || text.values(true).is_none(), "{text:?}");
            let known = text.values(false).map(|known| known.collect::<Vec<_>>());
            let expected = values.map(|v| v.into_iter().map(str::as_bytes).collect::<Vec<_>>());
            assert_eq!(known, expected, "{text:?}");
            assert_eq!(text.prefix(), prefix.map(str::as_bytes), "{text:?}");
        }
    }
}
