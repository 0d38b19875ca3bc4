//! A timer goes off while something changes with time, and no longer: Envoy keeps that of a
//! configuration that has ended, and goes on with it for ever.

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

#[test]
fn a_timer_ends_with_the_ramp() -> Result<()> {
    let mut host = Host::load(&wasm_tests::module()?)?;
    let root = configured(&mut host, START, "ramp", ramp())?;
    for (now, period) in [(START + DAY - 1, 1000), (START + DAY, 0)] {
        host.world().clock = now * SECOND;
        host.tick(root)?;
        assert_eq!(host.world().period, Some(period));
    }
    let weight = |host: &mut Host| {
        let named = |(name, _): &&(String, i64)| name.contains("=b;.;tsplit_weight");
        host.world().metrics.iter().find(named).map(|(_, value)| *value)
    };
    assert_eq!(weight(&mut host), Some(900_000));
    // One that is over already needs none.
    let mut host = Host::load(&wasm_tests::module()?)?;
    configured(&mut host, START + DAY, "ramp", ramp())?;
    assert_eq!((host.world().period, weight(&mut host)), (None, Some(900_000)));
    Ok(())
}
