use super::*;

const TEST: Test = Test { alpha: 0.05, margin: 0.01, users: None };

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

mod simulations;
