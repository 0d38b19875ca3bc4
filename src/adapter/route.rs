//! From the headers of a request to what is written into them.

use std::sync::Arc;

use proxy_wasm::hostcalls;

use super::Running;
use super::host::{self, Host, HostRequest};
use super::response::Response;
use crate::config::MetricsLevel;
use crate::variant::Target;
use crate::{Decision, Effect, cookies, decide, effects, shadows};

impl Running {
    /// Decides about a request, and does what is to be done with its headers; what is left to its
    /// response.
    pub(super) fn route(&self) -> Response {
        let request = &HostRequest::default();
        let snapshot = self.snapshot.borrow();
        let decision = decide(&self.plan, &snapshot, request, &mut Host);
        let cookies = cookies(&self.plan, &decision, request, &mut Host);
        self.count(&decision, request);
        let mut tried = String::new();
        for shadow in shadows(&self.plan, &snapshot, request, &mut Host) {
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
            debug: (self.plan.debug_header.as_ref())
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
        let metrics = &self.plan.metrics;
        for absent in request.noted() {
            self.counts.add(metrics.absent(absent));
        }
        let reason = self.reason(decision);
        match decision.target {
            Some(target) => {
                self.counts.add(target.metrics.request(reason));
                if self.plan.shadow {
                    // Without the filter it goes where Envoy's own route says.
                    self.counts.add(target.metrics.changed);
                }
            }
            None => self.counts.add(metrics.unmatched),
        }
        if self.plan.metrics_level == MetricsLevel::Full {
            record(decision.rule(), decision.variant().map(|v| v.name.as_str()), reason);
        }
    }

    /// Under `metrics: full` the rule and the variant are added to `tried`, for access logs.
    fn count_shadow(&self, shadow: &Decision<'_>, decision: &Decision<'_>, tried: &mut String) {
        let Some(target) = shadow.target else { return };
        self.counts.add(target.metrics.request("shadow"));
        if shadow.variant() != decision.variant() {
            self.counts.add(target.metrics.changed);
        }
        if self.plan.metrics_level == MetricsLevel::Full {
            let comma = if tried.is_empty() { "" } else { "," };
            tried.extend([comma, &target.rule, "=", &target.variant.name]);
        }
    }

    /// Whose response has to be counted; most often nobody's, which costs nothing.
    fn counted(&self, decision: &Decision<'_>) -> Option<(Arc<Target>, u64)> {
        let target = decision.target?;
        let wanted = self.plan.metrics_level == MetricsLevel::Full || target.guard.is_some();
        (wanted && !self.plan.shadow).then(|| (Arc::clone(target), host::milliseconds()))
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
