//! How often an analysis is wrong, in simulated experiments with fixed seeds. `src/numbers.md` has the
//! tables, and each test holds its own equal to what it finds.

use super::effect::{Effect, Sums};
use super::ratio::{self, Ratio};
use crate::chance::{gamma, hits, normal, stated};
use crate::sequential::Verdict;

/// The experiments of each figure, and what chance makes of 5 % in that many, with three standard errors.
const RUNS: u32 = 1_000;
const MOST: f64 = 0.05 + 3.0 * 0.006_89;

/// Looks of an experiment, at which as many users have come again as at all looks before.
const LOOKS: u32 = 5;

/// Users, each with the variant by chance.
struct Crowd {
    /// The users at the last look.
    users: u32,
    /// The variant's share of them.
    share: f64,
    /// The lognormal spread of their requests around ten.
    sigma: f64,
}

/// A user's hits or milliseconds in so many requests.
type Draw<'a> = &'a dyn Fn(&mut fastrand::Rng, f64) -> f64;

/// The sum of squares of these over the requests.
type Squares = fn(x: f64, count: f64) -> f64;

/// The share of experiments in which a look calls a difference: by user, and with each request as a user
/// of its own. Users draw by the variant that they have.
fn called(runs: u32, crowd: &Crowd, draws: [Draw<'_>; 2], squares: Squares) -> [f64; 2] {
    let mut random = fastrand::Rng::with_seed(16);
    let mut counts = [0, 0];
    for _ in 0..runs {
        let (mut users, mut requests) = ([Sums::default(); 2], [Sums::default(); 2]);
        let (mut seen, mut any) = (0, [false; 2]);
        for look in (0..LOOKS).rev() {
            while seen < crowd.users >> look {
                seen += 1;
                let side = usize::from(random.f64() < crowd.share);
                let count = (10.0 * (crowd.sigma * normal(&mut random)).exp()).ceil();
                let x = draws[side](&mut random, count);
                users[side].add(x, count);
                requests[side].add_requests(x, squares(x, count), count);
            }
            let is_called = |[base, own]: [Sums; 2]| {
                let effect = Effect::new(&own, &base, 0.05);
                effect.is_some_and(|it| it.verdict(false) != Verdict::TooLittleData)
            };
            any = [any[0] || is_called(users), any[1] || is_called(requests)];
        }
        counts = [counts[0] + u32::from(any[0]), counts[1] + u32::from(any[1])];
    }
    counts.map(|count| f64::from(count) / f64::from(runs))
}

/// Failures of users whose own rates are beta distributed, so that two requests of one have a
/// correlation of 0.05.
fn fails(rate: f64) -> impl Fn(&mut fastrand::Rng, f64) -> f64 {
    move |random, count| {
        let precision = 1.0 / 0.05 - 1.0;
        let fails = gamma(random, rate * precision);
        let own = fails / (fails + gamma(random, (1.0 - rate) * precision));
        hits(random, count, own.min(1.0 - 1e-9))
    }
}

/// The sum of milliseconds of a user whose own mean is lognormal around 100 ms.
fn millis(random: &mut fastrand::Rng, count: f64) -> f64 {
    let own = 100.0 * normal(random).exp();
    count * own
}

#[test]
fn no_more_than_alpha_of_experiments_without_an_effect_are_called() {
    let row = |(name, crowd, rate): (&str, Crowd, f64)| {
        let fails = fails(rate);
        let [user, request] = match rate > 0.0 {
            true => called(RUNS, &crowd, [&fails; 2], |hits, _| hits),
            // A user's requests take the same time in this crowd.
            false => called(RUNS, &crowd, [&millis; 2], |sum, count| sum * sum / count),
        };
        assert!(user <= MOST, "{name}: {user}");
        format!("| {name} | {:.1} % | {:.1} % |", user * 100.0, request * 100.0)
    };
    let crowd = |users, share, sigma| Crowd { users, share, sigma };
    stated(
        &[
            ("errors, 3 %, users of sigma 1", crowd(4_000, 0.5, 1.0), 0.03),
            ("errors, 3 %, users of sigma 1.5", crowd(4_000, 0.5, 1.5), 0.03),
            ("errors, 0.3 %, users of sigma 1.5", crowd(4_000, 0.5, 1.5), 0.003),
            (
                "errors, 3 %, users of sigma 1.5, a tenth with the variant",
                crowd(4_000, 0.1, 1.5),
                0.03,
            ),
            ("latency, users of sigma 1.5", crowd(4_000, 0.5, 1.5), 0.0),
        ]
        .map(row),
    );
}

#[test]
fn a_difference_is_found() {
    let row = |(name, sigma, rates): (&str, f64, [f64; 2])| {
        let crowd = Crowd { users: 16_000, share: 0.5, sigma };
        let [base, own] = rates.map(fails);
        let [found, _] = called(200, &crowd, [&base, &own], |hits, _| hits);
        format!("| {name} | {:.0} % |", found * 100.0)
    };
    stated(
        &[
            ("errors, 3 % and 3.5 %, users of sigma 1", 1.0, [0.03, 0.035]),
            ("errors, 3 % and 3.5 %, users of sigma 1.5", 1.5, [0.03, 0.035]),
            ("errors, 3 % and 4 %, users of sigma 1.5", 1.5, [0.03, 0.04]),
        ]
        .map(row),
    );
}

/// 100,000 users, half of them with each variant, are found in order; then one variant loses 4 % of its own.
/// The third number is that of sound splits that one of 100 looks calls broken.
#[test]
fn a_split_of_50_to_48_is_found_and_one_of_50_to_50_is_left_alone() {
    let mut random = fastrand::Rng::with_seed(50);
    let mut broken = |lost: f64, looks: u32| {
        let mut experiment = |_: &u32| {
            let mut users = [0, 0];
            let mut look = |_| {
                let new = 100_000.0 / f64::from(looks);
                let own = hits(&mut random, new, 0.5);
                let kept = hits(&mut random, new - own, 1.0 - lost);
                users = [users[0] + own as u64, users[1] + kept as u64];
                let half = (users[0] + users[1]) as f64 / 2.0;
                Ratio::new(&users, &[half, half]).verdict == ratio::Verdict::Broken
            };
            (0..looks).any(&mut look)
        };
        (0..RUNS).filter(&mut experiment).count()
    };
    let [sound, off, often] =
        [(0.0, 1), (0.04, 1), (0.0, 100)].map(|(lost, looks)| broken(lost, looks));
    assert!(sound <= 4 && off == 1_000 && often <= 27, "{sound}, {off} and {often}");
    stated(&[
        format!("| 50/50 | {sound} |"),
        format!("| 50/50, at one of 100 looks | {often} |"),
        format!("| 50/48 | {off} |"),
    ]);
}
