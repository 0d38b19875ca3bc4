//! The request as Envoy holds it.

use std::cell::OnceCell;
use std::net::{IpAddr, SocketAddr};

use log::error;
use proxy_wasm::types::MapType;

use super::{abi, chain};
use crate::header_map::HeaderMap;
use crate::request;
use crate::{IgnoredSet, Request};

/// A request that is read when first asked for.
#[derive(Default)]
pub(super) struct HostRequest {
    /// A single read would give only the first of several values, so all are read at once.
    headers: OnceCell<HeaderMap>,
    source: OnceCell<Option<IpAddr>>,
    ignored: IgnoredSet,
}

impl Request for HostRequest {
    fn find_field<'a, T>(&'a self, find: impl FnMut(&'a [u8], &'a [u8]) -> Option<T>) -> Option<T> {
        self.map().find(|_| true, find)
    }

    fn find_header<'a, T>(
        &'a self,
        name: &str,
        mut find: impl FnMut(&'a [u8]) -> Option<T>,
    ) -> Option<T> {
        let (name, length) = (name.as_bytes(), name.len());
        let found = |known: &[u8], value| if known == name { find(value) } else { None };
        self.map().find(|known| known == length, found)
    }

    fn find_field_of_lengths<'a, T>(
        &'a self,
        lengths: u64,
        find: impl FnMut(&'a [u8], &'a [u8]) -> Option<T>,
    ) -> Option<T> {
        self.map().find(|known| lengths & request::length(known) != 0, find)
    }

    fn source_address(&self) -> Option<IpAddr> {
        *self.source.get_or_init(source_address)
    }

    fn is_written_earlier(&self, name: &str) -> bool {
        chain::is_claimed(name)
    }

    fn ignored(&self) -> &IgnoredSet {
        &self.ignored
    }
}

impl HostRequest {
    /// Whether a header was sent. Where the headers cannot be read, any may have been.
    pub(super) fn may_have(&self, name: &str) -> bool {
        self.map().is_empty() || self.find_header(name, Some).is_some()
    }

    fn map(&self) -> &HeaderMap {
        self.headers.get_or_init(read_headers)
    }
}

/// Headers that cannot be read count as absent. The routing headers are written or removed all the
/// same, so nothing that a client sent in them gets through.
fn read_headers() -> HeaderMap {
    let map = abi::headers(MapType::HttpRequestHeaders);
    HeaderMap(map.unwrap_or_else(|status| {
        error!("cannot read the request headers: {status}");
        Vec::new()
    }))
}

/// An address that cannot be read counts as absent.
fn source_address() -> Option<IpAddr> {
    let text = abi::property(&["source", "address"]).ok()??;
    let address: SocketAddr = std::str::from_utf8(&text).ok()?.parse().ok()?;
    Some(address.ip())
}
