//! What of a plan changes with time: where its ramps stand, and which variants its guards hold
//! back. Renewed about once a second, never by a request.

use crate::guard::GuardState;
use crate::plan::Plan;
use crate::rule::Allocation;
use crate::split::Split;

/// A plan's ramps and guards at one time.
#[derive(Debug)]
pub struct Snapshot {
    now: u64,
    ramped: Vec<Option<Split>>,
    pub(crate) guard_states: Vec<GuardState>,
}

impl Snapshot {
    /// Where the ramps of a plan stand at a time, in Unix seconds; no guard has tripped.
    pub fn new(plan: &Plan, now: u64) -> Self {
        let guard_states = plan.guards.iter().map(|_| GuardState::Closed).collect();
        Snapshot { now, ramped: ramped(plan, now), guard_states }
    }

    /// Moves on to a later time. A clock that steps back is not followed: nobody moves twice.
    pub fn advance(&mut self, plan: &Plan, now: u64) {
        if now > self.now {
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
