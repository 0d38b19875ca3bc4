//! A test whether two variants differ, which stays valid however often one looks.
//!
//! The mixture sequential probability ratio test (mSPRT) of two proportions: Johari, Koomen, Pekelis
//! and Walsh, "Always Valid Inference", Operations Research 70(3), 2022, arXiv 1512.04922, section
//! 4. With d the difference of the proportions, V its variance, and a mixture N(0, tau^2):
//! ```text
//! L      = sqrt(V / (V + tau^2)) exp(d^2 tau^2 / (2 V (V + tau^2)))        differ: L >= 1 / alpha
//! radius = sqrt(V (V + tau^2) / tau^2 (2 ln(1 / alpha) + ln((V + tau^2) / V)))
//! ```
//! The second line is the first, solved for d. With probability 1 - alpha, d lies within the radius
//! of the true difference at every look at once, however many there are.

use serde::Serialize;

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
    #[serde(skip)]
    enough: bool,
}

/// The judgement on a variant, in the order in which one outweighs another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    NoDifference,
    Better,
    TooLittleData,
    Worse,
}

impl Proportion {
    pub fn ratio(&self) -> Option<f64> {
        (self.of > 0.0).then(|| self.hits / self.of)
    }

    /// The variance of the ratio, with a hit and a miss added, so that no hits in few responses do not
    /// pass for certainty (Agresti and Caffo, The American Statistician 54(4), 2000).
    fn variance(&self) -> f64 {
        let ratio = (self.hits + 1.0) / (self.of + 2.0);
        ratio * (1.0 - ratio) / (self.of + 2.0)
    }
}

impl Test {
    pub fn compare(&self, own: Proportion, baseline: Proportion) -> Option<Difference> {
        let difference = own.ratio()? - baseline.ratio()?;
        let variance = own.variance() + baseline.variance();
        let tau2 = TAU * TAU;
        let both = variance + tau2;
        let bound = 2.0 * (1.0 / self.alpha).ln() + (both / variance).ln();
        Some(Difference {
            difference,
            radius: (variance * both / tau2 * bound).sqrt(),
            enough: own.of.min(baseline.of) >= LEAST,
        })
    }

    /// The verdict on a proportion that is better the smaller it is.
    pub fn verdict(&self, difference: Option<Difference>) -> Verdict {
        match difference {
            Some(Difference { difference, radius, enough: true }) => {
                if difference.abs() >= radius {
                    if difference > 0.0 { Verdict::Worse } else { Verdict::Better }
                } else if difference.abs() + radius <= self.margin {
                    Verdict::NoDifference
                } else {
                    Verdict::TooLittleData
                }
            }
            _ => Verdict::TooLittleData,
        }
    }
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
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST: Test = Test { alpha: 0.05, margin: 0.01 };

    fn share(hits: u32, of: u32) -> Proportion {
        Proportion { hits: hits.into(), of: of.into() }
    }

    /// The likelihood ratio as the paper writes it for n pairs of variance sigma^2 each.
    fn paper(d: f64, n: f64, sigma2: f64, tau2: f64) -> f64 {
        let two = 2.0 * sigma2;
        let exponent = n * n * tau2 * d * d / (4.0 * sigma2 * (two + n * tau2));
        (two / (two + n * tau2)).sqrt() * exponent.exp()
    }

    #[test]
    fn at_its_radius_the_papers_ratio_is_one_in_alpha() {
        for (hits, of) in [(0, 100), (10, 1_000), (300, 1_000), (5, 100_000)] {
            let own = share(hits, of);
            let radius = TEST.compare(own, own).unwrap().radius;
            let (n, tau2) = (f64::from(of), TAU * TAU);
            let ratio = paper(radius, n, own.variance() * n, tau2);
            assert!((ratio - 20.0).abs() < 1e-6, "{hits} of {of}: {ratio}");
        }
    }

    /// For n = 2, sigma^2 = tau^2 = 1 and d = 3: sqrt(1/2) e^(9/4).
    #[test]
    fn the_papers_ratio_by_hand() {
        assert!((paper(3.0, 2.0, 1.0, 1.0) - 6.708_8).abs() < 1e-4);
    }

    #[test]
    fn verdicts() {
        for (own, baseline, expected) in [
            ((0, 99), (0, 10_000), Verdict::TooLittleData),
            ((99, 99), (0, 10_000), Verdict::TooLittleData),
            ((0, 0), (0, 10_000), Verdict::TooLittleData),
            ((30, 100), (9, 9_000), Verdict::Worse),
            ((300, 1_000), (9, 9_000), Verdict::Worse),
            ((9, 9_000), (300, 1_000), Verdict::Better),
            ((10, 1_000), (9, 9_000), Verdict::TooLittleData),
            ((10, 10_000), (90, 90_000), Verdict::NoDifference),
            ((0, 10_000), (0, 90_000), Verdict::NoDifference),
            // The difference is twice the margin, and too large for chance.
            ((1_300, 10_000), (9_900, 90_000), Verdict::Worse),
        ] {
            let compared = TEST.compare(share(own.0, own.1), share(baseline.0, baseline.1));
            assert_eq!(TEST.verdict(compared), expected, "{own:?} {baseline:?} {compared:?}");
        }
    }

    /// Looks after each 100 requests up to 20,000, until it says that they differ; how often of
    /// `RUNS`, and whether it then says that the first is worse.
    fn detected(seed: u64, canary: f64, rates: [f64; 2]) -> (u32, u32) {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut worse, mut better) = (0, 0);
        for _ in 0..RUNS {
            let mut sides = [share(0, 0); 2];
            for look in 0..200 {
                for _ in 0..100 {
                    let (side, rate) = if random.f64() < canary { (0, 0) } else { (1, 1) };
                    sides[side].of += 1.0;
                    sides[side].hits += f64::from(u8::from(random.f64() < rates[rate]));
                }
                match TEST.verdict(TEST.compare(sides[0], sides[1])) {
                    Verdict::Worse => worse += 1,
                    Verdict::Better => better += 1,
                    _ if look < 199 => continue,
                    _ => {}
                }
                break;
            }
        }
        (worse, better)
    }

    const RUNS: u32 = 400;

    /// At most alpha of the runs, and three standard errors of that for chance.
    #[test]
    fn two_hundred_looks_raise_no_more_false_alarms_than_alpha() {
        let (n, p) = (f64::from(RUNS), TEST.alpha);
        let most = n * p + 3.0 * (n * p * (1.0 - p)).sqrt();
        for (seed, share) in [(1, 0.01), (2, 0.1), (3, 0.5)] {
            for rate in [0.001, 0.01, 0.3] {
                let (worse, better) = detected(seed, share, [rate, rate]);
                let wrong = f64::from(worse + better);
                assert!(wrong <= most, "share {share}, rate {rate}: {wrong} of {n}");
            }
        }
    }

    #[test]
    fn what_fails_is_found() {
        assert_eq!(detected(4, 0.1, [0.05, 0.001]), (RUNS, 0));
        assert_eq!(detected(5, 0.5, [0.001, 0.03]), (0, RUNS));
    }
}
