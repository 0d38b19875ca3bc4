//! The native core by its parts: `cargo bench --package wasm-tests`.

use divan::{Bencher, black_box};
use serde_json::Value;
use traffic_split::testing::FixedEnvironment;
use traffic_split::{Plan, Reason, Snapshot, decide};
use wasm_tests::native;
use wasm_tests::standard::Standard;

fn main() {
    divan::main();
}

fn standard() -> Standard {
    Standard::read().expect("bench/standard.json")
}

fn plan(configuration: &Value) -> Plan {
    Plan::compile(configuration.to_string().as_bytes(), &|_| None).expect("a configuration")
}

/// Configuration bytes to a plan.
#[divan::bench(args = [1, 1000])]
fn parse(bencher: Bencher<'_, '_>, rules: usize) {
    let bytes = standard().rules(rules).to_string();
    bencher.bench(|| assert!(Plan::compile(black_box(bytes.as_bytes()), &|_| None).is_ok()));
}

/// Rules that miss, and the split behind them.
#[divan::bench(args = [1, 3, 10, 100, 1000])]
fn match_rules(bencher: Bencher<'_, '_>, rules: usize) {
    decided(bencher, &standard().rules(rules), "rollout");
}

/// One list of so many values that misses.
#[divan::bench(args = [1, 10_000])]
fn match_list(bencher: Bencher<'_, '_>, values: usize) {
    decided(bencher, &standard().list(values), "rollout");
}

/// The standard set.
#[divan::bench]
fn decide_standard(bencher: Bencher<'_, '_>) {
    decided(bencher, &standard().configuration, "rollout");
}

/// The standard set with its split by a flag engine.
#[divan::bench(args = ["flagd", "growthbook", "launchdarkly", "nginx", "posthog", "unleash"])]
fn decide_engine(bencher: Bencher<'_, '_>, engine: &str) {
    let engines = standard().engines();
    let named = engines.iter().find(|(name, _)| *name == engine).expect("an engine");
    decided(bencher, &named.1, "rollout");
}

/// A key to a variant: the hashes and logarithms of three variants, and the cookie they need.
#[divan::bench]
fn hash(bencher: Bencher<'_, '_>) {
    let standard = standard();
    let plan = plan(&standard.rules(1));
    let snapshot = Snapshot::new(&plan, 0);
    let message = standard.message();
    let request = native::request(&message);
    bencher.bench_local(|| {
        let decision = decide(
            black_box(&plan),
            &snapshot,
            black_box(&request),
            &mut FixedEnvironment::default(),
        );
        assert!(matches!(decision.reason(), Reason::Sticky));
    });
}

fn decided(bencher: Bencher<'_, '_>, configuration: &Value, rule: &str) {
    let plan = plan(configuration);
    let snapshot = Snapshot::new(&plan, 0);
    let message = standard().message();
    let request = native::request(&message);
    bencher.bench_local(|| {
        let decision = decide(
            black_box(&plan),
            &snapshot,
            black_box(&request),
            &mut FixedEnvironment::default(),
        );
        assert_eq!(decision.rule(), Some(rule));
    });
}
