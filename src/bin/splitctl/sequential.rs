//! Differences that stay sound however often one looks.
//!
//! The mixture sequential probability ratio test (mSPRT): Johari, Koomen, Pekelis and Walsh, "Always
//! Valid Inference", Operations Research 70(3), 2022, arXiv 1512.04922, section 4. With d the estimate of
//! a difference, V its variance, and a mixture N(0, tau^2):
//! ```text
//! L      = sqrt(V / (V + tau^2)) exp(d^2 tau^2 / (2 V (V + tau^2)))        differ: L >= 1 / alpha
//! radius = sqrt(V (V + tau^2) / tau^2 (2 ln(1 / alpha) + ln((V + tau^2) / V)))
//! ```
//! The second line is the first, solved for d. With probability 1 - alpha, d lies within the radius
//! of the true difference at every look at once, however many there are. With V = sigma^2 / t and
//! tau = rho sigma it is the asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and
//! Ramdas (arXiv 2103.06476, theorem 2.2), for means of whatever is not normal.

use serde::Serialize;

use crate::output::{BAD, FAINT, GOOD};

/// The judgement on a variant, in the order in which one outweighs another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    NoDifference,
    Better,
    TooLittleData,
    Worse,
}

/// The distance from an estimate of this variance within which the true value lies at every look, but
/// for a probability of alpha.
pub fn radius(variance: f64, tau2: f64, alpha: f64) -> f64 {
    let both = variance + tau2;
    let bound = 2.0 * (1.0 / alpha).ln() + (both / variance).ln();
    (variance * both / tau2 * bound).sqrt()
}

impl Verdict {
    pub fn name(self) -> &'static str {
        match self {
            Verdict::NoDifference => "no difference",
            Verdict::Better => "better",
            Verdict::TooLittleData => "too little data",
            Verdict::Worse => "worse",
        }
    }

    /// The name, in a colour.
    pub fn styled(self) -> String {
        let style = match self {
            Verdict::Worse => BAD,
            Verdict::Better => GOOD,
            Verdict::NoDifference | Verdict::TooLittleData => FAINT,
        };
        format!("{style}{}{style:#}", self.name())
    }
}
