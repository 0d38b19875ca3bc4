//! How often a verdict is wrong, in simulated traffic with fixed seeds. `src/numbers.md` has the
//! tables, and each test holds its own equal to what it finds.

use super::*;
use crate::chance::{gamma, hits, normal, stated};

/// As `splitctl watch` tests each of the two shares, by its defaults.
const HALF: Test = Test { alpha: 0.025, ..TEST };

/// The experiments of each figure.
const RUNS: u32 = 500;

/// What chance makes of 2.5 % in that many experiments, with three standard errors.
const MOST: f64 = 0.025 + 3.0 * 0.006_98;

/// Looks of an experiment. The first is at about 100 responses of a variant, and the last at about
/// 10,000.
const LOOKS: i32 = 30;

/// The traffic of an experiment.
#[derive(Clone, Copy)]
struct Traffic {
    /// The responses of each variant, over those of it and the baseline.
    share: f64,
    /// The variants that are compared with the baseline.
    variants: usize,
    /// The rates of the variants and of the baseline.
    rates: [f64; 2],
}

/// The share of experiments in which any verdict at any look `is_wrong`.
fn wrong(traffic: Traffic, is_wrong: impl Fn(Verdict) -> bool) -> f64 {
    let test = HALF.among(traffic.variants);
    let mut random = fastrand::Rng::with_seed(8);
    let mut experiment = |_: &u32| {
        let mut variants = vec![share(0, 0); traffic.variants];
        let mut baseline = share(0, 0);
        let mut seen = 0.0;
        (0..LOOKS).any(|look| {
            let more = (92.0 * 1.17_f64.powi(look)).ceil() - seen;
            seen += more;
            for variant in &mut variants {
                variant.of += more;
                variant.hits += hits(&mut random, more, traffic.rates[0]);
            }
            let more = (more * (1.0 - traffic.share) / traffic.share).round();
            baseline.of += more;
            baseline.hits += hits(&mut random, more, traffic.rates[1]);
            variants.iter().any(|own| is_wrong(test.verdict(test.compare(*own, baseline))))
        })
    };
    (0..RUNS).filter(&mut experiment).count() as f64 / f64::from(RUNS)
}

/// Rows of a table: a rate, and the wrong verdicts for one and for fifteen variants of 1, 10 and 50 %
/// each.
fn rows(raised: f64, is_wrong: impl Fn(Verdict) -> bool) -> Vec<String> {
    let row = |rate: f64| {
        let cell = |(variants, share)| {
            let traffic = Traffic { share, variants, rates: [rate + raised, rate] };
            let wrong = wrong(traffic, &is_wrong);
            assert!(wrong <= MOST, "{wrong}: {rate}, {share}, {variants} variants");
            format!(" {:.1} % |", wrong * 100.0)
        };
        let cells = [1, 15].map(|variants| [0.01, 0.1, 0.5].map(|share| (variants, share)));
        let cells: String = cells.into_iter().flatten().map(cell).collect();
        let more = if raised > 0.0 { " and the margin" } else { "" };
        format!("| {} %{more} |{cells}", rate * 100.0)
    };
    [0.0003, 0.003, 0.03, 0.3].map(row).into()
}

/// By the variance of its own, a small variant that is lucky for a while was called better or worse in
/// 4 to 5 %.
#[test]
fn better_or_worse_without_a_difference_is_no_more_often_than_alpha() {
    stated(&rows(0.0, |verdict| matches!(verdict, Verdict::Worse | Verdict::Better)));
}

/// The true difference is a little more than the margin. By the variance at the observed rates, which
/// are 0 for a while, it was called none in 3 to 4 %.
#[test]
fn a_difference_of_the_margin_is_called_none_no_more_often_than_alpha() {
    stated(&rows(TEST.margin + 0.0001, |verdict| verdict == Verdict::NoDifference));
}

#[test]
fn what_fails_is_found() {
    for (share, rates, expected) in
        [(0.1, [0.05, 0.001], Verdict::Worse), (0.5, [0.001, 0.03], Verdict::Better)]
    {
        let traffic = Traffic { share, variants: 1, rates };
        assert_eq!(wrong(traffic, |verdict| verdict == expected), 1.0, "{expected:?}");
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

/// Users of a rule, half of them with each variant.
struct Crowd {
    users: u32,
    rate: f64,
    correlation: f64,
    /// The spread of a user's requests at a look around ten: lognormal.
    sigma: f64,
}

/// The share of experiments of ten looks in which a verdict is "better" or "worse", although the
/// users of both variants have the same rates: beta distributed, with the given correlation.
fn alarms(crowd: &Crowd, users: Option<Users>) -> f64 {
    let mut random = fastrand::Rng::with_seed(9);
    let test = Test { users, ..HALF };
    let precision = 1.0 / crowd.correlation - 1.0;
    let mut experiment = |_: &u32| {
        let mut user = |_| {
            let fails = gamma(&mut random, crowd.rate * precision);
            let rate = fails / (fails + gamma(&mut random, (1.0 - crowd.rate) * precision));
            (rate.min(1.0 - 1e-9), (10.0 * (crowd.sigma * normal(&mut random)).exp()).round())
        };
        let crowd: Vec<(f64, f64)> = (0..crowd.users).map(&mut user).collect();
        let mut sides = [share(0, 0); 2];
        (0..10).any(|_| {
            for (place, (rate, requests)) in crowd.iter().enumerate() {
                sides[place % 2].of += requests;
                sides[place % 2].hits += hits(&mut random, *requests, *rate);
            }
            let effect = users.map_or(1.0, |it| it.design_effect(sides[0].of + sides[1].of));
            let [own, base] = sides.map(|side| side.thinned(effect));
            matches!(test.verdict(test.compare(own, base)), Verdict::Worse | Verdict::Better)
        })
    };
    (0..RUNS).filter(&mut experiment).count() as f64 / f64::from(RUNS)
}

/// 1,000 users with 100 requests each, half of them with the variant. With a spread of sigma, they
/// are as many equal users as the square of the sum over the sum of squares says.
#[test]
fn users_whose_requests_are_alike_raise_no_more_alarms_than_alpha() {
    let row = |(rate, sigma): (f64, f64)| {
        let crowd = Crowd { users: 1_000, rate, correlation: 0.05, sigma };
        let count = (1_000.0 / (sigma * sigma).exp()).round();
        let users = Users { count, correlation: 0.05 };
        let [without, with] = [None, Some(users)].map(|users| alarms(&crowd, users));
        assert!(with <= MOST && without > MOST, "{rate}: {without} and {with}");
        format!(
            "| {} % | {sigma} | `--users {count}` | {:.1} % | {:.1} % |",
            rate * 100.0,
            without * 100.0,
            with * 100.0
        )
    };
    stated(&[(0.003, 0.0), (0.03, 0.0), (0.3, 0.0), (0.03, 1.0)].map(row));
}

#[test]
fn a_response_of_each_user_counts_as_one() {
    let users = Users { count: 1_000.0, correlation: 0.05 };
    for (responses, effect) in [(0.0, 1.0), (1_000.0, 1.0), (100_000.0, 5.95)] {
        assert!((users.design_effect(responses) - effect).abs() < 1e-9, "{responses}");
    }
    let thinned = share(59, 595).thinned(5.95);
    assert!((thinned.of - 100.0).abs() < 1e-9 && (thinned.hits - 59.0 / 5.95).abs() < 1e-9);
}
