//! What a request may cost, in counts that no noise touches. The bounds are in `budgets.json`; a
//! change that earns a lower one lowers it.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use wasm_tests::bootstrap::POINT_HEADER;
use wasm_tests::host::{Headers, Host, Root};
use wasm_tests::standard::Standard;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Budgets {
    module_bytes: u64,
    standard_set: Request,
    /// The same with `metrics: counts`.
    counts: Request,
    /// The same with `metrics: full`, by which responses are counted.
    full: Request,
    /// The same with `metrics: full` and `unit`.
    unit: Request,
    /// The standard set with `baggage`, of which the client sends none.
    baggage: Request,
    /// The standard set whose split clients may override, of whom this one has not.
    #[serde(rename = "override")]
    overrides: Request,
    /// The standard set whose first key is metadata, which no earlier filter has left.
    metadata: Request,
    /// A client that is issued a signed identity, and assigned.
    new_client: Request,
    /// The same client, which returns with both cookies.
    returning_client: Request,
    /// Fuel that a request takes under 1,000 rules above what it takes under 1.
    thousand_rules_above_one: u64,
    /// Fuel that it takes under a list of 10,000 values above what it takes under a single value.
    list_above_exact: u64,
    /// The fuel under a flag engine over that of the standard set, for the dearest one.
    engine_over_standard: f64,
    memory_bytes: Memory,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    /// The interpreter charges a block's instructions when it enters it, those behind a branch
    /// out of it too: this is a bound, not a count, of the instructions run.
    fuel: u64,
    /// Callbacks and host calls, by name.
    calls: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Memory {
    standard_set: usize,
    thousand_rules: usize,
}

fn budgets() -> Result<Budgets> {
    Ok(serde_json::from_str(include_str!("../budgets.json"))?)
}

fn start(configuration: &Value) -> Result<(Host, Root)> {
    let mut host = Host::load(&wasm_tests::module()?)?;
    let root = host.configure(configuration.to_string().as_bytes())?;
    let root = root.with_context(|| host.world().logged())?;
    Ok((host, root))
}

/// One request and its response, after a few that make everything ready.
fn fuel(host: &mut Host, root: Root, standard: &Standard) -> Result<u64> {
    exchange(host, root, &standard.headers()).map(|(fuel, _)| fuel)
}

/// The fuel of a request with these headers and its response, and the response.
fn exchange(host: &mut Host, root: Root, headers: &Headers) -> Result<(u64, Headers)> {
    let response = vec![(b":status".to_vec(), b"200".to_vec())];
    let (mut fuel, mut answer) = (0, Headers::new());
    for _ in 0..10 {
        host.world().calls.clear();
        let before = host.instructions()?;
        let stream = host.open(root, headers)?;
        let seen = host.world().request.clone().unwrap_or_default();
        let routing = [&b"x-split-cluster"[..], POINT_HEADER.as_bytes()];
        let decided = seen.iter().any(|(name, _)| routing.contains(&name.as_slice()));
        ensure!(decided, "nothing was decided");
        answer = host.respond(stream, &response)?;
        host.close(stream)?;
        fuel = host.instructions()? - before;
    }
    Ok((fuel, answer))
}

fn check(what: &str, host: &mut Host, fuel: u64, bound: &Request) -> Result<()> {
    let calls = host.world().calls.iter();
    let over: Vec<_> = calls
        .filter(|(name, count)| **count > bound.calls.get(*name).copied().unwrap_or_default())
        .collect();
    let is_over = fuel > bound.fuel || !over.is_empty();
    ensure!(
        !is_over,
        "{what}: fuel {fuel} of {}, and more calls than listed: {over:?}",
        bound.fuel
    );
    Ok(())
}

#[test]
fn the_module_is_small() -> Result<()> {
    let budgets = budgets()?;
    let bytes = wasm_tests::module()?.metadata()?.len();
    ensure!(bytes <= budgets.module_bytes, "{bytes} bytes, more than {}", budgets.module_bytes);
    Ok(())
}

#[test]
fn a_request_of_the_standard_set() -> Result<()> {
    let standard = Standard::read()?;
    let budgets = budgets()?;
    for (metrics, bound) in
        [("off", budgets.standard_set), ("counts", budgets.counts), ("full", budgets.full)]
    {
        let mut configuration = standard.configuration.clone();
        configuration["metrics"] = metrics.into();
        let (mut host, root) = start(&configuration)?;
        let fuel = fuel(&mut host, root, &standard)?;
        check(metrics, &mut host, fuel, &bound)?;
    }
    Ok(())
}

#[test]
fn each_field_that_a_request_pays_for() -> Result<()> {
    let standard = Standard::read()?;
    let budgets = budgets()?;
    let forced = json!({
        "queryParam": "split", "cookie": "split-force", "maxAge": "8h", "variants": ["canary"]
    });
    let claimed = json!([{"metadata": ["envoy.filters.http.jwt_authn", "payload", "sub"]}, {"cookie": "uid"}]);
    for (what, field, value, metrics, bound) in [
        ("a unit", "/unit", json!({"env": "KEY"}), "full", budgets.unit),
        ("baggage", "/baggage", json!(true), "off", budgets.baggage),
        ("an override", "/rules/2/override", forced, "off", budgets.overrides),
        ("metadata", "/rules/2/sticky/key", claimed, "off", budgets.metadata),
    ] {
        let mut configuration = standard.configuration.clone();
        configuration["metrics"] = metrics.into();
        let (object, name) = field.rsplit_once('/').context("no field")?;
        configuration.pointer_mut(object).context(object)?[name] = value;
        let mut host = Host::load(&wasm_tests::module()?)?;
        host.world().environment.insert("KEY".into(), "k".repeat(32));
        let root = host.configure(configuration.to_string().as_bytes())?;
        let root = root.with_context(|| host.world().logged())?;
        let fuel = fuel(&mut host, root, &standard)?;
        println!("{fuel:>12} {what}");
        check(what, &mut host, fuel, &bound)?;
    }
    Ok(())
}

/// Envoy tells the filter of each part of a body, which it has no use for but for the last one.
#[test]
fn a_part_of_a_body_costs_a_fifth_of_a_request_at_most() -> Result<()> {
    let standard = Standard::read()?;
    for metrics in ["off", "full"] {
        let mut configuration = standard.configuration.clone();
        configuration["metrics"] = metrics.into();
        let (mut host, root) = start(&configuration)?;
        let request = fuel(&mut host, root, &standard)?;
        for is_last in [false, true] {
            let stream = host.upload(root, &standard.headers())?;
            let before = host.instructions()?;
            host.body(stream, 16_384, is_last)?;
            let part = host.instructions()? - before;
            println!("{metrics}: a part of a body {part}, the last one {is_last}, of {request}");
            ensure!(part * 5 <= request, "{metrics}: fuel {part}, last one {is_last}");
            host.close(stream)?;
        }
    }
    Ok(())
}

/// A place in a route is one hash more than a key's, and weights are one for each variant.
#[test]
fn weights_in_the_route_cost_no_more_than_weights_in_the_rule() -> Result<()> {
    let standard = Standard::read()?;
    let of = |configuration: &Value| -> Result<u64> {
        let (mut host, root) = start(configuration)?;
        Ok(exchange(&mut host, root, &standard.headers())?.0)
    };
    let (weighted, by_route) = (of(&standard.configuration)?, of(&standard.by_route())?);
    println!("weights in the rule {weighted}, in the route {by_route}");
    ensure!(by_route <= weighted, "fuel {by_route}, more than {weighted}");
    Ok(())
}

#[test]
fn a_new_client_and_one_that_returns() -> Result<()> {
    let standard = Standard::read()?;
    let budgets = budgets()?;
    let mut configuration = standard.configuration.clone();
    let rule = &mut configuration["rules"][2];
    let signing = json!({ "env": "KEYS" });
    rule["sticky"] = json!({ "issue": { "cookie": "id", "maxAge": "30d", "signing": signing } });
    rule["persist"] = json!({ "cookie": "kept", "maxAge": "1h", "signing": signing });
    let mut host = Host::load(&wasm_tests::module()?)?;
    host.world().environment.insert("KEYS".into(), "k".repeat(32));
    let root = host.configure(configuration.to_string().as_bytes())?;
    let root = root.with_context(|| host.world().logged())?;
    let mut headers = standard.headers();
    let (fuel, answer) = exchange(&mut host, root, &headers)?;
    check("a new client", &mut host, fuel, &budgets.new_client)?;
    let set = answer.iter().filter(|(name, _)| name == b"set-cookie");
    let mut cookies = Vec::new();
    for (_, value) in set {
        cookies.extend(value.split(|b| *b == b';').next().map(<[u8]>::to_vec));
    }
    ensure!(cookies.len() == 2, "{answer:?}");
    headers.push((b"cookie".to_vec(), cookies.join(&b"; "[..])));
    let (fuel, answer) = exchange(&mut host, root, &headers)?;
    ensure!(answer.len() == 1, "{answer:?}");
    check("a client who returns", &mut host, fuel, &budgets.returning_client)
}

#[test]
fn a_rule_with_a_flag_engine() -> Result<()> {
    let standard = Standard::read()?;
    let bound = budgets()?.engine_over_standard;
    let of = |configuration: &Value| -> Result<f64> {
        let (mut host, root) = start(configuration)?;
        Ok(fuel(&mut host, root, &standard)? as f64)
    };
    let without = of(&standard.configuration)?;
    for (name, configuration) in standard.engines() {
        let ratio = of(&configuration)? / without;
        println!("{ratio:>12.3} {name} over the standard set");
        ensure!(ratio <= bound, "{name}: {ratio:.3} of the standard set, more than {bound}");
    }
    Ok(())
}

#[test]
fn many_rules_and_long_lists() -> Result<()> {
    let standard = Standard::read()?;
    let bound = budgets()?;
    let above = |many: &Value, one: &Value| -> Result<u64> {
        let of = |configuration| -> Result<u64> {
            let (mut host, root) = start(configuration)?;
            fuel(&mut host, root, &standard)
        };
        Ok(of(many)?.saturating_sub(of(one)?))
    };
    let rules = above(&standard.rules(1000), &standard.rules(1))?;
    let list = above(&standard.list(10_000), &standard.exact())?;
    println!("{rules:>12} 1,000 rules above one\n{list:>12} 10,000 values above one");
    ensure!(rules <= bound.thousand_rules_above_one, "1,000 rules: {rules} above one");
    ensure!(list <= bound.list_above_exact, "10,000 values: {list} above one");
    Ok(())
}

/// 10^5 requests; `REQUESTS=1000000` for more.
#[test]
fn memory_stays_flat() -> Result<()> {
    let requests = std::env::var("REQUESTS").map_or(Ok(100_000), |text| text.parse::<u32>())?;
    let standard = Standard::read()?;
    let bound = budgets()?.memory_bytes;
    let headers = standard.headers();
    for (configuration, requests, bound) in [
        (&standard.configuration, requests, bound.standard_set),
        (&standard.rules(1000), 1000, bound.thousand_rules),
    ] {
        let (mut host, root) = start(configuration)?;
        for _ in 0..requests {
            host.request(root, &headers)?;
        }
        let memory = host.memory()?;
        ensure!(memory <= bound, "{memory} bytes after {requests} requests, more than {bound}");
    }
    Ok(())
}
