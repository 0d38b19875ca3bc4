//! The limits of a guard, and when its counts exceed them.

use super::{Guard, GuardState, Sides, TRIAL_SHARE, Tally, Transition};

/// The fewest responses that end a trial, unless `minRequests` is less: one error in 20 is 5 %.
const TRIAL_RESPONSES: u32 = 20;

/// The fallback's error rate over the watched variant's from which on both fail: a guard does not
/// trip if the fallback exceeds the limit too and fails at least half as often.
const BOTH_FAIL: f64 = 0.5;

/// The least 95th percentile of the fallback that latencies are compared with, in milliseconds:
/// below it, scheduling alone doubles a latency.
const LEAST_LATENCY: f64 = 5.0;

/// The share of the watched variant's responses that may be slower than its limit, which is a 95th
/// percentile.
const SLOW_SHARE: f64 = 0.05;

/// Standard errors by which a count has to exceed what is allowed. The guard looks every second, so
/// that two of them would be exceeded by chance many times a day.
const STANDARD_ERRORS: f64 = 3.0;

impl Guard {
    /// The transition that trips the guard from full traffic, if the counts prove that a limit is
    /// exceeded: by more than chance makes of a variant that keeps to it.
    pub(super) fn trips(&self, sides: &Sides) -> Option<Transition> {
        let Sides { watch, fallback } = sides;
        if self.both_fail(sides) {
            return None;
        }
        let allowed = self.max_error_rate.max(fallback.error_rate());
        let proven = is_excess(f64::from(watch.errors), watch.responses, allowed, 1.0);
        let errors = self.failing(sides, self.min_requests).filter(|_| proven);
        errors
            .or_else(|| self.slow(sides, self.min_requests).filter(|_| self.is_proven_slow(sides)))
    }

    /// The verdict over a trial, if there is one yet. Before a window is over it takes as many
    /// responses as outside a trial: the first few prove nothing. No proof is asked for: a variant
    /// that has tripped the guard has to keep to its limits.
    pub(super) fn judge(
        &self,
        sides: &Sides,
        window_over: bool,
    ) -> Option<(GuardState, Transition)> {
        let tenth = (f64::from(self.min_requests) * TRIAL_SHARE) as u32;
        let few = tenth.max(self.min_requests.min(TRIAL_RESPONSES));
        let enough = if window_over { few } else { self.min_requests };
        match self.failing(sides, enough).or_else(|| self.slow(sides, enough)) {
            Some(transition) => Some((GuardState::Open, transition)),
            None => (window_over && sides.watch.responses >= enough)
                .then_some((GuardState::Closed, Transition::Recovered)),
        }
    }

    /// Whether the fallback has too many errors too, and so a trip would gain nothing. A few of its
    /// responses are enough to tell.
    fn both_fail(&self, sides: &Sides) -> bool {
        let Sides { watch, fallback } = sides;
        fallback.responses >= self.min_requests.min(TRIAL_RESPONSES)
            && fallback.error_rate() > self.max_error_rate
            && fallback.error_rate() >= watch.error_rate() * BOTH_FAIL
    }

    /// The transition for a watched variant with more errors than allowed among `enough` responses.
    fn failing(&self, sides: &Sides, enough: u32) -> Option<Transition> {
        let Sides { watch, fallback } = sides;
        let failing = watch.responses >= enough && watch.error_rate() > self.max_error_rate;
        failing.then(|| Transition::Errors {
            watch: watch.error_count(),
            fallback: fallback.error_count(),
        })
    }

    /// The transition for a watched variant that is slower than allowed over `enough` responses of
    /// each side.
    fn slow(&self, sides: &Sides, enough: u32) -> Option<Transition> {
        let Sides { watch, fallback } = sides;
        let comparable = watch.measured() >= enough && fallback.measured() >= enough;
        let limit = self.slowest(fallback).filter(|_| comparable)?;
        let (watch_p95_ms, fallback_p95_ms) = (watch.p95(), fallback.p95());
        (watch_p95_ms > limit).then_some(Transition::Latency { watch_p95_ms, fallback_p95_ms })
    }

    /// Whether more responses than [`SLOW_SHARE`] are slower than the limit. The limit is an
    /// estimate itself, which is the rougher the fewer responses of the fallback there are.
    fn is_proven_slow(&self, sides: &Sides) -> bool {
        let Sides { watch, fallback } = sides;
        let rough = f64::from(watch.responses) / f64::from(fallback.measured().max(1));
        self.slowest(fallback).is_some_and(|limit| {
            is_excess(watch.slower_than(limit), watch.responses, SLOW_SHARE, 1.0 + rough)
        })
    }

    /// The limit of the watched variant's 95th percentile in milliseconds.
    fn slowest(&self, fallback: &Tally) -> Option<f64> {
        Some(self.max_latency_ratio? * fallback.p95().max(LEAST_LATENCY))
    }
}

/// Whether `count` of `n` responses is more than chance makes of a share `p`: the variance of a
/// binomial count, times `spread`, and half a response since counts are whole.
fn is_excess(count: f64, n: u32, p: f64, spread: f64) -> bool {
    let n = f64::from(n);
    count > n * p + STANDARD_ERRORS * f64::sqrt(n * p * (1.0 - p) * spread) + 0.5
}
