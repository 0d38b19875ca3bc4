//! From the headers of a request to what is written into them.

use proxy_wasm::hostcalls;

use super::Running;
use super::host::{self, Host, HostRequest};
use super::response::Response;
use crate::Outcome;

impl Running {
    /// Decides about a request, and does what is to be done with its headers; what is left to its
    /// response.
    pub(super) fn route(&self) -> Response {
        let request = &HostRequest::default();
        let snapshot = self.snapshot.borrow();
        let outcome = Outcome::decide(&self.plan, &snapshot, request, &mut Host);
        for index in outcome.counters() {
            self.counts.add(Some(index));
        }
        for (name, value) in outcome.filter_state() {
            set_filter_state(name, &value);
        }
        for change in outcome.request_headers() {
            // A header that nobody sent needs no removing.
            if change.value.is_some() || request.may_have(change.name) {
                host::set_request_header(change.name, change.value);
            }
        }
        Response::new(outcome.into_response())
    }
}

/// Envoy keeps it as `wasm.NAME`: `%FILTER_STATE(wasm.tsplit.rule:PLAIN)%`.
fn set_filter_state(name: &str, value: &str) {
    let _ = hostcalls::set_property(vec![name], Some(value.as_bytes()));
}
