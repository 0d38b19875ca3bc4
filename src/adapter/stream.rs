//! Requests, from their headers to their end.

use std::rc::Rc;

use log::error;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, MapType};

use super::abi::{self, Status};
use super::caching;
use super::environment::{Host, milliseconds};
use super::plugin::Plugin;
use super::request::HostRequest;
use crate::{Class, Due, Outcome, ResponseEffects};

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
    /// The counters that wait for the other filters in the chain; `None` where there are none.
    company: Option<Box<[u32]>>,
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
        if let (Some(plugin), Some(pending)) = (&self.plugin, self.pending.take())
            && pending.settle(plugin)
        {
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
    if plugin.chain.has_company() {
        return Ok(Some(route_in_company(plugin, outcome)));
    }
    outcome.count(|index, _| plugin.metrics.increment(Some(index)));
    for (name, value) in outcome.filter_state() {
        // The access log then has no value.
        let _ = abi::set_property(name, &value);
    }
    let effects = outcome.into_response();
    Ok((!effects.is_empty()).then(|| Pending::new(effects, None)))
}

/// Tells the other filters in the chain, and counts what none of them can undo.
#[inline(never)]
fn route_in_company(plugin: &Plugin, outcome: Outcome<'_>) -> Pending {
    let mut waiting = Vec::new();
    outcome.count(|index, due| match due {
        Due::Now => plugin.metrics.increment(Some(index)),
        Due::OnceItStands => waiting.push(index),
    });
    plugin.chain.announce(&plugin.plan, &outcome);
    Pending::new(outcome.into_response(), Some(waiting.into()))
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
    fn new(effects: ResponseEffects, company: Option<Box<[u32]>>) -> Self {
        let since = effects.observed.as_ref().and_then(|_| milliseconds().ok());
        Pending { effects, since, company }
    }

    /// Does what is left, now that there are response headers.
    fn answer(self, plugin: &Plugin) {
        let stands = self.settle(plugin);
        for header in &self.effects.headers {
            let explains = plugin.plan.debug_header.as_ref() == Some(&header.name);
            if explains && self.company.is_some() && !plugin.chain.explains(&header.name) {
                continue;
            }
            let (name, value) = (&header.name, header.value.as_bytes());
            if let Err(status) = abi::add_header(MapType::HttpResponseHeaders, name, value) {
                error!("cannot write the response header {name}: {status}");
            }
        }
        if self.effects.caching {
            let sets_cookie = self.effects.headers.iter().any(|header| header.name == "set-cookie");
            caching::tell(&plugin.plan.caching, sets_cookie);
        }
        let read = |name| abi::header(MapType::HttpResponseHeaders, name);
        if stands && self.effects.observed.is_some() {
            // A response whose status cannot be read tells nothing of its variant.
            if let (Ok(status), Ok(grpc)) = (read(":status"), read("grpc-status")) {
                let class = Class::of(status.as_deref(), grpc.as_deref());
                self.count(plugin, class);
            }
        }
    }

    /// Whether no later filter in the chain has decided otherwise; counts what waited for that.
    #[inline(never)]
    fn settle(&self, plugin: &Plugin) -> bool {
        let Some(waiting) = &self.company else { return true };
        if waiting.is_empty() && self.effects.observed.is_none() {
            return true;
        }
        let stands = plugin.plan.routing_headers().all(|header| plugin.chain.owns(header));
        if stands {
            waiting.iter().for_each(|index| plugin.metrics.increment(Some(*index)));
        }
        stands
    }

    fn count(self, plugin: &Plugin, class: Class) {
        let Some(target) = self.effects.observed else { return };
        let latency = self.since.and_then(|since| Some(milliseconds().ok()?.saturating_sub(since)));
        // A cluster that cannot be read is one that no variant names.
        let cluster = || abi::property(&["xds", "cluster_name"]).ok().flatten();
        plugin.observe(target.answered(cluster), class, latency);
    }
}
