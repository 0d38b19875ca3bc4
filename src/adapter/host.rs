//! Envoy as the core sees it: a request, chance and time.

use std::cell::{Cell, OnceCell};
use std::net::{IpAddr, SocketAddr};
use std::time::UNIX_EPOCH;

use log::error;
use proxy_wasm::hostcalls;
use proxy_wasm::types::{Bytes, MapType};

use crate::{Absent, Ambient, Request};

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

impl Ambient for Host {
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
    headers: OnceCell<Vec<(String, Bytes)>>,
    source: OnceCell<Option<IpAddr>>,
    /// What of it was treated as absent.
    absent: [Cell<bool>; Absent::ALL.len()],
}

impl Request for HostRequest {
    fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let read = || hostcalls::get_map_bytes(MapType::HttpRequestHeaders).unwrap_or_default();
        let headers = self.headers.get_or_init(read).iter();
        headers.map(|(name, value)| (name.as_bytes(), value.as_slice()))
    }

    fn source_address(&self) -> Option<IpAddr> {
        *self.source.get_or_init(|| {
            let address = hostcalls::get_property(vec!["source", "address"]).ok()??;
            let address = std::str::from_utf8(&address).ok()?;
            address.parse().map(|address: SocketAddr| address.ip()).ok()
        })
    }

    fn absent(&self, what: Absent) {
        let mut noted = self.absent.iter().zip(Absent::ALL);
        if let Some((noted, _)) = noted.find(|(_, known)| *known == what) {
            noted.set(true);
        }
    }
}

impl HostRequest {
    /// What of it was treated as absent, each once.
    pub(super) fn noted(&self) -> impl Iterator<Item = Absent> {
        self.absent.iter().zip(Absent::ALL).filter_map(|(noted, what)| noted.get().then_some(what))
    }
}

/// Replaces all values of a request header, or removes them.
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

/// Envoy then resolves the route anew, with the headers just written. A header written under the
/// ABI 0.2.1, which the SDK exports, does this already; under a newer one only this call does. A
/// host without the function answers NotFound.
pub(super) fn clear_route_cache() {
    let _ = hostcalls::call_foreign_function("clear_route_cache", None);
}
