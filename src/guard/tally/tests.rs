use super::*;
use crate::Plan;

/// A plan with one guard, whose window is 60 seconds: ten parts of 6.
fn plan() -> Plan {
    let config = serde_json::json!({
        "variantHeader": "x-v", "variants": { "stable": {}, "canary": {} },
        "rules": [{ "name": "r", "split": { "stable": 50, "canary": 50 },
            "guard": { "watch": "canary", "fallback": "stable", "maxErrorRate": "5%",
                       "window": "60s" } }]
    });
    Plan::compile(config.to_string().as_bytes(), &|_| None).unwrap()
}

/// Counts of as many responses of the watched variant, none an error, all after 9 ms.
fn watched(responses: u32) -> Sides {
    let mut sides = Sides::default();
    (0..responses).for_each(|_| sides.watch.observe(false, 9));
    sides
}

#[test]
fn percentiles_are_as_fine_as_their_classes() {
    let mut tally = Tally::default();
    (1..=1000).for_each(|ms| tally.observe(false, ms));
    assert!((tally.p95() / 950.0 - 1.0).abs() < 0.2, "{}", tally.p95());
    tally = Tally::default();
    tally.observe(false, u64::MAX);
    assert!(tally.p95().is_finite());
    assert_eq!(Tally::default().p95(), 0.0);
}

#[test]
fn a_class_is_half_an_octave() {
    for (ms, class) in [
        (0, 0),
        (1, 2),
        (2, 3),
        (3, 4),
        (4, 4),
        (5, 5),
        (63, 12),
        (46_339, 30),
        (46_340, 31),
        (u64::MAX, 31),
    ] {
        let mut tally = Tally::default();
        tally.observe(false, ms);
        let counted: Vec<_> = (0..CLASSES).filter(|at| tally.latency[*at] == 1).collect();
        assert_eq!(counted, [class], "{ms} ms");
    }
}

/// 2^((class + share of its responses below the rank) / 2) - 1.
#[test]
fn a_percentile_lies_within_its_class() {
    for (fast, slow, expected) in [
        (100, 0, f64::exp2(0.95 / 2.0) - 1.0),
        (95, 5, f64::exp2(0.5) - 1.0),
        (90, 10, f64::exp2(4.5 / 2.0) - 1.0),
        (0, 100, f64::exp2(4.95 / 2.0) - 1.0),
    ] {
        let mut tally = Tally::default();
        (0..fast).for_each(|_| tally.observe(false, 0));
        (0..slow).for_each(|_| tally.observe(false, 3));
        assert!((tally.p95() - expected).abs() < 1e-12, "{fast} {slow}: {}", tally.p95());
    }
}

#[test]
fn errors_are_a_share_of_the_responses() {
    let mut tally = Tally::default();
    assert_eq!(tally.error_rate(), 0.0);
    (0..8).for_each(|i| tally.observe(i < 2, 9));
    assert_eq!(tally.error_rate(), 0.25);
    assert_eq!(tally.error_count(), ErrorCount { errors: 2, responses: 8 });
}

#[test]
fn the_counts_of_all_parts_add_up() {
    let (plan, mut record) = (plan(), Record::default());
    let mut counts = watched(3);
    counts.watch.observe(true, 700);
    counts.fallback.observe(true, 40);
    for now in [0, 1, 6, 59] {
        record.add(&plan.guards[0], &counts, now);
    }
    let mut expected = Sides::default();
    for _ in 0..4 {
        (0..3).for_each(|_| expected.watch.observe(false, 9));
        expected.watch.observe(true, 700);
        expected.fallback.observe(true, 40);
    }
    assert_eq!(record.sum(), expected);
    record.add(&plan.guards[0], &Sides::default(), 61);
    let begins: Vec<u64> = record.parts.iter().map(|(begin, _)| *begin).collect();
    assert_eq!(begins, [0, 6, 54], "parts of 6 seconds, and none without counts");
}

/// A part counts until a window after its begin, and up to a window before it.
#[test]
fn a_part_counts_for_a_window() {
    let counted = |now: u64| {
        let (plan, mut record) = (plan(), Record::default());
        record.add(&plan.guards[0], &watched(40), 1000);
        record.forget(now, 60);
        record.sum().watch.responses
    };
    assert_eq!([935, 936, 1000, 1055, 1056].map(counted), [0, 40, 40, 40, 0]);
}

#[test]
fn a_clock_that_steps_back_keeps_the_counts_of_a_window() {
    let (plan, mut record) = (plan(), Record::default());
    for (now, counted) in [(1000, 40), (990, 80), (936, 120), (1001, 160), (900, 0), (901, 40)] {
        record.add(&plan.guards[0], &watched(40), now);
        assert_eq!(plan.guards[0].step(&mut record, now), None);
        assert_eq!(record.sum().watch.responses, counted, "at {now}");
    }
    for now in [0, u64::MAX, 5] {
        record.add(&plan.guards[0], &watched(40), now);
        plan.guards[0].step(&mut record, now);
    }
}

#[test]
fn a_state_begins_now_at_the_latest() {
    let mut record = Record { since: 1000, ..Record::default() };
    record.forget(1001, 60);
    assert_eq!(record.since, 1000);
    record.forget(900, 60);
    assert_eq!(record.since, 900);
}

/// Workers of two versions of the module share a record while Envoy changes from one to the other.
#[test]
fn a_record_is_written_alike_by_every_version() {
    for (state, number, trips, begin) in [
        (GuardState::Closed, 0, 0, 120),
        // A trial counts all of its responses in one part.
        (GuardState::HalfOpen, 1, 1, 0),
        (GuardState::Open, 2, 3, 120),
    ] {
        let (plan, mut record) = (plan(), Record { state, since: 7, trips, parts: Vec::new() });
        let mut counts = Sides::default();
        counts.watch.observe(true, 0);
        counts.fallback.observe(false, u64::MAX);
        record.add(&plan.guards[0], &counts, 120);
        let mut words = vec![u64::from(trips) << 32 | number, 7, begin];
        words.extend([1, 1, 1].into_iter().chain([0; 31]));
        words.extend([1, 0].into_iter().chain([0; 31]).chain([1]));
        let bytes: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
        assert_eq!(record.to_bytes(), bytes);
        assert_eq!(Record::from_bytes(&bytes), Some(record));
    }
}

#[test]
fn foreign_bytes_are_no_record() {
    let long = vec![0; 16 + 33 * 69 * 8];
    for bytes in [&b""[..], b"1234567", &[9; 16], &[0; 8], &[0; 24], &long] {
        assert_eq!(Record::from_bytes(bytes), None, "{bytes:?}");
    }
}

#[test]
fn a_record_has_its_parts_whole_and_not_too_many() {
    let record = |parts: usize| vec![0; 16 + parts * 69 * 8];
    assert!(Record::from_bytes(&record(MAX_PARTS)).is_some());
    assert_eq!(Record::from_bytes(&record(MAX_PARTS + 1)), None);
    let whole = record(1);
    assert_eq!(Record::from_bytes(&whole[..whole.len() - 8]), None);
    let mut more_than_a_count = whole.clone();
    more_than_a_count[24 + 4] = 1;
    assert_eq!(Record::from_bytes(&more_than_a_count), None);
}
