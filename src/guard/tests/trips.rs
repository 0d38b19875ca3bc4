//! How often a guard trips, and how soon, in simulated traffic: a canary with a tenth of the users,
//! responses at random times, and a look at the counts every second, as the filter takes it.
//! `src/numbers.md` has the tables, and each test holds its own equal to what it finds.

use super::*;

fn stated(rows: &[String]) {
    let page = include_str!("../../numbers.md");
    rows.iter().for_each(|row| println!("{row}"));
    for row in rows {
        assert!(page.contains(row.as_str()), "src/numbers.md has no row {row}");
    }
}

/// The traffic of one proxy.
#[derive(Clone, Copy)]
struct Traffic {
    /// Requests a minute to the canary; the stable variant gets nine times as many.
    per_minute: f64,
    /// The shares of errors of the canary and of the stable variant, 0 to 1.
    errors: [f64; 2],
    /// The spread of the lognormal latency around its median of 100 ms.
    sigma: f64,
}

/// A simulation with a seed of its own.
struct Simulation {
    random: fastrand::Rng,
    record: Record,
    now: u64,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        Simulation { random: fastrand::Rng::with_seed(seed), record: Record::default(), now: 0 }
    }

    /// One second of traffic, and the guard's look at it.
    fn second(&mut self, guard: &Guard, traffic: Traffic) -> Option<Transition> {
        self.now += 1;
        let admitted = guard.admitted(&self.record, self.now);
        let mean = traffic.per_minute / 60.0;
        let [canary, stable] = traffic.errors;
        let counts = Sides {
            watch: self.responses(mean * admitted, canary, traffic.sigma),
            fallback: self.responses(mean * (10.0 - admitted), stable, traffic.sigma),
        };
        self.record.add(guard, &counts, self.now);
        guard.step(&mut self.record, self.now)
    }

    /// A Poisson number of responses (Knuth), with that mean.
    fn responses(&mut self, mean: f64, errors: f64, sigma: f64) -> Tally {
        let mut tally = Tally::default();
        let (least, mut product) = ((-mean).exp(), self.random.f64());
        while product > least {
            let normal = (-2.0 * (1.0 - self.random.f64()).ln()).sqrt()
                * (std::f64::consts::TAU * self.random.f64()).cos();
            let error = self.random.f64() < errors;
            tally.observe(error, (100.0 * (sigma * normal).exp()) as u64);
            product *= self.random.f64();
        }
        tally
    }
}

/// The trips from full traffic in a day, of a guard with a cooldown of ten minutes.
fn trips(settings: &serde_json::Value, traffic: Traffic) -> usize {
    let plan = plan_of(settings);
    let mut simulation = Simulation::new(1);
    let seconds = (0..GOOD_DAY).filter_map(|_| {
        let closed = simulation.record.state == GuardState::Closed;
        simulation.second(&plan.guards[0], traffic).filter(|_| closed)
    });
    seconds.count()
}

fn plan_of(settings: &serde_json::Value) -> Plan {
    let mut config = config();
    config["rules"][0]["guard"] = settings.clone();
    Plan::compile(config.to_string().as_bytes(), &|_| None).unwrap()
}

fn defaults() -> serde_json::Value {
    serde_json::json!({ "watch": "canary", "fallback": "stable", "maxErrorRate": "5%" })
}

/// By "more than 5 % of at least 100 responses" alone it would trip 4, 44 and 79 times in such a day
/// with 110 requests a minute, and 84 times at 3 % with 200.
#[test]
fn a_canary_that_fails_as_seldom_as_allowed_does_not_trip() {
    let row = |rate: f64| {
        let trips = [110.0, 300.0, 1000.0].map(|per_minute| {
            let traffic = Traffic { per_minute, errors: [rate; 2], sigma: 0.5 };
            let trips = trips(&defaults(), traffic);
            assert_eq!(trips, 0, "{rate} at {per_minute} a minute");
            trips
        });
        let [few, more, many] = trips;
        format!("| both fail {} % | {few} | {more} | {many} |", rate * 100.0)
    };
    stated(&[0.01, 0.02, 0.03].map(row));
}

/// By its 95th percentile alone it would trip 1, 6 and 30 times in such a day.
#[test]
fn a_canary_as_slow_as_the_stable_variant_does_not_trip() {
    let mut settings = defaults();
    settings["maxLatencyRatio"] = 2.into();
    let row = |sigma: f64| {
        let traffic = Traffic { per_minute: 110.0, errors: [0.0; 2], sigma };
        let trips = trips(&settings, traffic);
        assert_eq!(trips, 0, "{sigma}");
        format!("| the same latency, sigma {sigma}, ratio 2 | {trips} | | |")
    };
    stated(&[0.8, 1.0, 1.3].map(row));
}

/// The median of seconds that a canary failing from the first request on is left with its users, over
/// 101 runs: a trip needs 100 responses, and so 55, 20 and 6 s.
#[test]
fn a_failing_canary_is_left_soon() {
    let plan = plan_of(&defaults());
    let row = |(rate, most): (f64, [u64; 3])| {
        let seconds = [110.0, 300.0, 1000.0].map(|per_minute| {
            let traffic = Traffic { per_minute, errors: [rate, 0.001], sigma: 0.5 };
            let mut seconds: Vec<u64> = (0..101)
                .map(|seed| {
                    let mut simulation = Simulation::new(seed);
                    while simulation.second(&plan.guards[0], traffic).is_none() {}
                    simulation.now
                })
                .collect();
            seconds.sort_unstable();
            seconds[50]
        });
        assert!(seconds.iter().zip(most).all(|(is, most)| *is <= most), "{rate}: {seconds:?}");
        let [few, more, many] = seconds;
        format!("| the canary fails {} % | {few} s | {more} s | {many} s |", rate * 100.0)
    };
    stated(&[(0.3, [60, 22, 8]), (0.1, [240, 60, 20])].map(row));
}

/// The README's and the reference's sentence on a fallback that fails too, with figures: 45 of 1,000
/// are within the limit of 5 %, and 51 are not.
#[test]
fn a_fallback_beyond_the_limit_that_fails_half_as_often_keeps_the_guard_closed() {
    let plan = plan_of(&defaults());
    for (watch, fallback, expected) in [
        (100, 45, true),
        (100, 51, false),
        (102, 51, false),
        (104, 51, true),
        (300, 149, true),
        (300, 150, false),
    ] {
        let sides = sides(tally(1_000, watch, 9), tally(1_000, fallback, 9));
        let trips = plan.guards[0].trips(&sides).is_some();
        assert_eq!(trips, expected, "{watch} and {fallback} of 1,000");
    }
}

/// Two variants that differ by a millisecond can be read as half an octave apart, which is why the
/// least sensible ratio is 1.5.
#[test]
fn narrow_latencies_read_as_far_apart_as_a_class_is_wide() {
    let read = |ms: u64| tally(1_000, 0, ms).p95();
    let apart = (20..2_000).map(|ms| read(ms + 1) / read(ms)).fold(0.0, f64::max);
    assert!((1.38..1.5).contains(&apart), "{apart}");
    let high = (20..2_000).map(|ms| read(ms) / ms as f64).fold(0.0, f64::max);
    assert!((1.38..1.45).contains(&high), "{high}");
}

/// A guard by the defaults needs 100 responses of the canary in a minute: of 1 % of the users, 167
/// requests a second in the proxy.
#[test]
fn a_guard_is_blind_below_its_least_responses() {
    let plan = plan_of(&defaults());
    let guard = &plan.guards[0];
    let per_second = f64::from(guard.min_requests) / guard.window as f64 / 0.01;
    assert!((per_second - 166.7).abs() < 0.1, "{per_second}");
    let all_fail = sides(tally(99, 99, 9), tally(9_900, 0, 9));
    assert!(guard.trips(&all_fail).is_none());
}

/// A canary that fails a tenth passes some of its trials by luck. Without a cooldown that doubles,
/// its users would go back and forth 46 times a day.
#[test]
fn a_canary_that_goes_on_failing_is_tried_less_and_less() {
    let traffic = Traffic { per_minute: 300.0, errors: [0.1, 0.001], sigma: 0.5 };
    let trips = trips(&defaults(), traffic);
    assert!((1..=10).contains(&trips), "{trips}");
}

/// A tenth of 8 requests a minute is less than one: the trial widens until it can be judged.
#[test]
fn a_trial_of_a_handful_of_requests_ends() {
    let mut settings = defaults();
    settings["minRequests"] = 20.into();
    let plan = plan_of(&settings);
    let guard = &plan.guards[0];
    let traffic = Traffic { per_minute: 8.0, errors: [0.0; 2], sigma: 0.5 };
    let mut seconds: Vec<u64> = (0..101)
        .map(|seed| {
            let mut simulation = Simulation::new(seed);
            simulation.record.enter(GuardState::HalfOpen, 0);
            while simulation.record.state != GuardState::Closed {
                simulation.second(guard, traffic);
            }
            simulation.now
        })
        .collect();
    seconds.sort_unstable();
    assert!(seconds[90] < 1800, "{seconds:?}");
}
