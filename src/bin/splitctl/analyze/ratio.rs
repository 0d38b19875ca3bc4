//! The sample-ratio check: whether the users of the variants are as many as the weights say.
//!
//! Fabijan and others, "Diagnosing Sample Ratio Mismatch in Online Controlled Experiments", KDD 2019:
//! a split that loses users of one variant has lost the very users who differ, so that no comparison
//! of the others is sound.

use serde::Serialize;

/// The probability below which a ratio is not chance's.
pub const BROKEN: f64 = 0.001;

/// The expected users of a variant below which the distribution of the statistic is another one.
const LEAST: f64 = 10.0;

/// The outcome of a check.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    AsExpected,
    Broken,
    TooFewUsers,
}

/// A check, as `-o json` prints it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Ratio {
    pub verdict: Verdict,
    /// Pearson's statistic; `None` with too few users, or where a variant of weight 0 has users.
    pub chi_square: Option<f64>,
    /// The probability of such a ratio, or of one further off, if the split is sound.
    pub p: Option<f64>,
}

impl Ratio {
    /// Compares the users of each variant with those expected.
    pub fn new(users: &[u64], expected: &[f64]) -> Ratio {
        let each = || users.iter().map(|users| *users as f64).zip(expected.iter().copied());
        if each().any(|(users, expected)| expected == 0.0 && users > 0.0) {
            return Ratio { verdict: Verdict::Broken, chi_square: None, p: Some(0.0) };
        }
        let some = || each().filter(|(_, expected)| *expected > 0.0);
        let freedom = some().count().saturating_sub(1);
        if freedom == 0 || some().any(|(_, expected)| expected < LEAST) {
            return Ratio { verdict: Verdict::TooFewUsers, chi_square: None, p: None };
        }
        let chi_square =
            some().map(|(users, expected)| (users - expected).powi(2) / expected).sum();
        let p = above(chi_square, freedom);
        let verdict = if p < BROKEN { Verdict::Broken } else { Verdict::AsExpected };
        Ratio { verdict, chi_square: Some(chi_square), p: Some(p) }
    }
}

/// The probability that chi-square with this many degrees of freedom, at least 1, is above `x`
/// (Abramowitz and Stegun 26.4.4 and 26.4.5).
fn above(x: f64, freedom: usize) -> f64 {
    let odd = freedom % 2 == 1;
    let (mut sum, mut term, mut next) = match odd {
        // Of the normal distribution, on both sides.
        true => (libm::erfc((x / 2.0).sqrt()), (2.0 * x / std::f64::consts::PI).sqrt(), 3.0),
        false => (0.0, 1.0, 2.0),
    };
    let decay = (-x / 2.0).exp();
    for _ in 0..freedom / 2 {
        sum += term * decay;
        term *= x / next;
        next += 2.0;
    }
    sum.clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By scipy 1.17.1: `scipy.stats.chi2.sf(x, freedom)`.
    #[test]
    fn the_distribution_is_scipys() {
        for (x, freedom, expected) in include!("tests/chi2.in") {
            let p = above(x, freedom);
            assert!(
                (p - expected).abs() <= 1e-10 * expected,
                "{x}, {freedom}: {p}, not {expected}"
            );
        }
    }

    /// By scipy 1.17.1: `scipy.stats.chisquare(users, expected)`.
    #[test]
    fn users_are_checked_as_scipy_does() {
        for (users, expected, chi_square, p) in [include!("tests/ratio.in")].concat() {
            let ratio = Ratio::new(&users, &expected);
            let near = |own: Option<f64>, other: f64| (own.unwrap() - other).abs() <= 1e-9 * other;
            assert!(near(ratio.chi_square, chi_square) && near(ratio.p, p), "{users:?}: {ratio:?}");
            assert_eq!(ratio.verdict == Verdict::Broken, p < 0.001, "{users:?}");
        }
    }

    #[test]
    fn without_users_there_is_no_verdict_and_a_variant_of_weight_0_may_have_none() {
        for (users, expected, verdict) in [
            (&[0, 0][..], &[0.0, 0.0][..], Verdict::TooFewUsers),
            (&[90, 9], &[89.1, 9.9], Verdict::TooFewUsers),
            (&[90, 10], &[90.0, 10.0], Verdict::AsExpected),
            (&[90, 0], &[90.0, 0.0], Verdict::TooFewUsers),
            (&[90, 10, 0], &[90.0, 10.0, 0.0], Verdict::AsExpected),
            (&[90, 10, 1], &[91.0, 10.0, 0.0], Verdict::Broken),
            // p is 0.0011 and 0.0009.
            (&[5_163, 4_837], &[5_000.0, 5_000.0], Verdict::AsExpected),
            (&[5_166, 4_834], &[5_000.0, 5_000.0], Verdict::Broken),
        ] {
            assert_eq!(Ratio::new(users, expected).verdict, verdict, "{users:?}");
        }
    }
}
