//! Ramps: a share that changes with the wall clock. A pure function of time, so every proxy agrees;
//! by rendezvous the first users in stay in, since the other variants keep their ratios.

use std::sync::Arc;

use crate::split::Split;
use crate::variant::Target;

/// A split whose weights change.
#[derive(Debug)]
pub(crate) struct Ramp {
    pub(crate) weights: Vec<(Arc<Target>, f64)>,
    /// The variant whose share changes.
    pub(crate) variant: String,
    /// Its share at the end, 0 to 1.
    pub(crate) to: f64,
    /// Seconds since 1970.
    pub(crate) start: u64,
    /// Seconds.
    pub(crate) duration: u64,
    /// 0 is linear.
    pub(crate) steps: u32,
}

impl Ramp {
    /// The split as it is at this time; `None` if it has no weight above 0.
    pub(crate) fn split(&self, now: u64) -> Option<Split> {
        let share = self.share(now);
        let others = self.sum(|name| name != self.variant);
        let weight = |(target, weight): &(Arc<Target>, f64)| {
            let ramped = target.variant.name == self.variant;
            let weight = if ramped { share } else { (1.0 - share) * (weight / others) };
            // Others of no weight at all keep none: 0 / 0.
            (Arc::clone(target), if weight.is_nan() { 0.0 } else { weight })
        };
        let weights: Vec<_> = self.weights.iter().map(weight).collect();
        Split::new(&weights, Vec::new())
    }

    /// When it reaches its end, in Unix seconds.
    pub(crate) fn end(&self) -> u64 {
        self.start.saturating_add(self.duration)
    }

    /// The variant's share at this time, 0 to 1.
    pub(crate) fn share(&self, now: u64) -> f64 {
        let from = self.sum(|name| name == self.variant) / self.sum(|_| true);
        let gone = now.saturating_sub(self.start).min(self.duration);
        let gone = match u64::from(self.steps) {
            0 => gone as f64 / self.duration as f64,
            // In whole numbers: a step is due in its very second.
            steps => {
                let taken = gone.saturating_mul(steps).checked_div(self.duration);
                taken.unwrap_or(steps) as f64 / steps as f64
            }
        };
        from + (self.to - from) * gone
    }

    fn sum(&self, counts: impl Fn(&str) -> bool) -> f64 {
        let counted = self.weights.iter().filter(|(target, _)| counts(&target.variant.name));
        counted.map(|(_, weight)| weight).sum()
    }
}

#[cfg(test)]
mod tests {
    use crate::request::HeaderList;
    use crate::testing::FixedEnvironment;
    use crate::{Plan, Snapshot, decide};

    const START: u64 = 1_796_115_600;
    const DAY: u64 = 86_400;

    /// 100 % stable, and a canary that is to get 50 % in a day.
    fn plan(steps: u32, hold: bool) -> Plan {
        let config = serde_json::json!({
            "variantHeader": "x-v", "variants": { "stable": {}, "old": {}, "canary": {} },
            "rules": [{ "name": "r", "split": { "stable": 75, "old": 25, "canary": 0 },
                "sticky": { "key": [{ "header": "x-user" }] },
                "ramp": { "variant": "canary", "to": 50, "start": "2026-12-01T09:00:00Z",
                          "duration": "24h", "steps": steps, "hold": hold } }]
        });
        Plan::compile(config.to_string().as_bytes(), &|_| None).unwrap()
    }

    fn assigned(plan: &Plan, snapshot: &Snapshot, users: u32) -> Vec<String> {
        let user = |i| {
            let request = HeaderList::new([("x-user", format!("user-{i}"))]);
            let decision = decide(plan, snapshot, &request, &mut FixedEnvironment::default());
            decision.variant().unwrap().name.clone()
        };
        (0..users).map(user).collect()
    }

    #[test]
    fn the_share_is_a_function_of_time() {
        for (steps, at, expected) in [
            (0, 0, 0.0),
            (0, START, 0.0),
            (0, START + DAY / 4, 0.125),
            (0, START + DAY, 0.5),
            (0, u64::MAX, 0.5),
            (4, START + DAY / 4 - 1, 0.0),
            (4, START + DAY / 4, 0.125),
            (4, START + DAY / 2 - 1, 0.125),
            (4, START + DAY, 0.5),
            (1, START + DAY - 1, 0.0),
            // 0.29 of a day; in floating point 28.999... steps of 100.
            (100, START + DAY / 100 * 29, 0.145),
            (100, START + DAY / 100 * 29 - 1, 0.14),
        ] {
            assert_eq!(plan(steps, false).ramps[0].share(at), expected, "{steps} {at}");
        }
    }

    /// 20,000 keys, 5 standard errors; who is in stays in, and nobody moves between the others.
    #[test]
    fn the_first_users_in_stay_in() {
        let plan = plan(0, false);
        let mut snapshot = Snapshot::new(&plan, 0);
        let mut before = assigned(&plan, &snapshot, 20_000);
        for hour in 0..=25 {
            snapshot.advance(&plan, START + hour * 3600);
            let now = assigned(&plan, &snapshot, 20_000);
            assert!(before.iter().zip(&now).all(|(old, new)| old == new || new == "canary"));
            let canary = now.iter().filter(|name| *name == "canary").count() as f64;
            let (n, p) = (20_000.0, 0.5 * (hour as f64 / 24.0).min(1.0));
            assert!(
                (canary - n * p).abs() <= 5.0 * f64::sqrt(n * p * (1.0 - p)),
                "{hour} {canary}"
            );
            before = now;
        }
    }

    #[test]
    fn a_clock_that_steps_back_moves_nobody() {
        let plan = plan(0, false);
        let mut snapshot = Snapshot::new(&plan, START + DAY / 2);
        let before = assigned(&plan, &snapshot, 1_000);
        snapshot.advance(&plan, START);
        assert_eq!(assigned(&plan, &snapshot, 1_000), before);
        assert!(before.iter().any(|name| name == "canary"));
    }

    #[test]
    fn a_ramp_changes_up_to_its_end() {
        for steps in [0, 4] {
            let changes =
                [0, START, START + DAY - 1, START + DAY].map(|at| plan(steps, false).changes(at));
            assert_eq!(changes, [true, true, true, false]);
        }
    }

    #[test]
    fn a_held_ramp_leaves_the_weights_as_written() {
        let plan = plan(0, true);
        let assigned = assigned(&plan, &Snapshot::new(&plan, START + DAY), 1_000);
        assert!(!plan.changes(0) && assigned.iter().all(|name| name != "canary"));
    }
}
