use super::*;

impl Sums {
    /// Takes each request of a user as a user of its own: `xx` is the sum of their squares.
    pub fn add_requests(&mut self, x: f64, xx: f64, count: f64) {
        self.users += count;
        self.x += x;
        self.n += count;
        self.xx += xx;
        self.xn += x;
        self.nn += count;
    }
}

/// Users of whom each has a number of requests and of hits by its place: the recipe of the vectors.
fn users((count, a, b, c): (u64, u64, u64, u64)) -> Sums {
    let mut sums = Sums::default();
    for i in 0..count {
        let requests = 1 + (a * i * i + b * i) % 97;
        sums.add(((c * i * i * i + 7 * i) % (requests + 1)) as f64, requests as f64);
    }
    sums
}

/// By numpy 2.4.6, from the papers: the variance as section 3 of Deng and others has it, with
/// `numpy.cov(x, n, ddof=1)`, and the radius as theorem 2.2 of Waudby-Smith and others:
/// sigma sqrt(2 (t rho^2 + 1) / (t^2 rho^2) ln(sqrt(t rho^2 + 1) / alpha)), at alpha 0.0125. 4,000
/// bootstrap samples of the users give the variances as well, to 4 %.
#[test]
fn the_variance_is_the_delta_methods_and_the_radius_the_confidence_sequences() {
    for (own, baseline, difference, variance, radius) in [
        (
            (400, 3, 5, 11),
            (500, 7, 2, 13),
            -8.141557276893e-3,
            3.176858399314e-4,
            1.047800375854e-1,
        ),
        ((150, 5, 1, 3), (9_000, 3, 5, 11), 1.569797272962e-3, 7.91234725331e-4, 1.018917309393e-1),
    ] {
        let (own, baseline) = (users(own), users(baseline));
        let effect = Effect::new(&own, &baseline, 0.0125).unwrap();
        let near = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-9, "{a}, not {b}");
        near(own.spread().unwrap() / own.users, variance);
        near(effect.difference, difference);
        near(effect.radius, radius);
    }
}

/// A user's requests are one piece: a hundred times as many of each user tell no more.
#[test]
fn requests_of_one_user_make_nothing_more_certain() {
    let radius = |requests: f64| {
        let side = |every: usize| {
            let mut sums = Sums::default();
            (0..500).for_each(|user| {
                sums.add(if user % every == 0 { requests } else { 0.0 }, requests);
            });
            sums
        };
        Effect::new(&side(3), &side(4), 0.05).unwrap().radius
    };
    assert!((radius(1.0) - radius(100.0)).abs() < 1e-12);
}

#[test]
fn there_is_no_verdict_without_users_or_chance() {
    let side = |users: u32, hits: u32| {
        let mut sums = Sums::default();
        (0..users).for_each(|user| sums.add(if user < hits { 1.0 } else { 0.0 }, 1.0));
        sums
    };
    assert!(Effect::new(&side(0, 0), &side(500, 5), 0.05).is_none());
    assert!(Effect::new(&side(1, 1), &side(500, 5), 0.05).is_none());
    for (own, baseline, rises, expected) in [
        (side(99, 99), side(900, 0), false, Verdict::TooLittleData),
        (side(100, 100), side(900, 0), false, Verdict::Worse),
        (side(100, 100), side(900, 0), true, Verdict::Better),
        (side(1_000, 0), side(900, 900), false, Verdict::Better),
        (side(1_000, 0), side(900, 900), true, Verdict::Worse),
        (side(1_000, 0), side(900, 0), false, Verdict::TooLittleData),
        (side(1_000, 900), side(1_000, 900), false, Verdict::TooLittleData),
        // Not even if all of one side are alike.
        (side(1_000, 1), side(900, 0), false, Verdict::TooLittleData),
    ] {
        let effect = Effect::new(&own, &baseline, 0.05).unwrap();
        assert_eq!(effect.verdict(rises), expected, "{own:?} {baseline:?} {effect:?}");
    }
}
