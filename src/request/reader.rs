//! A request that many conditions look at: what takes long to find is found once.

use std::cell::{Cell, OnceCell, RefCell};
use std::net::IpAddr;

use super::query::{self, Pairs};
use super::{IgnoredSet, Request, Spent, Texts, authority, fits, path};

/// What has been found in a request.
pub trait Known {
    /// The parameters of its query.
    fn query(&self) -> &Pairs<'_>;

    /// Its path without the query.
    fn path(&self) -> Option<&[u8]>;

    /// Its authority, and the host alone where that is another text.
    fn authority(&self) -> [Option<&[u8]>; 2];

    /// A long value of a header as far as it can be looked at.
    fn long<'v>(&self, value: &'v [u8]) -> Option<&'v [u8]>;
}

/// What has been found in a request.
#[derive(Default)]
struct Kept<'r> {
    query: OnceCell<Pairs<'r>>,
    path: OnceCell<Option<&'r [u8]>>,
    authority: OnceCell<[Option<&'r [u8]>; 2]>,
    /// The long values that were looked at, by their addresses in order.
    values: RefCell<Vec<(usize, Part)>>,
}

/// The bytes of a value that can be looked at, from and to.
type Part = Option<(usize, usize)>;

/// A request, what has been found in it, and the work that it has caused.
pub(crate) struct Reader<'r, R> {
    request: &'r R,
    /// Looks at what takes long to find, so far.
    looks: Cell<u32>,
    /// What was found, once it was looked for more than a [`FEW`] times: a usual decision keeps nothing,
    /// and allocates nothing.
    kept: OnceCell<Box<Kept<'r>>>,
    spent: Spent,
}

/// Looks that cost less than to keep what is found.
const FEW: u32 = 16;

impl<'r, R: Request> Reader<'r, R> {
    pub(crate) fn new(request: &'r R) -> Self {
        Reader { request, looks: Cell::new(0), kept: OnceCell::new(), spent: Spent::default() }
    }

    #[cold]
    #[inline(never)]
    fn kept(&self) -> &Kept<'r> {
        self.kept.get_or_init(Box::default)
    }
}

impl<R: Request> Request for Reader<'_, R> {
    #[inline(always)]
    fn find_field<'a, T>(&'a self, find: impl FnMut(&'a [u8], &'a [u8]) -> Option<T>) -> Option<T> {
        self.request.find_field(find)
    }

    #[inline(always)]
    fn find_header<'a, T>(
        &'a self,
        name: &str,
        find: impl FnMut(&'a [u8]) -> Option<T>,
    ) -> Option<T> {
        self.request.find_header(name, find)
    }

    #[inline(always)]
    fn find_field_of_lengths<'a, T>(
        &'a self,
        lengths: u64,
        find: impl FnMut(&'a [u8], &'a [u8]) -> Option<T>,
    ) -> Option<T> {
        self.request.find_field_of_lengths(lengths, find)
    }

    fn first_authority(&self) -> Option<&[u8]> {
        self.request.first_authority()
    }

    fn first_path(&self) -> Option<&[u8]> {
        self.request.first_path()
    }

    fn property(&self, path: &str) -> Option<Vec<u8>> {
        self.request.property(path)
    }

    fn texts(&self) -> Option<&Texts> {
        self.request.texts()
    }

    fn source_address(&self) -> Option<IpAddr> {
        self.request.source_address()
    }

    fn is_written_earlier(&self, name: &str) -> bool {
        self.request.is_written_earlier(name)
    }

    fn ignored(&self) -> &IgnoredSet {
        self.request.ignored()
    }

    #[inline(always)]
    fn known(&self) -> Option<&dyn Known> {
        let looks = self.looks.get();
        if looks < FEW {
            self.looks.set(looks.wrapping_add(1));
            return None;
        }
        Some(self)
    }

    fn spent(&self) -> Option<&Spent> {
        Some(&self.spent)
    }
}

impl<R: Request> Known for Reader<'_, R> {
    fn query(&self) -> &Pairs<'_> {
        self.kept().query.get_or_init(|| query::pairs(self.request))
    }

    fn path(&self) -> Option<&[u8]> {
        *self.kept().path.get_or_init(|| path(self.request))
    }

    fn authority(&self) -> [Option<&[u8]>; 2] {
        *self.kept().authority.get_or_init(|| authority(self.request))
    }

    fn long<'v>(&self, value: &'v [u8]) -> Option<&'v [u8]> {
        let mut known = self.kept().values.borrow_mut();
        let address = value.as_ptr().addr();
        let place = known.binary_search_by_key(&address, |(address, _)| *address);
        let place = place.unwrap_or_else(|place| {
            let range = fits(value).then(|| {
                let start = value.len().saturating_sub(super::trim_start(value).len());
                (start, start.saturating_add(super::trim(value).len()))
            });
            known.insert(place, (address, range));
            place
        });
        let (start, end) = known.get(place)?.1?;
        value.get(start..end)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{HeaderList, LONG, find_cookie, find_value, query_param};
    use super::*;

    fn request() -> HeaderList {
        let blanks = " ".repeat(LONG);
        HeaderList::new([
            (":path", format!("/p{}?b=2&a=1&&a=\r&b&c=\n&d==&=e", "p".repeat(LONG))),
            (":authority", "h:80".into()),
            ("x", format!("{blanks}v{blanks}")),
            ("x", format!("{}\n", "a".repeat(LONG))),
            ("x", "short ".into()),
            ("cookie", "b=2; a=1;; a = 3; =4; c=\0; d".into()),
            ("cookie", "a=5;c==".into()),
        ])
    }

    /// What is kept is what is found without.
    #[test]
    fn what_is_kept_is_what_is_found() {
        let request = request();
        let (keeps, plain) = (Reader::new(&request), Reader::new(&request));
        keeps.looks.set(FEW);
        assert!(keeps.known().is_some() && plain.known().is_none());
        for name in ["a", "b", "c", "d", "e", ""] {
            plain.looks.set(0);
            let both = [&keeps, &plain].map(|request| {
                let mut cookies = Vec::new();
                find_cookie(request, name, |value| -> Option<()> {
                    cookies.push(value.to_vec());
                    None
                });
                (cookies, query_param(request, name).map(<[u8]>::to_vec))
            });
            assert_eq!(both[0], both[1], "{name}");
        }
        for _ in 0..2 {
            plain.looks.set(0);
            let both = [&keeps, &plain].map(|request| {
                let mut values = Vec::new();
                find_value(request, "x", |value| -> Option<()> {
                    values.push(value.to_vec());
                    None
                });
                assert_eq!(path(request).map(<[u8]>::len), Some(2 + LONG));
                values
            });
            assert_eq!(both[0], [b"v".to_vec(), b"short".to_vec()]);
            assert_eq!(both[0], both[1]);
        }
        assert_eq!(Known::authority(&keeps), [Some(&b"h:80"[..]), Some(b"h")]);
        assert!(plain.kept.get().is_none());
    }
}
