//! Requests, from their headers to their end.

use std::rc::Rc;

use log::error;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, MapType};

use super::abi::{self, Status};
use super::environment::{Host, milliseconds};
use super::plugin::Plugin;
use super::request::HostRequest;
use crate::{Class, Outcome, ResponseEffects};

/// The context of one request.
pub(super) struct Stream {
    /// The configuration that the request began under; `None` where none was taken.
    plugin: Option<Rc<Plugin>>,
    /// The effects that wait for the response.
    pending: Option<Pending>,
}

struct Pending {
    effects: ResponseEffects,
    /// Milliseconds since 1970 at which the request began; `None` if nobody asks, or no clock answers.
    since: Option<u64>,
}

impl Stream {
    pub(super) fn new(plugin: Option<Rc<Plugin>>) -> Self {
        Stream { plugin, pending: None }
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        let Some(plugin) = &self.plugin else {
            error!("a request of no configuration");
            return Action::Continue;
        };
        match route(plugin) {
            Ok(pending) => {
                self.pending = pending;
                Action::Continue
            }
            Err(status) => reject(status),
        }
    }

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        if let (Some(plugin), Some(pending)) = (&self.plugin, self.pending.take()) {
            pending.answer(plugin);
        }
        Action::Continue
    }
}

/// The SDK drops a request's context when Envoy has ended the request. Where something is still left
/// to the response, there were no response headers: the request was reset.
impl Drop for Stream {
    fn drop(&mut self) {
        if let (Some(plugin), Some(pending)) = (&self.plugin, self.pending.take()) {
            pending.count(plugin, Class::Reset);
        }
    }
}

/// Decides about a request and changes its headers; returns the effects that wait for the response,
/// if there are any.
///
/// # Errors
/// The status of a change that Envoy refused.
fn route(plugin: &Plugin) -> Result<Option<Pending>, Status> {
    let request = &HostRequest::default();
    let snapshot = plugin.snapshot.borrow();
    let outcome = Outcome::decide(&plugin.plan, &snapshot, request, &mut Host);
    for change in outcome.request_headers() {
        // A header that nobody sent needs no removing.
        if change.value.is_some() || request.may_have(change.name) {
            abi::set_header(MapType::HttpRequestHeaders, change.name, change.value)?;
        }
    }
    outcome.count(|index| plugin.metrics.increment(Some(index)));
    for (name, value) in outcome.filter_state() {
        // The access log then has no value.
        let _ = abi::set_property(name, &value);
    }
    let effects = outcome.into_response();
    let since = effects.observed.as_ref().and_then(|_| milliseconds().ok());
    Ok((!effects.is_empty()).then_some(Pending { effects, since }))
}

/// Answers a request whose headers could not be changed: it would go where its client says.
fn reject(status: Status) -> Action {
    error!("cannot write a request header, so the request is answered with 503: {status}");
    if let Err(status) = abi::send_local_response(503, "traffic_split_cannot_write_header") {
        error!("cannot answer a request, which is held: {status}");
    }
    Action::Pause
}

impl Pending {
    /// Does what is left, now that there are response headers.
    fn answer(self, plugin: &Plugin) {
        for header in &self.effects.headers {
            let (name, value) = (&header.name, header.value.as_bytes());
            if let Err(status) = abi::add_header(MapType::HttpResponseHeaders, name, value) {
                error!("cannot write the response header {name}: {status}");
            }
        }
        let read = |name| abi::header(MapType::HttpResponseHeaders, name);
        if self.effects.observed.is_some() {
            // A response whose status cannot be read tells nothing of its variant.
            if let (Ok(status), Ok(grpc)) = (read(":status"), read("grpc-status")) {
                let class = Class::of(status.as_deref(), grpc.as_deref());
                self.count(plugin, class);
            }
        }
    }

    fn count(self, plugin: &Plugin, class: Class) {
        let Some(target) = self.effects.observed else { return };
        let latency = self.since.and_then(|since| Some(milliseconds().ok()?.saturating_sub(since)));
        // A cluster that cannot be read is one that no variant names.
        let cluster = || abi::property(&["xds", "cluster_name"]).ok().flatten();
        plugin.observe(target.answered(cluster), class, latency);
    }
}
