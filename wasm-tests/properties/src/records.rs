//! What the workers of a proxy share of a guard: any bytes are a record or none, and whatever it
//! says, and wherever the clock was, a variant that is well gets its traffic back.

use std::sync::LazyLock;

use arbitrary::{Result, Unstructured};
use serde_json::json;
use traffic_split::Plan;
use traffic_split::guard::{GuardState, Record, Sides};

use crate::given::env;

const WINDOW: u64 = 5;
const COOLDOWN: u64 = 6;

static PLAN: LazyLock<Plan> = LazyLock::new(|| {
    let config = json!({
        "variantHeader": "x-v", "variants": { "a": {}, "b": {} },
        "rules": [ { "name": "r", "split": { "a": 1, "b": 1 }, "guard": {
            "watch": "b", "fallback": "a", "maxErrorRate": "5%", "maxLatencyRatio": 2.0,
            "minRequests": 10, "window": format!("{WINDOW}s"), "cooldown": format!("{COOLDOWN}s") } } ]
    });
    let plan = Plan::compile(config.to_string().as_bytes(), &env);
    plan.unwrap_or_else(|errors| panic!("{errors}"))
});

/// A record of any bytes, or one that a worker wrote, under a clock that goes anywhere and then on.
pub fn records(bytes: &[u8]) -> bool {
    let mut u = Unstructured::new(bytes);
    let Ok((mut record, mut now)) = input(&mut u) else { return false };
    assert_eq!(Record::from_bytes(&record.to_bytes()).as_ref(), Some(&record));
    let guard = PLAN.guards().first().expect("a guard");
    let mut well = Sides::default();
    for _ in 0..10 {
        well.watch.observe(false, 9);
        well.fallback.observe(false, 9);
    }
    let left = record.state != GuardState::Closed;
    // What is counted already may trip it once more, and the cooldown grows up to 32 times.
    for _ in 0..2 * (32 * COOLDOWN + 2 * WINDOW) {
        record.add(guard, &well, now);
        guard.step(&mut record, now);
        now += 1;
    }
    assert_eq!(record.state, GuardState::Closed, "{record:?}");
    left
}

fn input(u: &mut Unstructured<'_>) -> Result<(Record, u64)> {
    let clock = |u: &mut Unstructured<'_>| {
        Ok(if u.arbitrary()? { u.arbitrary::<u64>()? % (1 << 40) } else { u.int_in_range(0..=99)? })
    };
    let now = clock(u)?;
    let guard = PLAN.guards().first().expect("a guard");
    let mut record = match u.arbitrary()? {
        // Another version's, or another plugin's.
        true => Record::from_bytes(u.bytes(u.len() / 2)?).unwrap_or_default(),
        false => Record::default(),
    };
    for _ in 0..u.int_in_range(0..=8)? {
        let (at, mut sides) = (clock(u)?, Sides::default());
        for _ in 0..u.int_in_range(0..=20)? {
            // The fallback fails less often, or no guard would trip.
            let (tally, errors) =
                if u.arbitrary()? { (&mut sides.watch, 3) } else { (&mut sides.fallback, 1) };
            tally.observe(u.ratio(errors, 4)?, u.arbitrary()?);
        }
        record.add(guard, &sides, at);
        guard.step(&mut record, at);
    }
    Ok((record, now))
}
