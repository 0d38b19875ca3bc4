//! The parts of a plan that change with time: its ramps and the states of its guards. They are
//! renewed about once a second, never by a request.

use crate::plan::Plan;
use crate::rule::Allocation;
use crate::split::Split;

/// The most seconds by which a clock that is corrected steps back.
const SMALL_STEP: u64 = 3600;

/// The ramps and guards of a plan at one time.
///
/// ```
/// use traffic_split::{Plan, Snapshot};
///
/// let config = br#"{ "variantHeader": "x-v", "variants": { "stable": {}, "canary": {} },
///     "rules": [{ "name": "rollout", "split": { "stable": 100, "canary": 0 },
///                 "ramp": { "variant": "canary", "to": 50, "start": "2026-12-01T09:00:00Z",
///                           "duration": "24h" } }] }"#;
/// let plan = Plan::compile(config, &|_| None).unwrap();
/// // Half of the ramp is over: 2026-12-01T21:00:00Z.
/// let snapshot = Snapshot::new(&plan, 1_796_158_800);
/// let weights = plan.rules()[0].weights(&snapshot);
/// let shares: Vec<_> = weights.iter().map(|(v, share)| (v.name.as_str(), *share)).collect();
/// assert_eq!(shares, [("stable", 0.75), ("canary", 0.25)]);
/// ```
#[derive(Debug)]
pub struct Snapshot {
    now: u64,
    ramped: Vec<Option<Split>>,
    /// The share of each guard's watched clients that reach the watched variant: 1 while the guard
    /// is closed.
    pub(crate) admitted: Vec<f64>,
}

impl Snapshot {
    /// The snapshot of a plan at a time, in Unix seconds, with every guard closed.
    pub fn new(plan: &Plan, now: u64) -> Self {
        let admitted = plan.guards.iter().map(|_| 1.0).collect();
        Snapshot { now, ramped: ramped(plan, now), admitted }
    }

    /// Moves on to a later time. A clock that is set back by up to [`SMALL_STEP`] seconds is waited
    /// for, so that nobody moves twice. One that is set back by more once ran ahead, and is followed:
    /// this worker would stay ahead of all others otherwise.
    pub fn advance(&mut self, plan: &Plan, now: u64) {
        if now > self.now || self.now.saturating_sub(now) > SMALL_STEP {
            self.now = now;
            self.ramped = ramped(plan, now);
        }
    }

    /// The split of a rule as it stands.
    pub(crate) fn split<'p>(&'p self, allocation: &'p Allocation) -> &'p Split {
        let ramped = allocation.ramp.and_then(|place| self.ramped.get(place)?.as_ref());
        ramped.unwrap_or(&allocation.split)
    }

    /// The time of the snapshot, in Unix seconds.
    pub fn now(&self) -> u64 {
        self.now
    }
}

fn ramped(plan: &Plan, now: u64) -> Vec<Option<Split>> {
    plan.ramps.iter().map(|ramp| ramp.split(now)).collect()
}
