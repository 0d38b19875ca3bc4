//! Requests, as the core asks them. Nothing here trusts a byte of a request: values are bytes, not
//! text, and a value that is longer than its limit, or has a byte that no value may have, counts as
//! absent.

mod cookies;
mod elements;
mod host;
mod ignored;
mod list;
mod part;
mod query;
mod reader;
mod scan;
mod spent;
mod texts;

pub use ignored::{Ignored, IgnoredSet};
pub use list::HeaderList;
pub use texts::Texts;

pub(crate) use cookies::{
    append_cookie, each_cookie, find_cookie, find_cookie_any_case, other_cookies,
};
pub(crate) use elements::elements;
pub(crate) use host::{bare_host, host};
pub(crate) use part::AUTHORITY;
pub(crate) use query::{asked_param, each_param, query_param};
pub(crate) use reader::Reader;
pub(crate) use spent::Spent;

use std::net::IpAddr;

use crate::limits;
use reader::Known;
use scan::is_clean;
pub(crate) use scan::split_at_byte;

const PATH: &str = ":path";

/// A request as it arrived.
///
/// Fields are gone through by calls of a function, not by an iterator: an iterator keeps in memory
/// where it stands, and with it a standard decision took 6 % more instructions in Wasm.
///
/// ```
/// use std::net::IpAddr;
/// use traffic_split::{IgnoredSet, Request};
///
/// /// A request for a path, and nothing else.
/// struct Bare<'p>(&'p str, IgnoredSet);
///
/// impl Request for Bare<'_> {
///     fn find_field<'a, T>(
///         &'a self,
///         mut find: impl FnMut(&'a [u8], &'a [u8]) -> Option<T>,
///     ) -> Option<T> {
///         find(b":path", self.0.as_bytes())
///     }
///
///     fn source_address(&self) -> Option<IpAddr> {
///         None
///     }
///
///     fn ignored(&self) -> &IgnoredSet {
///         &self.1
///     }
/// }
///
/// let request = Bare("/reviews/1", IgnoredSet::default());
/// assert_eq!(request.find_header(":path", Some), Some(&b"/reviews/1"[..]));
/// assert_eq!(request.find_header("cookie", Some), None);
/// ```
pub trait Request {
    /// Calls `find` on each header field, name and value, in the order of arrival, and returns its
    /// first answer. Names are in lower case; `:method`, `:path` and `:authority` are headers too.
    fn find_field<'a, T>(&'a self, find: impl FnMut(&'a [u8], &'a [u8]) -> Option<T>) -> Option<T>;

    /// Calls `find` on each value of the header with this name, and returns its first answer.
    fn find_header<'a, T>(
        &'a self,
        name: &str,
        mut find: impl FnMut(&'a [u8]) -> Option<T>,
    ) -> Option<T> {
        self.find_field(|known, value| if known == name.as_bytes() { find(value) } else { None })
    }

    /// Calls `find` on each header field whose name has one of these lengths, and returns its first
    /// answer. Bit n of the lengths stands for n bytes, bit 63 for all above.
    fn find_field_of_lengths<'a, T>(
        &'a self,
        lengths: u64,
        mut find: impl FnMut(&'a [u8], &'a [u8]) -> Option<T>,
    ) -> Option<T> {
        self.find_field(
            |name, value| {
                if lengths & length(name.len()) == 0 { None } else { find(name, value) }
            },
        )
    }

    /// The `:authority` that the client asked for, if the proxy has followed a redirect since, which may
    /// have changed it.
    fn first_authority(&self) -> Option<&[u8]> {
        None
    }

    /// The `:path` that the client asked for, if the proxy has followed a redirect since, which may have
    /// changed it.
    fn first_path(&self) -> Option<&[u8]> {
        None
    }

    /// The client's address, without a port, as the proxy sees it.
    fn source_address(&self) -> Option<IpAddr>;

    /// A property that the proxy has of the request, by its path with NUL between the segments, as the
    /// proxy hands it over. No client sets one.
    fn property(&self, _path: &str) -> Option<Vec<u8>> {
        None
    }

    /// The place for texts that are made once; without it, there are none.
    fn texts(&self) -> Option<&Texts> {
        None
    }

    /// Whether an earlier filter of this kind in the chain, and not the client, wrote the header of
    /// this name.
    fn is_written_earlier(&self, _name: &str) -> bool {
        false
    }

    /// The input of this request that has been treated as absent so far.
    fn ignored(&self) -> &IgnoredSet;

    /// What has been found in this request so far, where that is kept.
    #[doc(hidden)]
    fn known(&self) -> Option<&dyn Known> {
        None
    }

    /// The work that this request may still cause, where that is bounded.
    #[doc(hidden)]
    fn spent(&self) -> Option<&Spent> {
        None
    }
}

/// The length of a name as one bit of a set, the last bit for all that are longer: most of a
/// request's names are passed over by it.
pub(crate) fn length(bytes: usize) -> u64 {
    1 << bytes.min(63)
}

/// Calls `find` on each usable value of a header, trimmed, and returns its first answer. A value that
/// is too long, or has NUL, CR or LF, is not usable.
pub(crate) fn find_value<'a, T>(
    request: &'a impl Request,
    name: &str,
    mut find: impl FnMut(&'a [u8]) -> Option<T>,
) -> Option<T> {
    let mut is_first = true;
    let found = request.find_header(name, |value| {
        let first = std::mem::take(&mut is_first);
        let value = if first && value.len() <= LONG {
            usable(value)
        } else if first || repeats(request, value) {
            usable_of(request, value)
        } else {
            // Values to come are not looked at either.
            request.ignored().insert(Ignored::Value);
            return Some(None);
        };
        match value {
            Some(value) => find(value).map(Some),
            None => {
                request.ignored().insert(Ignored::Value);
                None
            }
        }
    });
    found.flatten()
}

/// The header with what services hand on (W3C Baggage).
pub(crate) const BAGGAGE: &str = "baggage";

/// Bytes of a value beyond which it is long, and looked at once where that is kept.
const LONG: usize = 256;

/// Whether one more value of a header may be looked at, after the first one. Out of line, since most
/// headers have one.
#[cold]
#[inline(never)]
fn repeats(request: &impl Request, value: &[u8]) -> bool {
    request.spent().is_none_or(|spent| spent.repeat(value))
}

/// A value of a header without the blanks around it, if it can be looked at. Out of line, since most
/// values are short and alone.
#[cold]
#[inline(never)]
fn usable_of<'v>(request: &impl Request, value: &'v [u8]) -> Option<&'v [u8]> {
    match request.known() {
        Some(known) if value.len() > LONG => known.long(value),
        _ => usable(value),
    }
}

/// The first usable value of a header.
pub(crate) fn first_value<'a>(request: &'a impl Request, name: &str) -> Option<&'a [u8]> {
    find_value(request, name, Some)
}

/// The authority as it stands, and its host alone where that is another text.
#[inline(never)]
pub(crate) fn authority(request: &impl Request) -> [Option<&[u8]>; 2] {
    if let Some(known) = request.known() {
        return known.authority();
    }
    let authority = first_value(request, AUTHORITY);
    [authority, authority.and_then(bare_host)]
}

/// `:path` up to its query (RFC 3986 section 3.3), as Envoy normalised it. Its bounds are those of any
/// value, and the query does not count.
#[inline(never)]
pub(crate) fn path(request: &impl Request) -> Option<&[u8]> {
    if let Some(known) = request.known() {
        return known.path();
    }
    let target = trim(request.find_header(PATH, Some)?);
    let (path, _) = split_at_byte(target, b'?');
    let (path, _) = split_at_byte(path, b'#');
    if !fits(path) {
        request.ignored().insert(Ignored::Value);
        return None;
    }
    Some(path)
}

/// A value without the blanks around it (RFC 9110 section 5.5), if it can be looked at.
pub(crate) fn usable(value: &[u8]) -> Option<&[u8]> {
    fits(value).then(|| trim(value))
}

fn fits(value: &[u8]) -> bool {
    value.len() <= limits::VALUE_BYTES && is_clean(value)
}

/// Without leading and trailing SP and HTAB, and no other white space.
pub(crate) fn trim(value: &[u8]) -> &[u8] {
    let mut value = trim_start(value);
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Without leading SP and HTAB.
fn trim_start(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_blanks_are_trimmed() {
        assert_eq!(trim(b" \ta b\t "), b"a b");
        assert_eq!(trim(b" \t "), b"");
        assert_eq!(trim("\u{2000}x".as_bytes()), "\u{2000}x".as_bytes());
    }

    #[test]
    fn unusable_values_are_absent() {
        let longest = vec![b'a'; limits::VALUE_BYTES];
        let longer = vec![b'a'; limits::VALUE_BYTES + 1];
        let request = HeaderList::new([
            ("x", b"a\0b".to_vec()),
            ("x", b"a\rb".to_vec()),
            ("x", b"a\nb".to_vec()),
            ("x", longer),
            ("x", longest.clone()),
            ("x", b"a\tb\x01c".to_vec()),
            ("x", Vec::new()),
        ]);
        let mut values = Vec::new();
        find_value(&request, "x", |value| -> Option<()> {
            values.push(value);
            None
        });
        assert_eq!(values, [&longest[..], b"a\tb\x01c", b""], "HTAB and others may stand in one");
    }

    #[test]
    fn the_path_ends_before_its_query() {
        for (target, expected) in [("/a?b=/c", "/a"), ("/a#b", "/a"), ("/a%3Fb", "/a%3Fb")] {
            assert_eq!(path(&HeaderList::new([(":path", target)])), Some(expected.as_bytes()));
        }
    }

    #[test]
    fn a_path_is_measured_without_its_query() {
        for (path_bytes, query_bytes, fits) in [
            (limits::VALUE_BYTES, 0, true),
            (limits::VALUE_BYTES, limits::VALUE_BYTES, true),
            (limits::VALUE_BYTES + 1, 0, false),
            (limits::VALUE_BYTES + 1, 1, false),
        ] {
            let target = format!("{}?{}", "p".repeat(path_bytes), "q".repeat(query_bytes));
            let request = HeaderList::new([(":path", target)]);
            assert_eq!(path(&request).map(<[u8]>::len), fits.then_some(path_bytes));
            assert_eq!(request.ignored().iter().next().is_none(), fits);
        }
        let ended = |target: &str| path(&HeaderList::new([(":path", target)])).is_none();
        assert!(ended("/a\n?b") && !ended("/a?b"));
    }

    #[test]
    fn a_value_that_is_treated_as_absent_is_noted() {
        for (value, noted) in [(&b"v"[..], false), (b"a\0b", true)] {
            let request = HeaderList::new([("x", value)]);
            assert_eq!(first_value(&request, "x").is_none(), noted);
            let expected = noted.then_some(Ignored::Value);
            assert_eq!(request.ignored().iter().collect::<Vec<_>>(), Vec::from_iter(expected));
        }
    }

    #[test]
    fn names_are_told_apart_by_their_lengths() {
        assert_eq!([0, 1, 62, 63, 64, 500].map(length), [1, 2, 1 << 62, 1 << 63, 1 << 63, 1 << 63]);
        let names = ["x", "ab", "cd", "abc", &"n".repeat(70)].map(str::to_owned);
        let request = HeaderList::new(names.clone().map(|name| (name, "v")));
        let of = |lengths: u64| -> Vec<String> {
            let mut names = Vec::new();
            request.find_field_of_lengths(lengths, |name, _| -> Option<()> {
                names.push(String::from_utf8(name.to_vec()).unwrap());
                None
            });
            names
        };
        assert_eq!(of(length(2)), ["ab", "cd"]);
        assert_eq!(of(length(1) | length(63)), [names[0].clone(), names[4].clone()]);
        assert_eq!(of(0), [""; 0]);
        let first = request.find_field_of_lengths(length(2), |name, _| Some(name));
        assert_eq!(first, Some(&b"ab"[..]));
    }
}
