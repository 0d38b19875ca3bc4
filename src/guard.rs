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
//!     counts.watch.observe(request < 5, 12);
//!     counts.fallback.observe(false, 12);
//! }
//! let mut record = Record::default();
//! record.add(guard, &counts, 1_000);
//! let tripped = guard.step(&mut record, 1_000).unwrap();
//! assert_eq!(tripped.to_string(), "5 errors in 20 responses, against 0 in 20");
//! assert_eq!(record.state, GuardState::Open);
//! assert_eq!(guard.step(&mut record, 1_599), None);
//! assert_eq!(guard.step(&mut record, 1_600), Some(Transition::Trial));
//! # Ok::<(), traffic_split::Errors>(())
//! ```

mod tally;
mod transition;
mod verdict;

pub use tally::{Record, Sides, Tally};
pub use transition::{ErrorCount, Transition};

use std::sync::Arc;

use xxhash_rust::xxh64::xxh64;

use crate::rendezvous::{rehash, uniform};
use crate::variant::Target;

/// The share of the watched variant's clients that reach it when a trial begins, 0 to 1.
const TRIAL_SHARE: f64 = 0.1;

/// The most times that a trial's share doubles, which leaves a fifth of the clients with the
/// fallback.
const TRIAL_DOUBLINGS: u32 = 3;

/// The seed of the hash that chooses the requests of a trial; the split has seeds of its own.
const TRIAL_SEED: u64 = u64::from_le_bytes(*b"on trial");

/// The windows of the guard after which a trial without an error has its share doubled, if it has
/// still too few responses: a tenth of the clients may send no request for long.
const TRIAL_WINDOWS: u64 = 10;

/// The most times that the cooldown doubles: from ten minutes to five hours and twenty minutes.
const COOLDOWN_DOUBLINGS: u32 = 5;

/// Seconds without a trip after which a guard forgets the trips before.
const GOOD_DAY: u64 = 86_400;

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
    /// Whether it changes no state, because a hold keeps the requests from what it watches.
    pub(crate) waits: bool,
}

/// The state of a guard, in the words of a circuit breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GuardState {
    /// The watched variant gets all of its requests.
    #[default]
    Closed,
    /// The watched variant is on trial: it gets a tenth of its clients, always the same ones, and
    /// more of them while they send too few requests to tell.
    HalfOpen,
    /// The guard has tripped: the watched variant gets none of its requests.
    Open,
}

impl Guard {
    /// The fallback, if a request that was chosen for `target` goes there instead, while only the
    /// share `admitted` of the watched variant's clients reaches it. Where the route chooses, any
    /// request may be for that variant. `hash` is the hash of the client's key: the clients of a
    /// trial stay the same, and more of them join as it widens.
    pub(crate) fn redirect(
        &self,
        admitted: f64,
        target: &Arc<Target>,
        hash: impl FnOnce() -> u64,
    ) -> Option<&Arc<Target>> {
        let watched = target.variant.is_none() || target.name() == self.watch.name();
        if admitted >= 1.0 || !watched {
            return None;
        }
        let tried = admitted > 0.0 && uniform(rehash(hash(), TRIAL_SEED)) < admitted;
        (!tried).then_some(&self.fallback)
    }

    /// The share of the watched variant's clients that reach it at `now`, in Unix seconds: 1 while
    /// the guard is closed, 0 while it is open.
    ///
    /// ```
    /// # use traffic_split::Plan;
    /// # use traffic_split::guard::Record;
    /// # let plan = Plan::compile(br#"{ "variantHeader": "x-v", "variants": { "a": {}, "b": {} },
    /// #     "rules": [{ "name": "r", "split": { "a": 1, "b": 1 },
    /// #     "guard": { "watch": "b", "fallback": "a", "maxErrorRate": "5%" } }] }"#, &|_| None)?;
    /// assert_eq!(plan.guards()[0].admitted(&Record::default(), 1_000), 1.0);
    /// # Ok::<(), traffic_split::Errors>(())
    /// ```
    pub fn admitted(&self, record: &Record, now: u64) -> f64 {
        match record.state {
            GuardState::Closed => 1.0,
            GuardState::Open => 0.0,
            GuardState::HalfOpen if record.sum().watch.errors > 0 => TRIAL_SHARE,
            GuardState::HalfOpen => {
                let span = self.window.saturating_mul(TRIAL_WINDOWS);
                let spans = now.saturating_sub(record.since).checked_div(span).unwrap_or(0);
                let doublings = u32::try_from(spans).unwrap_or(u32::MAX).min(TRIAL_DOUBLINGS);
                TRIAL_SHARE * f64::from(1_u32.checked_shl(doublings).unwrap_or(1))
            }
        }
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
        if self.waits {
            record.wait(now);
            return None;
        }
        record.forget(now, self.span(record.state));
        let elapsed = now.saturating_sub(record.since);
        if record.state == GuardState::Closed && elapsed >= GOOD_DAY {
            record.trips = 0;
        }
        let sides = record.sum();
        let (state, transition) = match record.state {
            GuardState::Closed => (GuardState::Open, self.trips(&sides)?),
            GuardState::Open if elapsed >= self.cooldown(record) => {
                (GuardState::HalfOpen, Transition::Trial)
            }
            GuardState::Open => return None,
            GuardState::HalfOpen => self.judge(&sides, elapsed >= self.window)?,
        };
        record.enter(state, now);
        Some(transition)
    }

    /// Seconds from the last trip to the trial. It doubles with every further trip.
    fn cooldown(&self, record: &Record) -> u64 {
        let doublings = record.trips.saturating_sub(1).min(COOLDOWN_DOUBLINGS);
        self.cooldown.saturating_mul(1_u64.checked_shl(doublings).unwrap_or(1))
    }

    /// Seconds over which responses are counted in this state: a trial counts all of its own.
    fn span(&self, state: GuardState) -> u64 {
        match state {
            GuardState::HalfOpen => u64::MAX,
            GuardState::Closed | GuardState::Open => self.window,
        }
    }
}

#[cfg(test)]
mod tests;
