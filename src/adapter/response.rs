//! What a decision leaves to the response.

use std::sync::Arc;

use proxy_wasm::hostcalls;
use proxy_wasm::types::MapType;

use super::Running;
use super::host;
use crate::Class;
use crate::variant::Target;

/// What has to be done with the response; most often nothing.
pub(super) struct Response {
    pub(super) set_cookies: Vec<String>,
    /// The value of the debug header.
    pub(super) debug: Option<String>,
    /// Whose responses are counted, and since when, in milliseconds since 1970.
    pub(super) counted: Option<(Arc<Target>, u64)>,
}

impl Response {
    /// Whether anything is left.
    pub(super) fn is_needed(&self) -> bool {
        !self.set_cookies.is_empty() || self.debug.is_some() || self.counted.is_some()
    }

    /// Does what is left, now that there are response headers.
    pub(super) fn answer(self, running: &Running) {
        // Beside whatever the upstream sets.
        for cookie in self.set_cookies {
            host::add_response_header("set-cookie", &cookie);
        }
        if let (Some(name), Some(value)) = (&running.plan.debug_header, self.debug) {
            host::add_response_header(name, &value);
        }
        if let Some((target, since)) = self.counted {
            let status = |name| {
                hostcalls::get_map_value_bytes(MapType::HttpResponseHeaders, name).ok().flatten()
            };
            let class = Class::of(status(":status").as_deref(), status("grpc-status").as_deref());
            running.responded(&target, class, since);
        }
    }

    /// There will be none.
    pub(super) fn reset(self, running: &Running) {
        if let Some((target, since)) = self.counted {
            running.responded(&target, Class::Reset, since);
        }
    }
}

impl Running {
    fn responded(&self, target: &Target, class: Class, since: u64) {
        let ms = host::milliseconds().saturating_sub(since);
        self.counts.add(target.metrics.response(class));
        if class != Class::Reset {
            self.counts.set(target.metrics.latency, ms);
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
