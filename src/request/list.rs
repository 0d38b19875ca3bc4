//! A request that is not Envoy's.

use std::net::IpAddr;

use super::{IgnoredSet, Request, Texts};

/// A request given as a list of header fields.
///
/// ```
/// use traffic_split::{HeaderList, Request};
///
/// let request = HeaderList::new([(":path", "/reviews/1"), ("cookie", "uid=7")]);
/// assert_eq!(request.find_header("cookie", Some), Some(&b"uid=7"[..]));
/// ```
#[derive(Clone, Debug, Default)]
pub struct HeaderList {
    /// Names, in lower case, and values in the order of arrival; pseudo-headers among them. A property
    /// that the proxy has of the request stands here under its path, which has NUL between its segments,
    /// as no header's name does.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The client's address, as the proxy sees it.
    pub source: Option<IpAddr>,
    /// The names of the headers that an earlier filter of this kind wrote, in lower case.
    pub written_earlier: Vec<String>,
    ignored: IgnoredSet,
    texts: Texts,
}

impl HeaderList {
    /// A request with these header fields and no source address.
    pub fn new<N: Into<String>, V: Into<Vec<u8>>>(
        headers: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let headers = headers.into_iter().map(|(name, value)| (name.into(), value.into()));
        HeaderList { headers: headers.collect(), ..HeaderList::default() }
    }

    /// Forgets what was made of its headers, which have changed.
    pub fn changed(&mut self) {
        self.texts = Texts::default();
    }

    /// The same request from a client with this address.
    #[must_use]
    pub fn with_source(self, source: Option<IpAddr>) -> Self {
        HeaderList { source, ..self }
    }
}

impl Request for HeaderList {
    fn find_field<'a, T>(
        &'a self,
        mut find: impl FnMut(&'a [u8], &'a [u8]) -> Option<T>,
    ) -> Option<T> {
        self.headers.iter().find_map(|(name, value)| find(name.as_bytes(), value))
    }

    fn source_address(&self) -> Option<IpAddr> {
        self.source
    }

    fn property(&self, path: &str) -> Option<Vec<u8>> {
        self.find_header(path, |value| Some(value.to_vec()))
    }

    fn texts(&self) -> Option<&Texts> {
        Some(&self.texts)
    }

    fn is_written_earlier(&self, name: &str) -> bool {
        self.written_earlier.iter().any(|known| known == name)
    }

    fn ignored(&self) -> &IgnoredSet {
        &self.ignored
    }
}
