//! One request and its response.

use std::rc::Rc;
use std::sync::Arc;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, MapType};

use super::Running;
use super::host::{self, Host, HostRequest};
use crate::config::Metrics;
use crate::plan::Target;
use crate::{Class, Decision, Effect, cookies, decide, effects, shadows};

pub(super) struct Stream {
    running: Option<Rc<Running>>,
    /// What has to be done with the response.
    response: Response,
}

/// What a decision leaves to the response.
#[derive(Default)]
struct Response {
    set_cookies: Vec<String>,
    /// The value of the debug header.
    debug: Option<String>,
    /// Whose responses are counted, and since when, in milliseconds since 1970.
    counted: Option<(Arc<Target>, u64)>,
}

impl Stream {
    pub(super) fn new(running: Option<Rc<Running>>) -> Self {
        Stream { running, response: Response::default() }
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _headers: usize, _end_of_stream: bool) -> Action {
        if let Some(running) = &self.running {
            self.response = running.route(&HostRequest::default());
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _headers: usize, _end_of_stream: bool) -> Action {
        let Some(running) = &self.running else { return Action::Continue };
        // Beside whatever the upstream sets.
        for cookie in self.response.set_cookies.drain(..) {
            host::add_response_header("set-cookie", &cookie);
        }
        if let (Some(name), Some(value)) = (&running.plan.debug_header, self.response.debug.take())
        {
            host::add_response_header(name, &value);
        }
        if let Some((target, since)) = self.response.counted.take() {
            let status = |name| {
                hostcalls::get_map_value_bytes(MapType::HttpResponseHeaders, name).ok().flatten()
            };
            let class = Class::of(status(":status").as_deref(), status("grpc-status").as_deref());
            running.responded(&target, class, since);
        }
        Action::Continue
    }
}

impl Drop for Stream {
    /// Envoy deletes the stream: without response headers it was reset.
    fn drop(&mut self) {
        if let (Some(running), Some((target, since))) =
            (&self.running, self.response.counted.take())
        {
            running.responded(&target, Class::Reset, since);
        }
    }
}

impl Running {
    fn route(&self, request: &HostRequest) -> Response {
        let moment = self.moment.borrow();
        let decision = decide(&self.plan, &moment, request, &mut Host);
        let cookies = cookies(&self.plan, &decision, request, &mut Host);
        self.count(&decision, request);
        let mut tried = String::new();
        for shadow in shadows(&self.plan, &moment, request, &mut Host) {
            self.count_shadow(&shadow, &decision, &mut tried);
        }
        if !tried.is_empty() {
            set_filter_state("tsplit.shadow", &tried);
        }
        if !self.plan.shadow {
            for Effect { header, value } in effects(&self.plan, &decision) {
                // A header that nobody sent needs no removing.
                if value.is_some() || request.may_have(header) {
                    host::set_request_header(header, value.map(str::as_bytes));
                }
            }
            if let Some(value) = cookies.request {
                host::set_request_header("cookie", Some(&value));
            }
        }
        Response {
            set_cookies: cookies.response,
            debug: self
                .plan
                .debug_header
                .as_ref()
                .map(|_| debug(&decision, self.reason(&decision))),
            counted: self.counted(&decision),
        }
    }

    /// Why, where it is carried out.
    fn reason(&self, decision: &Decision<'_>) -> &'static str {
        match decision.target {
            Some(_) if self.plan.shadow => "shadow",
            _ => decision.reason().name(),
        }
    }

    fn count(&self, decision: &Decision<'_>, request: &HostRequest) {
        let meters = &self.plan.meters;
        for absent in request.noted() {
            self.counts.add(meters.absent(absent));
        }
        let reason = self.reason(decision);
        match decision.target {
            Some(target) => {
                self.counts.add(target.meters.request(reason));
                if self.plan.shadow {
                    // Without the filter it goes where Envoy's own route says.
                    self.counts.add(target.meters.changed);
                }
            }
            None => self.counts.add(meters.unmatched),
        }
        if self.plan.metrics == Metrics::Full {
            record(decision.rule(), decision.variant().map(|v| v.name.as_str()), reason);
        }
    }

    /// Under `metrics: full` the rule and the variant are added to `tried`, for access logs.
    fn count_shadow(&self, shadow: &Decision<'_>, decision: &Decision<'_>, tried: &mut String) {
        let Some(target) = shadow.target else { return };
        self.counts.add(target.meters.request("shadow"));
        if shadow.variant() != decision.variant() {
            self.counts.add(target.meters.changed);
        }
        if self.plan.metrics == Metrics::Full {
            let comma = if tried.is_empty() { "" } else { "," };
            tried.extend([comma, &target.rule, "=", &target.variant.name]);
        }
    }

    /// Whose response has to be counted; most often nobody's, which costs nothing.
    fn counted(&self, decision: &Decision<'_>) -> Option<(Arc<Target>, u64)> {
        let target = decision.target?;
        let wanted = self.plan.metrics == Metrics::Full || target.guard.is_some();
        (wanted && !self.plan.shadow).then(|| (Arc::clone(target), host::milliseconds()))
    }

    fn responded(&self, target: &Target, class: Class, since: u64) {
        let ms = host::milliseconds().saturating_sub(since);
        self.counts.add(target.meters.response(class));
        if class != Class::Reset {
            self.counts.set(target.meters.latency, ms);
        }
        let mut tallies = self.tallies.borrow_mut();
        let place = target
            .guard
            .and_then(|place| Some((self.plan.guards.get(place)?, tallies.get_mut(place)?)));
        if let Some((guard, sides)) = place {
            let side = guard.side(target, sides);
            side.into_iter().for_each(|tally| tally.observe(class.is_error(), ms));
        }
    }
}

fn debug(decision: &Decision<'_>, reason: &str) -> String {
    let variant = decision.variant().map_or("-", |variant| variant.name.as_str());
    let rule = decision.rule().unwrap_or("-");
    format!("rule={rule}; variant={variant}; reason={reason}")
}

/// For access logs.
fn record(rule: Option<&str>, variant: Option<&str>, reason: &str) {
    for (name, value) in [
        ("tsplit.rule", rule.unwrap_or("-")),
        ("tsplit.variant", variant.unwrap_or("-")),
        ("tsplit.reason", reason),
    ] {
        set_filter_state(name, value);
    }
}

/// Envoy keeps it as `wasm.NAME`: `%FILTER_STATE(wasm.tsplit.rule:PLAIN)%`.
fn set_filter_state(name: &str, value: &str) {
    let _ = hostcalls::set_property(vec![name], Some(value.as_bytes()));
}
