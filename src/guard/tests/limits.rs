//! Where the limits of a guard lie.

use super::*;

/// The verdict over these counts. `settings` replaces settings of the guard, and null removes one.
fn verdict(settings: serde_json::Value, state: GuardState, counts: &Sides) -> Option<Transition> {
    let mut config = config();
    for (name, value) in settings.as_object().unwrap() {
        config["rules"][0]["guard"][name] = value.clone();
    }
    config["rules"][0]["guard"].as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let plan = Plan::compile(config.to_string().as_bytes(), &|_| None).unwrap();
    let mut record = Record::default();
    record.enter(state, 0);
    record.add(&plan.guards[0], counts, 60);
    plan.guards[0].step(&mut record, 60)
}

/// Five of 100 responses may be errors, and chance makes up to 12 of them.
#[test]
fn a_limit_is_exceeded_beyond_chance() {
    let (good, same) = (tally(100, 0, 9), serde_json::json!({}));
    for (watch, fallback, trips) in [
        (tally(100, 12, 9), &good, false),
        (tally(100, 13, 9), &good, true),
        (tally(1000, 71, 9), &good, false),
        (tally(1000, 72, 9), &good, true),
        (tally(99, 99, 9), &good, false),
        (tally(100, 100, 9), &Tally::default(), true),
        // The fallback has 7 % itself, so that up to 15 of 100 would be chance.
        (tally(100, 15, 9), &tally(100, 7, 9), false),
        (tally(100, 16, 9), &tally(100, 7, 9), true),
        // The fallback is over the limit too, and fails half as often; a little less; too few tell.
        (tally(100, 20, 9), &tally(100, 10, 9), false),
        (tally(100, 21, 9), &tally(100, 10, 9), true),
        (tally(100, 20, 9), &tally(20, 2, 9), false),
        (tally(100, 21, 9), &tally(19, 2, 9), true),
        // At the limit, the fallback is not over it.
        (tally(100, 13, 9), &tally(100, 5, 9), true),
    ] {
        let counts = sides(watch, fallback.clone());
        let verdict = verdict(same.clone(), GuardState::Closed, &counts);
        let errors = matches!(&verdict, Some(Transition::Errors { watch, fallback })
            if *watch == counts.watch.error_count() && *fallback == counts.fallback.error_count());
        assert!(if trips { errors } else { verdict.is_none() }, "{counts:?}: {verdict:?}");
    }
}

#[test]
fn few_requests_are_enough_where_fewer_are_asked_for() {
    let counts = sides(tally(10, 2, 9), tally(10, 1, 9));
    let few = serde_json::json!({ "minRequests": 10 });
    assert_eq!(verdict(few, GuardState::Closed, &counts), None, "the fallback's ten tell");
}

#[test]
fn a_latency_is_too_long_beyond_the_ratio() {
    let slow = |ratio: Option<f64>, watch: Tally, fallback: Tally| {
        let settings = serde_json::json!({ "maxLatencyRatio": ratio });
        verdict(settings, GuardState::Closed, &sides(watch, fallback)).is_some()
    };
    assert!(!slow(Some(1.0), tally(100, 0, 50), tally(100, 0, 50)), "alike");
    assert!(slow(Some(1.0), tally(100, 0, 500), tally(100, 0, 50)));
    assert!(!slow(Some(1.0), tally(99, 0, 500), tally(100, 0, 50)), "too few to tell");
    assert!(!slow(Some(1.0), tally(100, 0, 500), tally(99, 0, 50)), "too few to compare with");
    assert!(!slow(None, tally(100, 0, 40_000), tally(100, 0, 9)), "no ratio is asked for");
}

/// A tally of `fast` responses after 9 ms and `slow` ones after 500 ms.
fn mixed(fast: u32, slow: u32) -> Tally {
    let mut tally = tally(fast, 0, 9);
    (0..slow).for_each(|_| tally.observe(false, 500));
    tally
}

/// Five of 100 responses may be slower than the limit, and chance makes up to 12 of them, or 14 if
/// the limit is an estimate from as few responses.
#[test]
fn a_variant_is_slow_beyond_chance() {
    let ratio = serde_json::json!({ "maxLatencyRatio": 2.0 });
    for (slow, fallback, trips) in
        [(12, 1_000_000, false), (13, 1_000_000, true), (14, 100, false), (15, 100, true)]
    {
        let counts = sides(mixed(100 - slow, slow), tally(fallback, 0, 9));
        let verdict = verdict(ratio.clone(), GuardState::Closed, &counts);
        assert_eq!(verdict.is_some(), trips, "{slow} of 100, against {fallback}");
    }
}

/// A tenth of `minRequests`, and at least 20 or `minRequests` itself, end a trial after a window.
#[test]
fn a_trial_ends_with_a_tenth_of_the_requests() {
    let judged = |min_requests: u32, responses: u32, errors: u32| {
        let settings = serde_json::json!({ "minRequests": min_requests });
        let counts = sides(tally(responses, errors, 9), Tally::default());
        verdict(settings, GuardState::HalfOpen, &counts)
    };
    for (min_requests, few) in [(1000, 100), (300, 30), (100, 20), (20, 20), (10, 10)] {
        assert_eq!(judged(min_requests, few, 0), Some(Transition::Recovered), "{min_requests}");
        assert_eq!(judged(min_requests, few - 1, 0), None, "{min_requests}");
        assert_eq!(judged(min_requests, few - 1, few - 1), None, "{min_requests}");
        let failed = judged(min_requests, few, few);
        assert!(matches!(failed, Some(Transition::Errors { .. })), "{min_requests} {failed:?}");
    }
}
