//! The difference of a metric between two variants, by user.
//!
//! A metric by request is a ratio of two means by user: a user's errors over a user's requests. Users
//! are independent, and their requests are not, so the variance of the ratio is that of the delta
//! method (Deng, Knoblich and Lu, "Applying the Delta Method in Metric Analytics", KDD 2018, section
//! 3): with X over N for the ratio R of n users,
//! ```text
//! var R = (var X - 2 R cov(X, N) + R^2 var N) / (n mean(N)^2) = sum (X - R N)^2 / ((n - 1) n mean(N)^2)
//! ```

use serde::Serialize;

use crate::sequential::{Verdict, radius};

/// The users on each side below which the ratio is not near enough to a normal number.
const LEAST: f64 = 100.0;

/// The users of both sides at which intervals are the narrowest for their number; they are wider by a
/// quarter at a tenth, and by a sixth at a hundred times as many.
const NARROWEST: f64 = 10_000.0;

/// The sums of a metric over the users of a variant: of X, its numerator, and of N.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sums {
    users: f64,
    x: f64,
    n: f64,
    xx: f64,
    xn: f64,
    nn: f64,
}

/// A difference to the baseline, as `-o json` prints it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Effect {
    /// The variant's value less the baseline's.
    pub difference: f64,
    /// The true difference lies within this distance.
    pub radius: f64,
    #[serde(skip)]
    enough: bool,
}

impl Sums {
    pub fn add(&mut self, x: f64, n: f64) {
        self.users += 1.0;
        self.x += x;
        self.n += n;
        self.xx += x * x;
        self.xn += x * n;
        self.nn += n * n;
    }

    pub fn ratio(&self) -> Option<f64> {
        (self.n > 0.0).then(|| self.x / self.n)
    }

    /// The variance of the ratio in one user; `None` for fewer than two.
    fn spread(&self) -> Option<f64> {
        let ratio = self.ratio()?;
        let squares = self.xx - 2.0 * ratio * self.xn + ratio * ratio * self.nn;
        let mean = self.n / self.users;
        (self.users > 1.0).then(|| squares.max(0.0) / (self.users - 1.0) / (mean * mean))
    }

    fn with(&self, other: &Sums) -> Sums {
        Sums {
            users: self.users + other.users,
            x: self.x + other.x,
            n: self.n + other.n,
            xx: self.xx + other.xx,
            xn: self.xn + other.xn,
            nn: self.nn + other.nn,
        }
    }
}

impl Effect {
    /// The difference of a variant to the baseline, which chance exceeds at any look with a probability
    /// of at most alpha. `None` without requests.
    pub fn new(own: &Sums, baseline: &Sums, alpha: f64) -> Option<Effect> {
        // Adding 0 makes 0 of -0, which would be printed as such.
        let difference = own.ratio()? - baseline.ratio()? + 0.0;
        // Without a difference both have the spread of all users, so that a side of few may not claim
        // a small one of its own.
        let alike = own.with(baseline).spread()? * (1.0 / own.users + 1.0 / baseline.users);
        let apart = own.spread()? / own.users + baseline.spread()? / baseline.users;
        let variance = alike.max(apart);
        // As the paper of the confidence sequence chooses rho, in its appendix on tuning.
        let odds = -2.0 * alpha.ln();
        let rho2 = (odds + (odds + 1.0).ln()) / NARROWEST;
        let users = own.users + baseline.users;
        let radius = match variance > 0.0 {
            true => radius(variance, rho2 * variance * users, alpha),
            false => 0.0,
        };
        // Users who are all the same in all that is seen tell nothing of chance.
        let enough = own.users.min(baseline.users) >= LEAST && variance > 0.0;
        Some(Effect { difference, radius, enough })
    }

    /// The verdict on a metric that is better the larger it is if `rises` is set.
    pub fn verdict(&self, rises: bool) -> Verdict {
        match self.enough && self.difference.abs() >= self.radius {
            false => Verdict::TooLittleData,
            true if (self.difference > 0.0) == rises => Verdict::Better,
            true => Verdict::Worse,
        }
    }
}

#[cfg(test)]
mod tests;
