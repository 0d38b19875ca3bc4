//! The response of a variant, from its headers to its end, where it is counted.

use std::sync::Arc;

use proxy_wasm::types::MapType;

use super::abi::{self, Status};
use super::environment::milliseconds;
use super::plugin::Plugin;
use crate::ending::{COMPLETE, Ending, Kind, grpc_status};
use crate::variant::Target;
use crate::{Class, Request};

/// A response that is counted when it ends.
pub(super) struct Observed {
    target: Arc<Target>,
    kind: Kind,
    /// Milliseconds since 1970 at which the upstream could have the whole request: before, its client
    /// holds it up. `None` until then, and if no clock answers.
    since: Option<u64>,
    /// Milliseconds from then to the response's headers; `None` where these came first.
    latency: Option<u64>,
    grpc_status: Option<u16>,
}

impl Observed {
    #[inline(never)]
    pub(super) fn new(target: Arc<Target>, request: &impl Request, whole: bool) -> Box<Self> {
        let kind = Kind::of(request);
        let mut observed = Observed { target, kind, since: None, latency: None, grpc_status: None };
        // A tunnel is opened by the headers alone.
        if whole || kind.opens_with().is_some() {
            observed.on_request_end();
        }
        Box::new(observed)
    }

    /// Notes that the client has sent its whole request.
    pub(super) fn on_request_end(&mut self) {
        self.since = milliseconds().ok();
    }

    /// Notes what the response's headers tell; whether there is still something to wait for.
    pub(super) fn on_headers(&mut self, plugin: &Plugin) -> bool {
        self.latency =
            self.since.and_then(|since| Some(milliseconds().ok()?.saturating_sub(since)));
        self.find_target();
        if self.kind.is_grpc() {
            self.read_grpc_status(MapType::HttpResponseHeaders);
        }
        let Some(status) = self.kind.opens_with() else { return true };
        let opened = has_status(status);
        if opened {
            // It may go on for days.
            plugin.observe(&self.target, Class::Success, self.latency);
        }
        // What is refused may have waited for a body.
        self.latency = None;
        !opened
    }

    /// Notes the status of a call in the trailers of the response.
    pub(super) fn on_trailers(&mut self) {
        if self.kind.is_grpc() {
            self.read_grpc_status(MapType::HttpResponseTrailers);
        }
    }

    /// A status that cannot be read is none: the call then counts as broken off.
    fn read_grpc_status(&mut self, map: MapType) {
        if let Ok(Some(value)) = abi::header(map, "grpc-status") {
            self.grpc_status = Some(grpc_status(&value));
        }
    }

    /// Finds out whose response it is, where the weights of the route decide. A cluster that cannot be
    /// read is one that no variant names.
    fn find_target(&mut self) {
        let cluster = || abi::property("xds\0cluster_name").ok().flatten();
        self.target = Arc::clone(self.target.answered(cluster));
    }

    /// Counts the response, now that it has ended; `details` are Envoy's `response.code_details`.
    pub(super) fn count(&mut self, plugin: &Plugin, details: &[u8]) {
        // An end that cannot be read says nothing of the variant, good or bad.
        if let Ok(class) = self.class(details) {
            // Without a response it is not known yet.
            self.find_target();
            match class {
                Some(class) => plugin.observe(&self.target, class, self.latency),
                None => plugin.metrics.increment(self.target.metrics.aborted),
            }
        }
    }

    fn class(&self, details: &[u8]) -> Result<Option<Class>, Status> {
        let code = number("response\0code")?.and_then(|code| u16::try_from(code).ok());
        let flags = if details == COMPLETE { None } else { number("response\0flags")? };
        let (flags, grpc_status) = (flags.unwrap_or(0), self.grpc_status);
        Ok(Ending { details, code, flags, grpc_status }.class(self.kind))
    }
}

/// Whether the response's status begins so. A status that cannot be read is looked at in the end.
fn has_status(start: &[u8]) -> bool {
    let status = abi::header(MapType::HttpResponseHeaders, ":status").ok().flatten();
    status.is_some_and(|status| status.starts_with(start))
}

/// A property that is a number: 64 bits, little endian.
fn number(path: &str) -> Result<Option<u64>, Status> {
    let bytes = abi::property(path)?;
    Ok(bytes.and_then(|bytes| Some(u64::from_le_bytes(*bytes.first_chunk()?))))
}
