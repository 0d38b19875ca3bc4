//! Ramps: the share of one variant changes with the wall clock. It is a pure function of time, so
//! every proxy agrees. The other variants keep their ratios, so by rendezvous the first clients in
//! stay in. Beside a history, the ramp is its last step: from the weights of the split to the present
//! ones, by one hash for all its time, so that they stay in there too.

use std::sync::Arc;

use crate::history::History;
use crate::split::{Split, Weighted};

/// A split whose weights change with time.
#[derive(Debug)]
pub(crate) struct Ramp {
    /// The weights of the split, from which the ramp starts.
    pub(crate) weights: Vec<Weighted>,
    /// The earlier weights that led to them.
    pub(crate) history: Option<Arc<History>>,
    /// The variant whose share changes.
    pub(crate) variant: String,
    /// The share of that variant at the end, 0 to 1.
    pub(crate) to: f64,
    /// The time at which the share begins to change, in Unix seconds.
    pub(crate) start: u64,
    /// Seconds from the start to the end.
    pub(crate) duration: u64,
    /// The number of equal steps in which the share changes; 0 changes it every second.
    pub(crate) steps: u32,
}

impl Ramp {
    /// The split at a time in Unix seconds; `None` if it has no weight above 0.
    pub(crate) fn split(&self, now: u64) -> Option<Split> {
        let share = self.share(now);
        let others = self.sum(|name| name != self.variant);
        let ramped = |written: &Weighted| {
            let is_ramped = written.name() == self.variant;
            let weight = if is_ramped { share } else { (1.0 - share) * (written.weight / others) };
            // If the others have no weight at all, 0 / 0, they keep none.
            let weight = if weight.is_nan() { 0.0 } else { weight };
            Weighted { weight, ..written.clone() }
        };
        let weights: Vec<_> = self.weights.iter().map(ramped).collect();
        let split = Split::new(&weights, Vec::new())?;
        Some(match &self.history {
            Some(history) => split.after(history, [&self.weights, &weights]),
            None => split,
        })
    }

    /// The time at which the share reaches its end, in Unix seconds.
    pub(crate) fn end(&self) -> u64 {
        self.start.saturating_add(self.duration)
    }

    /// The variant's share at a time in Unix seconds, 0 to 1.
    pub(crate) fn share(&self, now: u64) -> f64 {
        let from = self.sum(|name| name == self.variant) / self.sum(|_| true);
        let gone = now.saturating_sub(self.start).min(self.duration);
        let gone = match u64::from(self.steps) {
            0 => gone as f64 / self.duration as f64,
            // Whole numbers, so that a step is due in its very second.
            steps => {
                let taken = gone.saturating_mul(steps).checked_div(self.duration);
                taken.unwrap_or(steps) as f64 / steps as f64
            }
        };
        from + (self.to - from) * gone
    }

    fn sum(&self, counts: impl Fn(&str) -> bool) -> f64 {
        let counted = self.weights.iter().filter(|weighted| counts(weighted.name()));
        counted.map(|weighted| weighted.weight).sum()
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
    fn config(steps: u32, hold: bool) -> serde_json::Value {
        serde_json::json!({
            "variantHeader": "x-v", "variants": { "stable": {}, "old": {}, "canary": {} },
            "rules": [{ "name": "r", "split": { "stable": 75, "old": 25, "canary": 0 },
                "sticky": { "key": [{ "header": "x-user" }] },
                "ramp": { "variant": "canary", "to": 50, "start": "2026-12-01T09:00:00Z",
                          "duration": "24h", "steps": steps, "hold": hold } }]
        })
    }

    fn plan(steps: u32, hold: bool) -> Plan {
        let config = config(steps, hold);
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
    fn a_clock_that_steps_back_a_little_moves_nobody() {
        let plan = plan(0, false);
        let mut snapshot = Snapshot::new(&plan, START + DAY / 2);
        let before = assigned(&plan, &snapshot, 1_000);
        for seconds in [1, 3600, 60] {
            snapshot.advance(&plan, START + DAY / 2 - seconds);
            assert_eq!(assigned(&plan, &snapshot, 1_000), before);
        }
        assert!(before.iter().any(|name| name == "canary"));
    }

    #[test]
    fn a_clock_that_once_ran_ahead_is_forgotten() {
        let plan = plan(0, false);
        for ahead in [3601, DAY / 2, 365 * DAY] {
            let mut snapshot = Snapshot::new(&plan, START + DAY / 4 + ahead);
            snapshot.advance(&plan, START + DAY / 4);
            let now = assigned(&plan, &snapshot, 1_000);
            assert_eq!(now, assigned(&plan, &Snapshot::new(&plan, START + DAY / 4), 1_000));
        }
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

    /// The others share what is left in the ratio of their weights, which need not add up to 100.
    #[test]
    fn the_others_keep_their_ratio() {
        let mut config = config(0, false);
        config["rules"][0]["split"] = serde_json::json!({ "stable": 6, "old": 2, "canary": 2 });
        let plan = Plan::compile(config.to_string().as_bytes(), &|_| None).unwrap();
        let ramp = &plan.ramps[0];
        for (at, expected) in [
            (START, [0.6, 0.2, 0.2]),
            (START + DAY / 2, [0.4875, 0.1625, 0.35]),
            (START + DAY, [0.375, 0.125, 0.5]),
        ] {
            let split = ramp.split(at).unwrap();
            let shares: Vec<_> = split.weights().collect();
            assert_eq!(shares.len(), 3);
            for (target, weight) in shares {
                let name = target.name();
                let place = ["stable", "old", "canary"].iter().position(|known| *known == name);
                assert!(
                    (weight - expected[place.unwrap()]).abs() < 1e-12,
                    "{name} {weight} at {at}"
                );
            }
        }
        assert_eq!(ramp.end(), START + DAY);
    }

    #[test]
    fn a_ramp_without_others_ends_alone() {
        let mut config = config(0, false);
        config["rules"][0]["split"] = serde_json::json!({ "stable": 0, "canary": 2 });
        config["rules"][0]["ramp"]["to"] = 100.into();
        let plan = Plan::compile(config.to_string().as_bytes(), &|_| None).unwrap();
        let split = plan.ramps[0].split(START + 1).unwrap();
        let weights: Vec<_> = split.weights().map(|(t, w)| (t.name(), w)).collect();
        assert_eq!(weights, [("canary", 1.0)]);
    }
}
