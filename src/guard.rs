//! Guards: a variant that fails loses its traffic to another one, and gets it back by a trial.
//!
//! ```text
//! Full ── too many errors, or too slow ──> Tripped ── cooldown ──> Trial ── a good window ──> Full
//!                                             ^──── still bad ───────'
//! ```
//! A fallback that fails as well would gain nothing: then nothing trips.

mod tally;

pub use tally::{Record, Sides, Tally};

use std::fmt;
use std::sync::Arc;

use crate::plan::Target;
use crate::split::{rehash, uniform};

/// Of the requests for a variant on trial, the share that reaches it.
const TRIAL_SHARE: f64 = 0.1;

/// The seed of the hash that chooses them, apart from the split's own.
const TRIAL_SEED: u64 = u64::from_le_bytes(*b"on trial");

/// Responses that a trial needs at least, or `minRequests` if that is less.
const TRIAL_RESPONSES: u32 = 10;

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
pub enum Level {
    /// All of it.
    #[default]
    Full,
    /// A tenth.
    Trial,
    /// None.
    Tripped,
}

/// A change of level, and why.
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
    /// that a trial keeps its users; without one it is not tried.
    pub(crate) fn redirect(
        &self,
        level: Level,
        target: &Arc<Target>,
        hash: Option<u64>,
    ) -> Option<&Arc<Target>> {
        let tried = || hash.is_some_and(|hash| uniform(rehash(hash, TRIAL_SEED)) < TRIAL_SHARE);
        let held = match level {
            Level::Full => false,
            Level::Trial => !tried(),
            Level::Tripped => true,
        };
        (held && target.variant.name == self.watch.variant.name).then_some(&self.fallback)
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

    /// Moves a record on to this time: the next level, if it changes, and why.
    pub fn step(&self, record: &mut Record, now: u64) -> Option<Change> {
        record.forget(now, self.window);
        let sides = record.sum();
        let elapsed = now.saturating_sub(record.since);
        let (level, change) = match record.level {
            Level::Full => (Level::Tripped, self.bad(&sides, self.min_requests)?),
            Level::Tripped if elapsed >= self.cooldown => (Level::Trial, Change::Trial),
            Level::Tripped => return None,
            Level::Trial => {
                let tenth = (f64::from(self.min_requests) * TRIAL_SHARE) as u32;
                let enough = tenth.max(self.min_requests.min(TRIAL_RESPONSES));
                match self.bad(&sides, enough) {
                    Some(change) => (Level::Tripped, change),
                    None if elapsed >= self.window && sides.watch.responses >= enough => {
                        (Level::Full, Change::Recovered)
                    }
                    None => return None,
                }
            }
        };
        record.enter(level, now);
        Some(change)
    }

    fn bad(&self, sides: &Sides, enough: u32) -> Option<Change> {
        let Sides { watch, fallback } = sides;
        if watch.responses < enough {
            return None;
        }
        let comparable = fallback.responses >= enough;
        if watch.error_rate() > self.max_error_rate
            && !(comparable && fallback.error_rate() > self.max_error_rate)
        {
            return Some(Change::Errors {
                watch: (watch.responses, watch.errors),
                fallback: (fallback.responses, fallback.errors),
            });
        }
        let (slow, usual) = (watch.p95(), fallback.p95());
        let too_slow = self.max_latency_ratio.is_some_and(|ratio| slow > ratio * usual);
        (comparable && too_slow).then_some(Change::Latency(slow, usual))
    }
}

#[cfg(test)]
mod tests;
