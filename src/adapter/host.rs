//! Envoy as the core sees it: a request, chance and time.

use std::cell::{Cell, OnceCell};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, UNIX_EPOCH};

use log::error;
use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, MapType};

use crate::header_map::HeaderMap;
use crate::{Environment, Ignored, IgnoredSet, Request};

/// Chance and time, from Envoy.
pub(super) struct Host;

/// fastrand would seed itself from a clock: two workers, or two starts, could draw alike.
pub(super) fn seed_random() -> Result<(), getrandom::Error> {
    getrandom::u64().map(fastrand::seed)
}

/// Milliseconds since 1970.
pub(super) fn milliseconds() -> u64 {
    let now = hostcalls::get_current_time().ok();
    let since = now.and_then(|now| now.duration_since(UNIX_EPOCH).ok());
    since.and_then(|since| u64::try_from(since.as_millis()).ok()).unwrap_or(0)
}

/// Has a plugin's timer go off in this time, and each time anew; 0 ends it.
pub(super) fn tick_every(period: Duration) {
    if hostcalls::set_tick_period(period).is_err() {
        error!("no timer from the host: ramps and guards stand still");
    }
}

impl Environment for Host {
    fn random(&mut self) -> u64 {
        fastrand::u64(..)
    }

    fn entropy(&mut self) -> Option<[u8; 16]> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).ok()?;
        Some(bytes)
    }

    fn now(&mut self) -> u64 {
        milliseconds() / 1000
    }
}

/// The request as Envoy holds it, read when first asked for.
#[derive(Default)]
pub(super) struct HostRequest {
    /// A single read would give only the first of several values, so all are read at once.
    headers: OnceCell<HeaderMap>,
    source: OnceCell<Option<IpAddr>>,
    ignored: Cell<IgnoredSet>,
}

impl Request for HostRequest {
    fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.headers.get_or_init(request_headers).iter()
    }

    fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers.get_or_init(request_headers).values(name.as_bytes())
    }

    fn headers_of_lengths(&self, lengths: u64) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.headers.get_or_init(request_headers).of_lengths(lengths)
    }

    fn source_address(&self) -> Option<IpAddr> {
        *self.source.get_or_init(|| {
            let address = hostcalls::get_property(vec!["source", "address"]).ok()??;
            let address = std::str::from_utf8(&address).ok()?;
            address.parse().map(|address: SocketAddr| address.ip()).ok()
        })
    }

    fn note_ignored(&self, what: Ignored) {
        let mut ignored = self.ignored.get();
        ignored.insert(what);
        self.ignored.set(ignored);
    }

    fn ignored(&self) -> IgnoredSet {
        self.ignored.get()
    }
}

impl HostRequest {
    /// Whether a header was sent; where the headers cannot be read, any may have been.
    pub(super) fn may_have(&self, name: &str) -> bool {
        self.headers().next().is_none() || self.header(name).next().is_some()
    }
}

/// Every request header in one piece. The SDK only has them copied into a string each, twice a
/// header; `wasm-tests/strip` makes this buffer, which is empty in a filter that makes no calls, the
/// name of the request's header map.
fn request_headers() -> HeaderMap {
    let map = hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, usize::MAX);
    let map = HeaderMap(map.ok().flatten().unwrap_or_default());
    if map.iter().next().is_none() {
        error!("no request headers: the module has to be the one that `make wasm` leaves");
    }
    map
}

/// Replaces all values of a request header, or removes them. Envoy then resolves the route anew:
/// under the ABI 0.2.1, which the SDK exports, every change of a request header clears the route
/// cache. (A test fails where the module exports another one: from 0.2.2 on only the foreign
/// function `clear_route_cache` does it.)
pub(super) fn set_request_header(name: &str, value: Option<&[u8]>) {
    if hostcalls::set_map_value_bytes(MapType::HttpRequestHeaders, name, value).is_err() {
        error!("cannot write the request header {name}");
    }
}

/// Adds a response header beside those of the same name.
pub(super) fn add_response_header(name: &str, value: &str) {
    let (map, value) = (MapType::HttpResponseHeaders, value.as_bytes());
    if hostcalls::add_map_value_bytes(map, name, value).is_err() {
        error!("cannot write the response header {name}");
    }
}
