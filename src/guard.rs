//! Guards: a guard watches one variant of a split as a circuit breaker does. While the watched
//! variant fails, its requests go to a fallback; a trial gives them back.
//!
//! ```text
//! Closed ── too many errors, or too slow ──> Open ── cooldown ──> HalfOpen ── a good window ──> Closed
//!                                             ^───── still bad ──────┘
//! ```
//! A guard does not trip where the fallback fails as well: nothing would be gained. Once it is open,
//! only the watched variant's own responses close it, however bad the fallback is.
//!
//! ```
//! use traffic_split::Plan;
//! use traffic_split::guard::{GuardState, Record, Sides, Transition};
//!
//! let plan = Plan::compile(
//!     br#"{
//!         "variantHeader": "x-variant",
//!         "variants": { "stable": {}, "canary": {} },
//!         "rules": [{
//!             "name": "rollout",
//!             "split": { "stable": 90, "canary": 10 },
//!             "guard": { "watch": "canary", "fallback": "stable", "maxErrorRate": "5%",
//!                        "minRequests": 20, "cooldown": "10m" }
//!         }]
//!     }"#,
//!     &|_| None,
//! )?;
//! let guard = &plan.guards()[0];
//! let mut counts = Sides::default();
//! for request in 0..20 {
//!     counts.watch.observe(request < 2, 12);
//!     counts.fallback.observe(false, 12);
//! }
//! let mut record = Record::default();
//! record.add(guard, &counts, 1_000);
//! let tripped = guard.step(&mut record, 1_000).unwrap();
//! assert_eq!(tripped.to_string(), "2 errors in 20 responses, against 0 in 20");
//! assert_eq!(record.state, GuardState::Open);
//! assert_eq!(guard.step(&mut record, 1_599), None);
//! assert_eq!(guard.step(&mut record, 1_600), Some(Transition::Trial));
//! # Ok::<(), traffic_split::Errors>(())
//! ```

mod tally;
mod transition;

pub use tally::{Record, Sides, Tally};
pub use transition::{ErrorCount, Transition};

use std::sync::Arc;

use xxhash_rust::xxh64::xxh64;

use crate::rendezvous::{rehash, uniform};
use crate::variant::Target;

/// The share of the watched variant's requests that reach it on trial, 0 to 1.
const TRIAL_SHARE: f64 = 0.1;

/// The seed of the hash that chooses the requests of a trial; the split has seeds of its own.
const TRIAL_SEED: u64 = u64::from_le_bytes(*b"on trial");

/// The fewest responses that end a trial, unless `minRequests` is less: one error in 20 is 5 %.
const TRIAL_RESPONSES: u32 = 20;

/// The length of a trial's window in windows of the guard: a trial sees a tenth of the traffic.
const TRIAL_WINDOWS: u64 = 10;

/// The fallback's error rate over the watched variant's from which on both fail: a guard does not
/// trip if the fallback exceeds the limit too and fails at least half as often.
const BOTH_FAIL: f64 = 0.5;

/// The least 95th percentile of the fallback that latencies are compared with, in milliseconds:
/// below it, scheduling alone doubles a latency.
const LEAST_LATENCY: f64 = 5.0;

/// A guard over one split.
#[derive(Debug)]
pub struct Guard {
    /// The rule's name.
    pub(crate) rule: Arc<str>,
    pub(crate) watch: Arc<Target>,
    pub(crate) fallback: Arc<Target>,
    /// The share of errors that is exceeded when the guard trips, 0 to less than 1.
    pub(crate) max_error_rate: f64,
    /// The watched variant's 95th percentile over the fallback's, 1 to
    /// [`LATENCY_RATIO`](crate::limits::LATENCY_RATIO); `None` compares no latencies.
    pub(crate) max_latency_ratio: Option<f64>,
    /// The fewest responses of the watched variant that trip the guard.
    pub(crate) min_requests: u32,
    /// Seconds over which responses are counted.
    pub(crate) window: u64,
    /// Seconds from a trip to the trial.
    pub(crate) cooldown: u64,
}

/// The state of a guard, in the words of a circuit breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GuardState {
    /// The watched variant gets all of its requests.
    #[default]
    Closed,
    /// The watched variant is on trial: it gets a tenth of its requests, always the same clients'.
    HalfOpen,
    /// The guard has tripped: the watched variant gets none of its requests.
    Open,
}

impl Guard {
    /// The fallback, if a request that was chosen for `target` goes there instead. A request whose
    /// variant the route chooses may be for the watched one. `hash` is the hash of the client's key, so
    /// that a trial keeps its clients.
    pub(crate) fn redirect(
        &self,
        state: GuardState,
        target: &Arc<Target>,
        hash: impl FnOnce() -> u64,
    ) -> Option<&Arc<Target>> {
        let watched = target.variant.is_none() || target.name() == self.watch.name();
        if state == GuardState::Closed || !watched {
            return None;
        }
        let tried =
            state == GuardState::HalfOpen && uniform(rehash(hash(), TRIAL_SEED)) < TRIAL_SHARE;
        (!tried).then_some(&self.fallback)
    }

    /// The number that names the guard's record in Envoy's shared data. A guard keeps its record as
    /// long as its rule's name, its settings, and the names and clusters of its two variants stay
    /// the same, whatever else changes in the configuration. Another version of the module finds
    /// the record by the same encoding, version 1:
    ///
    /// ```text
    /// id = XXH64(rule NUL watch NUL cluster NUL fallback NUL cluster NUL maxErrorRate NUL
    ///            maxLatencyRatio NUL minRequests NUL window NUL cooldown, seed = 0)
    /// ```
    /// Each cluster is that of the variant before it, empty if it has none. The rate and the ratio
    /// are the bits of an `f64` in hexadecimal, 0 for no ratio; the other numbers are decimal, and
    /// times are in seconds. No name or cluster holds a NUL. (Modules before this encoding hashed
    /// another one: when the first with it replaces them, every guard starts anew, closed.)
    pub fn id(&self) -> u64 {
        let cluster = |target: &Target| target.variant.as_ref()?.cluster.clone();
        let cluster = |target: &Target| cluster(target).unwrap_or_default();
        let (watch, fallback) = (&self.watch, &self.fallback);
        let text = format!(
            "{}\0{}\0{}\0{}\0{}\0{:x}\0{:x}\0{}\0{}\0{}",
            self.rule,
            watch.name(),
            cluster(watch),
            fallback.name(),
            cluster(fallback),
            self.max_error_rate.to_bits(),
            self.max_latency_ratio.map_or(0, f64::to_bits),
            self.min_requests,
            self.window,
            self.cooldown,
        );
        xxh64(text.as_bytes(), 0)
    }

    /// The counts that a response of this target belongs to; `None` if the guard does not count it.
    pub(crate) fn side<'s>(&self, target: &Target, sides: &'s mut Sides) -> Option<&'s mut Tally> {
        let name = target.name();
        if name == self.watch.name() {
            Some(&mut sides.watch)
        } else {
            (name == self.fallback.name()).then_some(&mut sides.fallback)
        }
    }

    /// Moves a record on to `now`, in Unix seconds, and returns the transition if its state changes.
    /// The example of this module shows one guard trip.
    pub fn step(&self, record: &mut Record, now: u64) -> Option<Transition> {
        record.forget(now, self.span(record.state));
        let sides = record.sum();
        let elapsed = now.saturating_sub(record.since);
        let (state, transition) = match record.state {
            GuardState::Closed if self.both_fail(&sides) => return None,
            GuardState::Closed => (GuardState::Open, self.bad(&sides, self.min_requests)?),
            GuardState::Open if elapsed >= self.cooldown => {
                (GuardState::HalfOpen, Transition::Trial)
            }
            GuardState::Open => return None,
            GuardState::HalfOpen => self.judge(&sides, elapsed >= self.window)?,
        };
        record.enter(state, now);
        Some(transition)
    }

    /// Seconds over which responses are counted in this state.
    fn span(&self, state: GuardState) -> u64 {
        match state {
            GuardState::HalfOpen => self.window.saturating_mul(TRIAL_WINDOWS),
            GuardState::Closed | GuardState::Open => self.window,
        }
    }

    /// The verdict over a trial, if there is one yet. Before a window is over it takes as many
    /// responses as outside a trial: the first few prove nothing.
    fn judge(&self, sides: &Sides, window_over: bool) -> Option<(GuardState, Transition)> {
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
    fn both_fail(&self, sides: &Sides) -> bool {
        let Sides { watch, fallback } = sides;
        fallback.responses >= self.min_requests.min(TRIAL_RESPONSES)
            && fallback.error_rate() > self.max_error_rate
            && fallback.error_rate() >= watch.error_rate() * BOTH_FAIL
    }

    /// The transition that trips the guard, if `enough` responses show that a limit is exceeded.
    fn bad(&self, sides: &Sides, enough: u32) -> Option<Transition> {
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

#[cfg(test)]
mod tests;
