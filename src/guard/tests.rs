mod limits;
mod trips;

use super::*;
use crate::Plan;

fn config() -> serde_json::Value {
    serde_json::json!({
        "variantHeader": "x-v", "variants": { "stable": {}, "canary": {} },
        "rules": [{ "name": "r", "split": { "stable": 50, "canary": 50 },
            "guard": { "watch": "canary", "fallback": "stable", "maxErrorRate": "5%",
                       "maxLatencyRatio": 2.0, "minRequests": 100, "window": "60s",
                       "cooldown": "10m" } }]
    })
}

fn guard() -> Plan {
    Plan::compile(config().to_string().as_bytes(), &|_| None).unwrap()
}

/// So many responses a second, of them so many errors, all after so many milliseconds.
fn tally(responses: u32, errors: u32, ms: u64) -> Tally {
    let mut tally = Tally::default();
    (0..responses).for_each(|i| tally.observe(i < errors, ms));
    tally
}

/// Runs for some seconds from `now` on; the changes with their times.
fn run(record: &mut Record, now: &mut u64, seconds: u64, sides: &Sides) -> Vec<(u64, Transition)> {
    let plan = guard();
    let mut changes = Vec::new();
    for _ in 0..seconds {
        *now += 1;
        // What the host keeps in between.
        *record = Record::from_bytes(&record.to_bytes()).unwrap();
        record.add(&plan.guards[0], sides, *now);
        changes.extend(plan.guards[0].step(record, *now).map(|change| (*now, change)));
    }
    changes
}

fn sides(watch: Tally, fallback: Tally) -> Sides {
    Sides { watch, fallback }
}

#[test]
fn a_failing_variant_trips_is_tried_and_comes_back() {
    let (mut record, mut now) = (Record::default(), 0);
    let good = sides(tally(10, 0, 9), tally(10, 0, 9));
    assert_eq!(run(&mut record, &mut now, 100, &good), []);
    let bad = sides(tally(10, 3, 9), tally(10, 0, 9));
    let changes = run(&mut record, &mut now, 60, &bad);
    let [(tripped, Transition::Errors { watch, fallback })] = changes.as_slice() else {
        panic!("{changes:?}")
    };
    // 47 errors in the window's 600 responses are beyond chance.
    assert!(*tripped <= 117, "within 17 s, not {tripped}");
    assert!(watch.errors * 20 > watch.responses && fallback.errors == 0);
    assert_eq!(record.state, GuardState::Open);
    let none = sides(Tally::default(), tally(20, 0, 9));
    assert_eq!(run(&mut record, &mut now, tripped + 599 - 160, &none), []);
    let still_bad = sides(tally(1, 1, 9), tally(19, 0, 9));
    let changes = run(&mut record, &mut now, 70, &still_bad);
    assert_eq!(changes[0], (tripped + 600, Transition::Trial));
    assert!(matches!(changes[1].1, Transition::Errors { .. }) && changes.len() == 2, "{changes:?}");
    assert_eq!(changes[1].0 - changes[0].0, 60);
    let healed = sides(tally(1, 0, 9), tally(19, 0, 9));
    let relapsed = now;
    let changes: Vec<_> = run(&mut record, &mut now, 2000, &healed);
    let levels: Vec<_> = changes.iter().map(|(_, change)| change.clone()).collect();
    assert_eq!(levels, [Transition::Trial, Transition::Recovered]);
    assert!(changes[0].0 - relapsed > 1100, "the cooldown has doubled");
    assert_eq!(changes[1].0 - changes[0].0, 60);
    assert_eq!(record.state, GuardState::Closed);
}

#[test]
fn too_few_responses_change_nothing() {
    let (mut record, mut now) = (Record::default(), 0);
    let blip = sides(tally(99, 99, 9), tally(1000, 0, 9));
    assert_eq!(run(&mut record, &mut now, 1, &blip), []);
    let quiet = sides(Tally::default(), tally(10, 0, 9));
    assert_eq!(run(&mut record, &mut now, 100, &quiet), []);
}

#[test]
fn a_fallback_that_fails_as_well_does_not_flap() {
    let (mut record, mut now) = (Record::default(), 0);
    let both = sides(tally(10, 3, 9), tally(10, 3, 9));
    assert_eq!(run(&mut record, &mut now, 3600, &both), []);
    // Of two alike, one comes to `minRequests` first.
    let both = sides(tally(104, 32, 9), tally(96, 28, 9));
    assert_eq!(run(&mut Record::default(), &mut 0, 1, &both), []);
}

#[test]
fn a_fallback_that_fails_less_takes_over() {
    let (mut record, mut now) = (Record::default(), 0);
    let worse = sides(tally(10, 10, 9), tally(100, 6, 9));
    assert_eq!(run(&mut record, &mut now, 30, &worse).len(), 1);
    // Then it fails too: the watched one stays where it is until it is good itself.
    let both = sides(tally(1, 1, 9), tally(100, 100, 9));
    let changes = run(&mut record, &mut now, 3600, &both);
    assert!(record.state != GuardState::Closed && changes.len() <= 12, "{changes:?}");
    let alone = sides(tally(1, 0, 9), tally(100, 100, 9));
    let changes = run(&mut record, &mut now, 1400, &alone);
    assert_eq!(changes.last().unwrap().1, Transition::Recovered);
}

/// A trial response in 9 seconds: a window sees 7 of the 20 that it takes.
#[test]
fn a_trial_of_little_traffic_ends_as_well() {
    let (mut record, mut now) = (Record::default(), 0);
    let bad = sides(tally(10, 10, 9), tally(10, 0, 9));
    run(&mut record, &mut now, 20, &bad);
    assert_eq!(record.state, GuardState::Open);
    run(&mut record, &mut now, 600, &sides(Tally::default(), tally(10, 0, 9)));
    assert_eq!(record.state, GuardState::HalfOpen);
    let mut changes = Vec::new();
    for _ in 0..30 {
        changes.extend(run(&mut record, &mut now, 1, &sides(tally(1, 0, 9), tally(1, 0, 9))));
        changes.extend(run(&mut record, &mut now, 8, &sides(Tally::default(), tally(1, 0, 9))));
    }
    assert!(matches!(changes[..], [(_, Transition::Recovered)]), "{changes:?}");
}

/// 4 of 20 in the first seconds prove nothing; 4 of 100 are under the bound.
#[test]
fn a_trial_is_not_judged_by_its_first_responses() {
    let (mut record, mut now) = (Record::default(), 0);
    run(&mut record, &mut now, 20, &sides(tally(10, 10, 9), tally(10, 0, 9)));
    run(&mut record, &mut now, 600, &sides(Tally::default(), tally(10, 0, 9)));
    let first = sides(tally(5, 1, 9), tally(50, 0, 9));
    assert_eq!(run(&mut record, &mut now, 4, &first), []);
    let changes = run(&mut record, &mut now, 60, &sides(tally(2, 0, 9), tally(50, 0, 9)));
    assert!(matches!(changes[..], [(_, Transition::Recovered)]), "{changes:?}");
}

#[test]
fn milliseconds_are_no_ratio() {
    let (mut record, mut now) = (Record::default(), 0);
    let both_fast = sides(tally(10, 0, 4), tally(10, 0, 0));
    assert_eq!(run(&mut record, &mut now, 60, &both_fast), []);
    assert_eq!(run(&mut record, &mut now, 60, &sides(tally(10, 0, 20), tally(10, 0, 0))).len(), 1);
}

#[test]
fn a_slow_variant_trips() {
    let (mut record, mut now) = (Record::default(), 0);
    let as_fast = sides(tally(10, 0, 150), tally(10, 0, 100));
    assert_eq!(run(&mut record, &mut now, 60, &as_fast), []);
    let slow = sides(tally(10, 0, 500), tally(10, 0, 100));
    let changes = run(&mut record, &mut now, 60, &slow);
    assert!(
        matches!(changes[..], [(_, Transition::Latency { watch_p95_ms, fallback_p95_ms })]
            if watch_p95_ms > 2.0 * fallback_p95_ms),
        "{changes:?}"
    );
}

/// The cooldown starts anew, and what was counted in the future counts no more.
#[test]
fn a_clock_that_was_ahead_holds_nobody_back() {
    let year = 365 * 86_400;
    let (mut record, mut now) = (Record::default(), year);
    let bad = sides(tally(10, 10, 9), tally(10, 0, 9));
    assert!(matches!(run(&mut record, &mut now, 60, &bad)[..], [(_, Transition::Errors { .. })]));
    now = 1000;
    let healed = sides(tally(10, 0, 9), tally(10, 0, 9));
    let changes = run(&mut record, &mut now, 700, &healed);
    assert!(
        matches!(changes[..], [(1601, Transition::Trial), (1661, Transition::Recovered)]),
        "{changes:?}"
    );
    now += year;
    run(&mut record, &mut now, 10, &sides(tally(1000, 49, 9), tally(1000, 0, 9)));
    now = 5000;
    assert_eq!(run(&mut record, &mut now, 60, &sides(tally(10, 1, 9), tally(10, 0, 9))).len(), 1);
}

#[test]
fn a_record_is_that_of_a_guard_not_of_a_configuration() {
    let id = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut config = config();
        change(&mut config);
        Plan::compile(config.to_string().as_bytes(), &|_| None).unwrap().guards[0].id()
    };
    let same = id(&|_| {});
    assert_eq!(id(&|config| config["metrics"] = "off".into()), same);
    assert_eq!(id(&|config| config["rules"][0]["split"]["canary"] = 1.into()), same);
    assert_ne!(id(&|config| config["rules"][0]["name"] = "other".into()), same);
    assert_ne!(id(&|config| config["rules"][0]["guard"]["window"] = "61s".into()), same);
    let cluster =
        |config: &mut serde_json::Value| config["variants"]["canary"]["cluster"] = "v3".into();
    assert_ne!(id(&cluster), same);
}

#[test]
fn a_trial_keeps_a_tenth_and_always_the_same() {
    let plan = guard();
    let guard = &plan.guards[0];
    let goes = |admitted, target, hash| guard.redirect(admitted, target, || hash).is_none();
    let tried = (0..10_000_u64).filter(|h| goes(TRIAL_SHARE, &guard.watch, rehash(*h, 0)));
    let (tried, n, p) = (tried.clone().collect::<Vec<_>>(), 10_000.0, TRIAL_SHARE);
    let count = tried.len() as f64;
    assert!((count - n * p).abs() <= 5.0 * f64::sqrt(n * p * (1.0 - p)), "{count}");
    let wider = tried.iter().all(|h| goes(2.0 * TRIAL_SHARE, &guard.watch, rehash(*h, 0)));
    assert!(wider, "a trial that widens keeps its clients");
    assert!(!goes(0.0, &guard.watch, 1));
    assert!(goes(1.0, &guard.watch, 1));
    assert!(goes(0.0, &guard.fallback, 1));
}

#[test]
fn a_response_is_counted_on_the_side_of_its_variant() {
    let mut config = config();
    config["variants"]["other"] = serde_json::json!({});
    config["rules"][0]["split"]["other"] = 1.into();
    let plan = Plan::compile(config.to_string().as_bytes(), &|_| None).unwrap();
    let guard = &plan.guards[0];
    let mut counts = Sides::default();
    let mut count = |name: &str| {
        let target = Target {
            rule: "r".into(),
            variant: Some(Arc::new(crate::Variant {
                name: name.into(),
                cluster: None,
                point: None,
            })),
            by_cluster: Vec::new(),
            metrics: Default::default(),
            guard: None,
        };
        let tally = guard.side(&target, &mut counts);
        tally.map(|tally| tally.observe(false, 9)).is_some()
    };
    assert!(count("canary") && count("canary") && count("stable") && !count("other"));
    assert_eq!((counts.watch.responses, counts.fallback.responses), (2, 1));
}

/// The clients on trial are the same in every proxy and every version: of user-0 to user-39,
/// hashed with the seed 0, these.
#[test]
fn the_clients_of_a_trial_never_change() {
    let plan = guard();
    let guard = &plan.guards[0];
    let tried = (0..40).filter(|i| {
        let hash = || xxh64(format!("user-{i}").as_bytes(), 0);
        guard.redirect(TRIAL_SHARE, &guard.watch, hash).is_none()
    });
    assert_eq!(tried.collect::<Vec<_>>(), [0, 10, 16, 35]);
}

/// Written out as the encoding says, and the number that xxHash gives for it.
#[test]
fn an_id_never_changes() {
    let id = |config: serde_json::Value| {
        Plan::compile(config.to_string().as_bytes(), &|_| None).unwrap().guards[0].id()
    };
    let rate = "3fa999999999999a";
    let fields = ["r", "canary", "", "stable", "", rate, "4000000000000000", "100", "60", "600"];
    assert_eq!(id(config()), xxh64(fields.join("\0").as_bytes(), 0));
    assert_eq!(id(config()), 0xcc7f_aa1e_d511_16bf);
    let mut other = config();
    other["clusterHeader"] = "x-c".into();
    other["variants"] =
        serde_json::json!({ "stable": {"cluster": "v1"}, "canary": {"cluster": "v2"} });
    other["rules"][0]["guard"].as_object_mut().unwrap().remove("maxLatencyRatio");
    let fields = ["r", "canary", "v2", "stable", "v1", rate, "0", "100", "60", "600"];
    assert_eq!(id(other.clone()), xxh64(fields.join("\0").as_bytes(), 0));
    assert_eq!(id(other), 0xcc0f_b90f_c4f3_d8fb);
}

/// A trial widens with the time in which it gets no responses; under a hold it gets none.
#[test]
fn a_guard_that_waits_keeps_its_state_and_its_trial_does_not_widen() {
    for (state, after) in
        [(GuardState::Closed, 1.0), (GuardState::Open, 0.0), (GuardState::HalfOpen, TRIAL_SHARE)]
    {
        let mut plan = guard();
        let guard = &mut plan.guards[0];
        let mut record = Record::default();
        (record.state, record.since) = (state, 1_000);
        guard.waits = true;
        let later = 1_000 + 100 * guard.window * TRIAL_WINDOWS;
        assert_eq!(guard.step(&mut record, later), None);
        assert_eq!((record.state, guard.admitted(&record, later)), (state, after));
        guard.waits = false;
        let next = guard.step(&mut record, later + 1);
        assert_eq!(next, (state == GuardState::Open).then_some(Transition::Trial));
    }
}
