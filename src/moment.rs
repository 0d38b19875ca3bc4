//! What of a plan changes with time: where its ramps stand, and which variants its guards hold
//! back. Renewed about once a second, never by a request.

use crate::guard::Level;
use crate::plan::Plan;
use crate::split::Split;

/// A plan's ramps and guards at one time.
#[derive(Debug)]
pub struct Moment {
    now: u64,
    pub(crate) ramped: Vec<Option<Split>>,
    pub(crate) levels: Vec<Level>,
}

impl Moment {
    /// Where the ramps of a plan stand at a time, in Unix seconds; no guard has tripped.
    pub fn new(plan: &Plan, now: u64) -> Self {
        let levels = plan.guards.iter().map(|_| Level::Full).collect();
        Moment { now, ramped: ramped(plan, now), levels }
    }

    /// Moves on to a later time. A clock that steps back is not followed: nobody moves twice.
    pub fn advance(&mut self, plan: &Plan, now: u64) {
        if now > self.now {
            self.now = now;
            self.ramped = ramped(plan, now);
        }
    }

    /// The time of the moment, in Unix seconds.
    pub fn now(&self) -> u64 {
        self.now
    }
}

fn ramped(plan: &Plan, now: u64) -> Vec<Option<Split>> {
    plan.ramps.iter().map(|ramp| ramp.split(now)).collect()
}
