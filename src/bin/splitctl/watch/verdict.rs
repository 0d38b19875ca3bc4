//! A test whether two variants differ, which stays valid however often one looks: the mixture
//! sequential probability ratio test of two proportions.

use serde::Serialize;

use crate::sequential::{Verdict, radius};

/// A proportion: `hits` of `of` responses.
#[derive(Clone, Copy, Debug)]
pub struct Proportion {
    pub hits: f64,
    pub of: f64,
}

/// The parameters of a test.
#[derive(Clone, Copy, Debug)]
pub struct Test {
    /// The probability that it ever finds a difference where there is none.
    pub alpha: f64,
    /// The largest difference that does not matter.
    pub margin: f64,
    /// The users behind the responses, if responses of one user are alike.
    pub users: Option<Users>,
}

/// The users behind all responses of a rule, as many responses of each.
#[derive(Clone, Copy, Debug)]
pub struct Users {
    pub count: f64,
    /// The correlation of two responses of one user, 0 to 1.
    pub correlation: f64,
}

impl Users {
    /// The number of responses that tell as much as one of a user of its own: 1 + (m - 1) rho for m
    /// responses of each user (Kish, Survey Sampling, 1965, section 5.4). A variant's users stay with
    /// it, so that m is the same in all of them.
    pub fn design_effect(&self, responses: f64) -> f64 {
        (1.0 + (responses / self.count - 1.0) * self.correlation).max(1.0)
    }
}

/// The standard deviation of the differences that the test expects. With this one, large differences
/// are found after a hundred responses, and small ones take at most twice as many responses as with a
/// tau of their size.
const TAU: f64 = 0.05;

/// The least count on either side. Below it, the normal approximation does not hold.
const LEAST: f64 = 100.0;

/// A difference of proportions.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Difference {
    /// The variant's proportion less the baseline's, from -1 to 1.
    pub difference: f64,
    /// The true difference lies within this distance.
    pub radius: f64,
    /// The radius if the true difference were as large as the margin.
    #[serde(skip)]
    raised_radius: f64,
    #[serde(skip)]
    enough: bool,
}

impl Proportion {
    pub fn ratio(&self) -> Option<f64> {
        (self.of > 0.0).then(|| self.hits / self.of)
    }

    /// The same ratio of as many independent responses as tell as much as these.
    pub fn thinned(self, design_effect: f64) -> Self {
        Proportion { hits: self.hits / design_effect, of: self.of / design_effect }
    }

    /// The variance of the ratio, with a hit and a miss added, so that no hits in few responses do not
    /// pass for certainty (Agresti and Caffo, The American Statistician 54(4), 2000).
    fn variance(&self) -> f64 {
        self.variance_of(self.of)
    }

    /// The variance that this ratio has in another number of responses.
    fn variance_of(&self, of: f64) -> f64 {
        let ratio = (self.hits + 1.0) / (self.of + 2.0);
        ratio * (1.0 - ratio) / (of + 2.0)
    }

    /// The proportion with a ratio that is larger by `margin`, and at most one half, where the
    /// variance is largest.
    fn raised(&self, margin: f64) -> Proportion {
        let most = (self.of / 2.0).max(self.hits);
        Proportion { hits: (self.hits + margin * self.of).min(most), of: self.of }
    }
}

impl Test {
    /// The test of each of `variants` variants that are compared with one baseline. They share alpha
    /// (Bonferroni), so that it holds for the whole table.
    pub fn among(self, variants: usize) -> Test {
        Test { alpha: self.alpha / variants.max(1) as f64, ..self }
    }

    pub fn compare(&self, own: Proportion, baseline: Proportion) -> Option<Difference> {
        // Adding 0 makes 0 of -0, which would be printed as such.
        let difference = own.ratio()? - baseline.ratio()? + 0.0;
        // Without a difference both have the pooled ratio, so that a side of few responses may not
        // claim the small variance of its own.
        let pooled = Proportion { hits: own.hits + baseline.hits, of: own.of + baseline.of };
        let alike = pooled.variance_of(own.of) + pooled.variance_of(baseline.of);
        let variance = alike.max(own.variance() + baseline.variance());
        // No difference is claimed against a true one of the margin, which would make the rate, and
        // with it the variance, larger.
        let raised = own.raised(self.margin).variance() + baseline.raised(self.margin).variance();
        Some(Difference {
            difference,
            radius: self.radius(variance),
            raised_radius: self.radius(variance.max(raised)),
            enough: own.of.min(baseline.of) >= LEAST,
        })
    }

    fn radius(&self, variance: f64) -> f64 {
        radius(variance, TAU * TAU, self.alpha)
    }

    /// The verdict on a proportion that is better the smaller it is.
    pub fn verdict(&self, difference: Option<Difference>) -> Verdict {
        match difference {
            Some(Difference { difference, radius, raised_radius, enough: true }) => {
                if difference.abs() >= radius {
                    if difference > 0.0 { Verdict::Worse } else { Verdict::Better }
                } else if difference.abs() + raised_radius <= self.margin {
                    Verdict::NoDifference
                } else {
                    Verdict::TooLittleData
                }
            }
            _ => Verdict::TooLittleData,
        }
    }
}

#[cfg(test)]
mod tests;
