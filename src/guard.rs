//! Guards: a variant that fails loses its traffic to another one, and gets it back by a trial.
//!
//! ```text
//! Full ── too many errors, or too slow ──> Tripped ── cooldown ──> Trial ── a good window ──> Full
//!                                             ^──── still bad ───────'
//! ```
//! Where the fallback fails as well, nothing would be gained: then nothing trips. Once tripped, the
//! watched variant comes back by being good, not by the fallback being as bad.

mod tally;

pub use tally::{Record, Sides, Tally};

use std::fmt;
use std::sync::Arc;

use xxhash_rust::xxh64::xxh64;

use crate::rendezvous::{rehash, uniform};
use crate::variant::Target;

/// Of the requests for a variant on trial, the share that reaches it.
const TRIAL_SHARE: f64 = 0.1;

/// The seed of the hash that chooses them, apart from the split's own.
const TRIAL_SEED: u64 = u64::from_le_bytes(*b"on trial");

/// Responses that a trial needs at least, or `minRequests` if that is less: one error among them
/// is 5 %.
const TRIAL_RESPONSES: u32 = 20;

/// Windows over which a trial is counted: it sees a tenth of the traffic.
const TRIAL_WINDOWS: u64 = 10;

/// Of the watched variant's error rate, the share from which on a fallback that is over the bound
/// too fails as well.
const AS_BAD: f64 = 0.5;

/// Milliseconds below which a percentile counts as this many: no ratio to less says anything.
const GRAIN: f64 = 5.0;

/// A guard over one split.
#[derive(Debug)]
pub struct Guard {
    /// The rule's name.
    pub(crate) rule: Arc<str>,
    pub(crate) watch: Arc<Target>,
    pub(crate) fallback: Arc<Target>,
    pub(crate) max_error_rate: f64,
    pub(crate) max_latency_ratio: Option<f64>,
    pub(crate) min_requests: u32,
    /// Seconds.
    pub(crate) window: u64,
    /// Seconds.
    pub(crate) cooldown: u64,
}

/// How much of its traffic the watched variant gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GuardState {
    /// All of it.
    #[default]
    Closed,
    /// A tenth, on trial.
    HalfOpen,
    /// None: the guard has tripped.
    Open,
}

/// A change of state, and why.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The watched variant failed too often.
    Errors {
        /// Its responses, and of them the errors.
        watch: (u32, u32),
        /// Those of the fallback.
        fallback: (u32, u32),
    },
    /// It was too slow: 95th percentiles in milliseconds, its own and the fallback's.
    Latency(f64, f64),
    /// The cooldown is over.
    Trial,
    /// The trial went well.
    Recovered,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Errors { watch, fallback } => {
                let (w, f_) = (watch, fallback);
                write!(f, "{} errors in {} responses, against {} in {}", w.1, w.0, f_.1, f_.0)
            }
            Change::Latency(watch, fallback) => {
                let (watch, fallback) = (watch.round() as u64, fallback.round() as u64);
                write!(f, "p95 of {watch} ms, against {fallback} ms")
            }
            Change::Trial => write!(f, "cooldown over"),
            Change::Recovered => write!(f, "a good window"),
        }
    }
}

impl Guard {
    /// Where a request chosen for `target` goes instead, if anywhere. `hash` is that of its key, so
    /// that a trial keeps its users.
    pub(crate) fn redirect(
        &self,
        state: GuardState,
        target: &Arc<Target>,
        hash: impl FnOnce() -> u64,
    ) -> Option<&Arc<Target>> {
        if state == GuardState::Closed || target.variant.name != self.watch.variant.name {
            return None;
        }
        let tried =
            state == GuardState::HalfOpen && uniform(rehash(hash(), TRIAL_SEED)) < TRIAL_SHARE;
        (!tried).then_some(&self.fallback)
    }

    /// Names its record: a guard that is the same in another configuration keeps it.
    pub fn id(&self) -> u64 {
        let rates = (self.max_error_rate.to_bits(), self.max_latency_ratio.map(f64::to_bits));
        let spans = (self.min_requests, self.window, self.cooldown);
        let (watch, fallback) = (&self.watch.variant, &self.fallback.variant);
        xxh64(format!("{:?}", (&self.rule, watch, fallback, rates, spans)).as_bytes(), 0)
    }

    /// The counts that a response of this target belongs to.
    pub(crate) fn side<'s>(&self, target: &Target, sides: &'s mut Sides) -> Option<&'s mut Tally> {
        let name = &target.variant.name;
        if *name == self.watch.variant.name {
            Some(&mut sides.watch)
        } else {
            (*name == self.fallback.variant.name).then_some(&mut sides.fallback)
        }
    }

    /// Moves a record on to this time: the next state, if it changes, and why.
    pub fn step(&self, record: &mut Record, now: u64) -> Option<Change> {
        record.forget(now, self.span(record.state));
        let sides = record.sum();
        let elapsed = now.saturating_sub(record.since);
        let (state, change) = match record.state {
            GuardState::Closed if self.fails_as_well(&sides) => return None,
            GuardState::Closed => (GuardState::Open, self.bad(&sides, self.min_requests)?),
            GuardState::Open if elapsed >= self.cooldown => (GuardState::HalfOpen, Change::Trial),
            GuardState::Open => return None,
            GuardState::HalfOpen => self.judge(&sides, elapsed >= self.window)?,
        };
        record.enter(state, now);
        Some(change)
    }

    /// Seconds over which responses are counted.
    fn span(&self, state: GuardState) -> u64 {
        match state {
            GuardState::HalfOpen => self.window.saturating_mul(TRIAL_WINDOWS),
            GuardState::Closed | GuardState::Open => self.window,
        }
    }

    /// What a trial has come to; before a window is over, only `minRequests` tell.
    fn judge(&self, sides: &Sides, over: bool) -> Option<(GuardState, Change)> {
        let tenth = (f64::from(self.min_requests) * TRIAL_SHARE) as u32;
        let few = tenth.max(self.min_requests.min(TRIAL_RESPONSES));
        let enough = if over { few } else { self.min_requests };
        match self.bad(sides, enough) {
            Some(change) => Some((GuardState::Open, change)),
            None => (over && sides.watch.responses >= enough)
                .then_some((GuardState::Closed, Change::Recovered)),
        }
    }

    /// Whether the fallback has too many errors too; a few of its responses tell.
    fn fails_as_well(&self, sides: &Sides) -> bool {
        let Sides { watch, fallback } = sides;
        fallback.responses >= self.min_requests.min(TRIAL_RESPONSES)
            && fallback.error_rate() > self.max_error_rate
            && fallback.error_rate() >= watch.error_rate() * AS_BAD
    }

    fn bad(&self, sides: &Sides, enough: u32) -> Option<Change> {
        let Sides { watch, fallback } = sides;
        let failing = watch.responses >= enough && watch.error_rate() > self.max_error_rate;
        let errors = failing.then_some(Change::Errors {
            watch: (watch.responses, watch.errors),
            fallback: (fallback.responses, fallback.errors),
        });
        errors.or_else(|| self.slow(sides, enough))
    }

    fn slow(&self, sides: &Sides, enough: u32) -> Option<Change> {
        let Sides { watch, fallback } = sides;
        let comparable = watch.responses >= enough && fallback.responses >= enough;
        let (slow, usual) = (watch.p95(), fallback.p95());
        let ratio = self.max_latency_ratio.filter(|_| comparable)?;
        (slow > ratio * usual.max(GRAIN)).then_some(Change::Latency(slow, usual))
    }
}

#[cfg(test)]
mod tests;
