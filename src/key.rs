//! The key of a sticky split: a client's identity, found in the request and hashed.

use std::io::Write;
use std::net::IpAddr;

use xxhash_rust::xxh64::xxh64;

use crate::config::KeySource;
use crate::limits;
use crate::request::{self, Request};

/// Where to look for a client's identity, and the salt to hash it with.
#[derive(Debug)]
pub(crate) struct Key {
    sources: Vec<KeySource>,
    seed: u64,
}

impl Key {
    pub(crate) fn new(sources: Vec<KeySource>, salt: &str) -> Self {
        Key { sources, seed: xxh64(salt.as_bytes(), 0) }
    }

    /// The hash of the first source that is present and not empty. An empty value is no identity:
    /// hashing it would put every anonymous client into one variant.
    pub(crate) fn hash(&self, request: &impl Request) -> Option<u64> {
        self.sources.iter().find_map(|source| match source {
            KeySource::Header(name) => request::header(request, name).find_map(|v| self.text(v)),
            KeySource::Cookie(name) => self.text(request::cookie(request, name)?),
            KeySource::QueryParam(name) => self.text(request::query_param(request, name)?),
            KeySource::SourceIp => self.address(request.source_address()?),
        })
    }

    fn text(&self, value: &[u8]) -> Option<u64> {
        let usable = !value.is_empty() && value.len() <= limits::KEY_BYTES;
        usable.then(|| xxh64(value, self.seed))
    }

    /// An address is hashed as its text (RFC 5952), IPv4 inside IPv6 as IPv4.
    fn address(&self, address: IpAddr) -> Option<u64> {
        let mut buffer = [0_u8; "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255".len()];
        let mut rest = buffer.as_mut_slice();
        write!(rest, "{}", address.to_canonical()).ok()?;
        let left = rest.len();
        self.text(buffer.get(..buffer.len().checked_sub(left)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::tests::Given;

    fn key(sources: &[KeySource]) -> Key {
        Key::new(sources.to_vec(), "salt")
    }

    #[test]
    fn the_first_identity_is_hashed() {
        let key = key(&[KeySource::Cookie("uid".into()), KeySource::Header("x-user".into())]);
        let expected = |value: &str| Some(xxh64(value.as_bytes(), xxh64(b"salt", 0)));
        for (headers, hash) in [
            (vec![("cookie", "uid=7"), ("x-user", "8")], expected("7")),
            (vec![("cookie", "uid="), ("x-user", " 8 ")], expected("8")),
            (vec![("x-user", " \t"), ("x-user", "9")], expected("9")),
            (vec![("cookie", "uid= ;uid=7"), ("x-user", "")], None),
            (vec![], None),
        ] {
            assert_eq!(key.hash(&Given::new(headers.clone())), hash, "{headers:?}");
        }
    }

    #[test]
    fn a_key_over_its_limit_is_absent() {
        let key = key(&[KeySource::Header("x".into())]);
        let hash = |bytes| key.hash(&Given::new([("x", "k".repeat(bytes))]));
        assert!(hash(limits::KEY_BYTES).is_some());
        assert!(hash(limits::KEY_BYTES + 1).is_none());
    }

    #[test]
    fn addresses_are_hashed_as_text() {
        let key = key(&[KeySource::SourceIp]);
        for (address, text) in [
            ("10.0.0.7", "10.0.0.7"),
            ("::ffff:10.0.0.7", "10.0.0.7"),
            ("2001:DB8:0::1", "2001:db8::1"),
        ] {
            let request = Given { source: address.parse().ok(), ..Given::default() };
            assert_eq!(key.hash(&request), key.text(text.as_bytes()));
        }
        assert_eq!(key.hash(&Given::default()), None);
    }
}
