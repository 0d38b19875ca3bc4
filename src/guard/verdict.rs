//! The limits of a guard, and when its counts exceed them.

use super::{Guard, GuardState, Sides, TRIAL_SHARE, Transition};

/// The fewest responses that end a trial, unless `minRequests` is less: one error in 20 is 5 %.
const TRIAL_RESPONSES: u32 = 20;

/// The fallback's error rate over the watched variant's from which on both fail: a guard does not
/// trip if the fallback exceeds the limit too and fails at least half as often.
const BOTH_FAIL: f64 = 0.5;

/// The least 95th percentile of the fallback that latencies are compared with, in milliseconds:
/// below it, scheduling alone doubles a latency.
const LEAST_LATENCY: f64 = 5.0;

impl Guard {
    /// The verdict over a trial, if there is one yet. Before a window is over it takes as many
    /// responses as outside a trial: the first few prove nothing.
    pub(super) fn judge(&self, sides: &Sides, window_over: bool) -> Option<(GuardState, Transition)> {
        let tenth = (f64::from(self.min_requests) * TRIAL_SHARE) as u32;
        let few = tenth.max(self.min_requests.min(TRIAL_RESPONSES));
        let enough = if window_over { few } else { self.min_requests };
        match self.bad(sides, enough) {
            Some(transition) => Some((GuardState::Open, transition)),
            None => (window_over && sides.watch.responses >= enough)
                .then_some((GuardState::Closed, Transition::Recovered)),
        }
    }

    /// Whether the fallback has too many errors too, and so a trip would gain nothing. A few of its
    /// responses are enough to tell.
    pub(super) fn both_fail(&self, sides: &Sides) -> bool {
        let Sides { watch, fallback } = sides;
        fallback.responses >= self.min_requests.min(TRIAL_RESPONSES)
            && fallback.error_rate() > self.max_error_rate
            && fallback.error_rate() >= watch.error_rate() * BOTH_FAIL
    }

    /// The transition that trips the guard, if `enough` responses show that a limit is exceeded.
    pub(super) fn bad(&self, sides: &Sides, enough: u32) -> Option<Transition> {
        let Sides { watch, fallback } = sides;
        let failing = watch.responses >= enough && watch.error_rate() > self.max_error_rate;
        let errors = failing.then(|| Transition::Errors {
            watch: watch.error_count(),
            fallback: fallback.error_count(),
        });
        errors.or_else(|| self.slow(sides, enough))
    }

    fn slow(&self, sides: &Sides, enough: u32) -> Option<Transition> {
        let Sides { watch, fallback } = sides;
        let comparable = watch.responses >= enough && fallback.responses >= enough;
        let ratio = self.max_latency_ratio.filter(|_| comparable)?;
        let (watch_p95_ms, fallback_p95_ms) = (watch.p95(), fallback.p95());
        (watch_p95_ms > ratio * fallback_p95_ms.max(LEAST_LATENCY))
            .then_some(Transition::Latency { watch_p95_ms, fallback_p95_ms })
    }
}

