//! A timer goes off each second while something changes with time, each minute for a ramp that is over,
//! and no longer than its configuration: Envoy would go on with it for ever.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use wasm_tests::host::{Host, Root};

const SECOND: u64 = 1_000_000_000;
/// 2026-12-01T09:00:00Z, in seconds.
const START: u64 = 1_796_115_600;
const DAY: u64 = 86_400;

/// Configures one rule with this field beside its split, at the time `now`.
fn configured(host: &mut Host, now: u64, field: &str, value: Value) -> Result<Root> {
    let mut rule =
        json!({"name": "r", "split": {"a": 1, "b": 1}, "sticky": {"key": [{"cookie": "u"}]}});
    rule[field] = value;
    let config = json!({"variantHeader": "x-v", "variants": {"a": {}, "b": {}}, "rules": [rule]});
    host.world().clock = now * SECOND;
    let root = host.configure(config.to_string().as_bytes())?;
    root.with_context(|| host.world().logged())
}

fn ramp() -> Value {
    json!({"variant": "b", "to": 90, "start": "2026-12-01T09:00:00Z", "duration": "1d"})
}

#[test]
fn a_timer_ends_with_its_configuration() -> Result<()> {
    for (field, value) in
        [("guard", json!({"watch": "b", "fallback": "a", "maxErrorRate": "5%"})), ("ramp", ramp())]
    {
        let mut host = Host::load(&wasm_tests::module()?)?;
        let root = configured(&mut host, START, field, value)?;
        assert_eq!(host.world().period, Some(1000));
        host.remove(root)?;
        assert_eq!(host.world().period, Some(0), "{field}");
    }
    Ok(())
}

/// The gauge of the ramp's share, in parts per million.
fn weight(host: &mut Host) -> Option<i64> {
    let named = |(name, _): &&(String, i64)| name.contains("=b;.;tsplit_weight");
    host.world().metrics.iter().find(named).map(|(_, value)| *value)
}

#[test]
fn a_timer_slows_down_with_the_end_of_the_ramp() -> Result<()> {
    let mut host = Host::load(&wasm_tests::module()?)?;
    let root = configured(&mut host, START, "ramp", ramp())?;
    for (now, period) in [(START + DAY - 1, 1000), (START + DAY, 60_000)] {
        host.world().clock = now * SECOND;
        host.tick(root)?;
        assert_eq!(host.world().period, Some(period));
    }
    assert_eq!(weight(&mut host), Some(900_000));
    // One that is over already.
    let mut host = Host::load(&wasm_tests::module()?)?;
    configured(&mut host, START + DAY, "ramp", ramp())?;
    assert_eq!((host.world().period, weight(&mut host)), (Some(60_000), Some(900_000)));
    // A configuration without anything of that kind has none.
    let mut host = Host::load(&wasm_tests::module()?)?;
    configured(&mut host, START, "mode", json!("enforce"))?;
    assert_eq!(host.world().period, None);
    Ok(())
}

/// A clock that ran ahead has ended the ramp, while it ran or from the first second on. The clock is
/// set right, and the worker goes on with all others.
#[test]
fn a_ramp_that_ended_by_a_clock_ahead_goes_on() -> Result<()> {
    for first in [START, START + 400 * DAY] {
        let mut host = Host::load(&wasm_tests::module()?)?;
        let root = configured(&mut host, first, "ramp", ramp())?;
        for (now, expected) in [
            (START + 400 * DAY, (Some(60_000), Some(900_000))),
            (START + DAY / 4, (Some(1000), Some(600_000))),
            (START + DAY / 2, (Some(1000), Some(700_000))),
        ] {
            host.world().clock = now * SECOND;
            host.tick(root)?;
            assert_eq!((host.world().period, weight(&mut host)), expected, "{first} {now}");
        }
    }
    Ok(())
}
