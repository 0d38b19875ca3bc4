//! What a decision leaves to the response.

use proxy_wasm::hostcalls;
use proxy_wasm::types::MapType;

use super::Running;
use super::host;
use crate::variant::Target;
use crate::{Class, ResponseEffects};

/// What has to be done with the response; most often nothing.
pub(super) struct Response {
    effects: ResponseEffects,
    /// Since when it is waited for, in milliseconds since 1970, where it is counted.
    since: u64,
}

impl Response {
    pub(super) fn new(effects: ResponseEffects) -> Self {
        let since = effects.observed.as_ref().map_or(0, |_| host::milliseconds());
        Response { effects, since }
    }

    /// Whether anything is left.
    pub(super) fn is_needed(&self) -> bool {
        !self.effects.is_empty()
    }

    /// Does what is left, now that there are response headers.
    pub(super) fn answer(self, running: &Running) {
        for header in self.effects.headers {
            host::add_response_header(&header.name, &header.value);
        }
        if let Some(target) = self.effects.observed {
            let status = |name| {
                hostcalls::get_map_value_bytes(MapType::HttpResponseHeaders, name).ok().flatten()
            };
            let class = Class::of(status(":status").as_deref(), status("grpc-status").as_deref());
            running.responded(&target, class, self.since);
        }
    }

    /// There will be none.
    pub(super) fn reset(self, running: &Running) {
        if let Some(target) = self.effects.observed {
            running.responded(&target, Class::Reset, self.since);
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
