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
        for rate in [0.0003, 0.001, 0.01, 0.3] {
            let (worse, better) = detected(seed, share, [rate, rate]);
            let wrong = f64::from(worse + better);
            assert!(wrong <= most, "share {share}, rate {rate}: {wrong} of {n}");
        }
    }
}

/// Fifteen variants share alpha, so that it holds for the whole table.
#[test]
fn each_of_fifteen_variants_has_a_fifteenth_of_alpha() {
    let test = TEST.among(15);
    assert!((test.alpha - TEST.alpha / 15.0).abs() < 1e-12 && test.margin == TEST.margin);
    assert_eq!(TEST.among(1).alpha, TEST.alpha);
    assert_eq!(TEST.among(0).alpha, TEST.alpha);
}

/// The hits in `n` responses, by the gaps between them, which are geometric.
fn hits(random: &mut fastrand::Rng, n: f64, rate: f64) -> f64 {
    let mut gaps =
        std::iter::repeat_with(|| ((1.0 - random.f64()).ln() / (1.0 - rate).ln()).floor() + 1.0);
    let (mut hits, mut at) = (0.0, gaps.next().unwrap());
    while at <= n {
        hits += 1.0;
        at += gaps.next().unwrap();
    }
    hits
}

/// The experiments, of `n`, in which one of a hundred looks has a verdict that `is_wrong`. At each
/// look there are 20 more responses of a small variant, and 180 of the baseline.
fn wrong(n: u32, rates: [f64; 2], is_wrong: impl Fn(Verdict) -> bool) -> f64 {
    let test = Test { alpha: 0.025, margin: 0.01 };
    let mut random = fastrand::Rng::with_seed(8);
    let mut experiment = |_: &u32| {
        let mut sides = [share(0, 0); 2];
        (0..100).any(|_| {
            for ((side, more), rate) in sides.iter_mut().zip([20.0, 180.0]).zip(rates) {
                side.of += more;
                side.hits += hits(&mut random, more, rate);
            }
            is_wrong(test.verdict(test.compare(sides[0], sides[1])))
        })
    };
    (0..n).filter(&mut experiment).count() as f64
}

/// The most of 4,000 experiments that may be wrong at 2.5 %, with three standard errors.
const MOST: f64 = 100.0 + 3.0 * 9.87;

/// A variant of few responses may be lucky for a while. By the variance of its own it was called
/// better or worse in 4 to 5 % of the experiments.
#[test]
fn a_small_variant_raises_no_more_false_alarms_than_alpha() {
    for rate in [0.0003, 0.003, 0.03, 0.3] {
        let alarms = wrong(4_000, [rate; 2], |it| matches!(it, Verdict::Worse | Verdict::Better));
        assert!(alarms <= MOST, "rate {rate}: {alarms} of 4,000");
    }
}

/// The true difference is larger than the margin. By the variance at the observed rates, which are 0
/// for a while, it was called none in 3 to 4 % of the experiments.
#[test]
fn a_difference_of_the_margin_is_called_none_no_more_often_than_alpha() {
    for rate in [0.0003, 0.003, 0.03] {
        let missed = wrong(4_000, [rate + 0.0101, rate], |it| it == Verdict::NoDifference);
        assert!(missed <= MOST, "rate {rate}: {missed} of 4,000");
    }
}

#[test]
fn what_fails_is_found() {
    assert_eq!(detected(4, 0.1, [0.05, 0.001]), (RUNS, 0));
    assert_eq!(detected(5, 0.5, [0.001, 0.03]), (0, RUNS));
}
