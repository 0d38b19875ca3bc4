//! Requests, from their headers to their end.

use std::rc::Rc;

use log::error;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, MapType};

use super::abi::{self, Status};
use super::caching;
use super::environment::Host;
use super::observed::Observed;
use super::plugin::Plugin;
use super::request::HostRequest;
use crate::config::MetricsLevel;
use crate::ending::RERUN;
use crate::outcome::HeaderKind;
use crate::rerun::{Chance, FirstRun, Replay};
use crate::{Due, Outcome, ResponseHeader};

/// The context of one run of a request.
pub(super) struct Stream {
    /// The configuration that the request began under; `None` where none was taken.
    plugin: Option<Rc<Plugin>>,
    /// The parts that wait for the response.
    pending: Pending,
}

/// The parts of a request that wait for the response; most often there are none.
#[derive(Default)]
struct Pending {
    /// Headers to add to the response.
    headers: Vec<ResponseHeader>,
    /// Whether caches are told of the response.
    caching: bool,
    /// The counters that wait for the other filters in the chain; `None` where there are none.
    company: Option<Box<[u32]>>,
    /// The response, if it is counted.
    observed: Option<Box<Observed>>,
    /// The run, if a later one may have to know of it.
    run: Option<Box<Run>>,
}

/// A run that may be followed by another.
struct Run {
    first: FirstRun,
    /// Whether its response sets a cookie: then it matters to the end. Else it matters only until there
    /// is a response, so that a client who returns costs no call of the host.
    sets_cookies: bool,
}

impl Stream {
    pub(super) fn new(plugin: Option<Rc<Plugin>>) -> Self {
        Stream { plugin, pending: Pending::default() }
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        let Some(plugin) = &self.plugin else {
            error!("a request of no configuration");
            return Action::Continue;
        };
        match route(plugin, end_of_stream) {
            Ok(pending) => {
                self.pending = pending;
                Action::Continue
            }
            Err(status) => reject(status),
        }
    }

    /// Envoy calls it only where there is a body.
    fn on_http_request_body(&mut self, _size: usize, end_of_stream: bool) -> Action {
        if let Some(observed) = self.pending.observed.as_mut().filter(|_| end_of_stream) {
            observed.on_request_end();
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        let Pending { headers, caching, company, observed, run } = &self.pending;
        let is_empty = headers.is_empty() && observed.is_none() && run.is_none();
        let is_empty = is_empty && !caching && company.is_none();
        if let Some(plugin) = self.plugin.as_ref().filter(|_| !is_empty) {
            self.pending.on_response(plugin);
        }
        Action::Continue
    }

    /// Envoy calls it only where there are trailers.
    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        if let Some(observed) = &mut self.pending.observed {
            observed.on_trailers();
        }
        Action::Continue
    }
}

/// The SDK drops a request's context when Envoy has ended this run of the request.
impl Drop for Stream {
    fn drop(&mut self) {
        let Pending { company, observed, run, .. } = &self.pending;
        let is_empty = observed.is_none() && run.is_none() && company.is_none();
        if let Some(plugin) = self.plugin.as_ref().filter(|_| !is_empty) {
            self.pending.end(plugin);
        }
    }
}

/// Decides about a request and changes its headers; returns the parts that wait for the response. The
/// request is `whole` if it has no body.
///
/// # Errors
/// The status of a change that Envoy refused.
fn route(plugin: &Plugin, whole: bool) -> Result<Pending, Status> {
    let request = HostRequest::new(plugin);
    let environment = &mut Replay::new(Host, request.chance());
    let snapshot = plugin.snapshot.borrow();
    let outcome = Outcome::decide(&plugin.plan, &snapshot, &request, environment);
    request.restore(&plugin.plan)?;
    for change in outcome.request_headers() {
        // A header that nobody sent needs no removing.
        if change.value.is_some() || request.may_have(change.name) {
            abi::set_header(MapType::HttpRequestHeaders, change.name, change.value)?;
        }
    }
    if plugin.plan.baggage {
        write_baggage(&outcome)?;
    }
    let company = plugin.chain.has_company().then(|| tell_company(plugin, &outcome));
    if company.is_none() && plugin.plan.metrics_level != MetricsLevel::Off {
        tell(plugin, &outcome);
    }
    let sets_cookies = outcome.sets_cookies();
    let effects = outcome.into_response();
    let observed = effects.observed.map(|target| Observed::new(target, &request, whole));
    let run = plugin.reruns.as_ref().map(|_| keep(request, environment.noted, sets_cookies));
    let (headers, caching) = (effects.headers, effects.caching);
    Ok(Pending { headers, caching, company, observed, run })
}

/// Tells of the variant in the request's `baggage`.
///
/// # Errors
/// The status of a change that Envoy refused.
#[inline(never)]
fn write_baggage(outcome: &Outcome<'_>) -> Result<(), Status> {
    let Some(change) = outcome.baggage_change() else { return Ok(()) };
    abi::set_header(MapType::HttpRequestHeaders, change.name, change.value)
}

/// Counts the request, and tells the access log.
#[inline(never)]
fn tell(plugin: &Plugin, outcome: &Outcome<'_>) {
    outcome.count(|index, _| plugin.metrics.increment(Some(index)));
    for (name, value) in outcome.filter_state() {
        // The access log then has no value.
        let _ = abi::set_property(name, value.as_bytes());
    }
}

/// Tells the other filters in the chain; the counters that wait for them.
#[inline(never)]
fn tell_company(plugin: &Plugin, outcome: &Outcome<'_>) -> Box<[u32]> {
    let mut waiting = Vec::new();
    outcome.count(|index, due| match due {
        Due::Now => plugin.metrics.increment(Some(index)),
        Due::OnceItStands => waiting.push(index),
    });
    plugin.chain.announce(&plugin.plan, outcome);
    waiting.into()
}

#[inline(never)]
fn keep(request: HostRequest, chance: Chance, sets_cookies: bool) -> Box<Run> {
    Box::new(Run { first: request.into_first_run(chance), sets_cookies })
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
    /// Does what is to be done to the response's headers.
    #[inline(never)]
    fn on_response(&mut self, plugin: &Plugin) {
        self.settle(plugin);
        let mut sets_cookie = false;
        let is_alone = self.company.is_none();
        for ResponseHeader { name, value, kind } in self.headers.drain(..) {
            let stays = match kind {
                HeaderKind::Cookie => true,
                HeaderKind::Explanation => is_alone || plugin.chain.explains(&name),
                HeaderKind::Variant | HeaderKind::Timing => {
                    is_alone || plugin.chain.stands(&plugin.plan)
                }
            };
            if !stays {
                continue;
            }
            sets_cookie |= kind == HeaderKind::Cookie;
            let (map, value) = (MapType::HttpResponseHeaders, value.as_bytes());
            let written = match kind {
                HeaderKind::Variant => abi::set_header(map, &name, Some(value)),
                _ => abi::add_header(map, &name, value),
            };
            if let Err(status) = written {
                error!("cannot write the response header {name}: {status}");
            }
        }
        self.company = None;
        if std::mem::take(&mut self.caching) {
            caching::tell(&plugin.plan.caching, sets_cookie);
        }
        self.observed.take_if(|observed| !observed.on_headers(plugin));
        self.run.take_if(|run| !run.sets_cookies);
    }

    /// Counts what waited for the other filters in the chain; forgets the response if one of them has
    /// decided otherwise.
    fn settle(&mut self, plugin: &Plugin) {
        let Some(waiting) = &self.company else { return };
        if waiting.is_empty() && self.observed.is_none() {
            return;
        }
        if plugin.chain.stands(&plugin.plan) {
            waiting.iter().for_each(|index| plugin.metrics.increment(Some(*index)));
        } else {
            self.observed = None;
        }
    }

    /// Counts the response, or hands the run over to the next one.
    #[inline(never)]
    fn end(&mut self, plugin: &Plugin) {
        // An end that cannot be read says nothing: neither of the variant, nor of a next run.
        let Ok(details) = abi::property("response\0code_details") else { return };
        let details = details.unwrap_or_default();
        if details == RERUN {
            // The client gets the response of the next run, which counts it.
            if let (Some(reruns), Some(run)) = (&plugin.reruns, &self.run) {
                reruns.hand_over(&plugin.plan, &run.first);
            }
            return;
        }
        self.settle(plugin);
        if let Some(observed) = &mut self.observed {
            observed.count(plugin, &details);
        }
    }
}
