//! The request as Envoy holds it.

use std::cell::OnceCell;
use std::net::{IpAddr, SocketAddr};

use log::error;
use proxy_wasm::types::MapType;

use super::abi::{self, Status};
use super::chain;
use super::plugin::Plugin;
use super::rerun::Reruns;
use crate::header_map::HeaderMap;
use crate::request::{BAGGAGE, Texts, other_cookies};
use crate::rerun::{Chance, FirstRun};
use crate::{IgnoredSet, Plan, Request};

/// A request that is read when first asked for.
#[derive(Default)]
pub(super) struct HostRequest {
    /// A single read would give only the first of several values, so all are read at once.
    headers: OnceCell<HeaderMap>,
    source: OnceCell<Option<IpAddr>>,
    ignored: IgnoredSet,
    texts: Texts,
    /// The first run of the request, if this is a later one.
    first: Option<Box<FirstRun>>,
}

impl Request for HostRequest {
    fn find_field<'a, T>(&'a self, find: impl FnMut(&'a [u8], &'a [u8]) -> Option<T>) -> Option<T> {
        self.map().find(u64::MAX, find)
    }

    fn find_header<'a, T>(
        &'a self,
        name: &str,
        find: impl FnMut(&'a [u8]) -> Option<T>,
    ) -> Option<T> {
        self.map().find_named(name, find)
    }

    fn find_field_of_lengths<'a, T>(
        &'a self,
        lengths: u64,
        find: impl FnMut(&'a [u8], &'a [u8]) -> Option<T>,
    ) -> Option<T> {
        self.map().find(lengths, find)
    }

    fn first_authority(&self) -> Option<&[u8]> {
        self.first.as_ref()?.authority()
    }

    fn first_path(&self) -> Option<&[u8]> {
        self.first.as_ref()?.path()
    }

    /// A property that cannot be read counts as absent.
    fn property(&self, path: &str) -> Option<Vec<u8>> {
        abi::property(path).ok().flatten()
    }

    fn texts(&self) -> Option<&Texts> {
        Some(&self.texts)
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
    /// The request as its client sent it: a later run does not see what the first one wrote.
    pub(super) fn new(plugin: &Plugin) -> Self {
        let request = HostRequest::default();
        match &plugin.reruns {
            Some(reruns) if reruns.are_awaited() => request.restored(plugin, reruns),
            _ => request,
        }
    }

    #[cold]
    fn restored(self, plugin: &Plugin, reruns: &Reruns) -> Self {
        let Some(first) = reruns.first_run(self.map()) else { return self };
        let headers = first.restore(self.map(), &plugin.plan.own_headers());
        HostRequest { headers: headers.into(), first: Some(Box::new(first)), ..self }
    }

    /// The chance and time of the first run.
    pub(super) fn chance(&self) -> Chance {
        self.first.as_ref().map(|first| first.chance).unwrap_or_default()
    }

    /// The first run of the request, for the next one; `chance` is that of this run.
    pub(super) fn into_first_run(self, chance: Chance) -> FirstRun {
        let headers = match self.first {
            Some(first) => first.headers,
            None => self.headers.into_inner().unwrap_or_default(),
        };
        FirstRun { chance, headers }
    }

    /// Puts the client's own cookies and baggage back into a later run: the first one may have added an
    /// identity that this one does not issue, and a rule that is not this one's.
    ///
    /// # Errors
    /// The status of a change that Envoy refused.
    pub(super) fn restore(&self, plan: &Plan) -> Result<(), Status> {
        if self.first.is_none() {
            return Ok(());
        }
        self.write_back(plan)
    }

    #[cold]
    fn write_back(&self, plan: &Plan) -> Result<(), Status> {
        let write = |name, value: Vec<u8>| {
            let value = Some(&*value).filter(|value| !value.is_empty());
            abi::set_header(MapType::HttpRequestHeaders, name, value)
        };
        if plan.baggage {
            let mut values = Vec::new();
            self.find_header(BAGGAGE, |value| -> Option<()> {
                values.push(value);
                None
            });
            write(BAGGAGE, values.join(&b','))?;
        }
        write("cookie", other_cookies(self, |_| false))
    }

    /// Whether a header was sent, or written by an earlier run. Where the headers cannot be read, any
    /// may have been.
    pub(super) fn may_have(&self, name: &str) -> bool {
        let unknown = self.first.is_some() || self.map().is_empty();
        unknown || self.find_header(name, Some).is_some()
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
    let text = abi::property("source\0address").ok()??;
    let address: SocketAddr = std::str::from_utf8(&text).ok()?.parse().ok()?;
    Some(address.ip())
}
