//! Every property, on a fixed sequence of inputs and on those that once broke one.

use std::env;

/// Inputs for each property; a release build tries some 10^7 a minute:
/// `INPUTS=10000000 cargo test --release --package properties -- --nocapture`.
const INPUTS: u64 = 10_000;

fn inputs() -> u64 {
    env::var("INPUTS").map_or(INPUTS, |text| text.parse().expect("INPUTS must be a number"))
}

fn holds(name: &str) {
    let (_, property) = properties::ALL.iter().find(|(known, _)| *known == name).expect(name);
    let kept = properties::regressions(name).unwrap_or_default();
    for file in &kept {
        println!("{}", file.display());
        property(&std::fs::read(file).expect("a regression"));
    }
    properties::sequence(0..inputs()).for_each(|bytes| property(&bytes));
    println!("{name}: {} inputs and {} regressions", inputs(), kept.len());
}

#[test]
fn configuration() {
    holds("configuration");
}

#[test]
fn cookies() {
    holds("cookies");
}

#[test]
fn matching() {
    holds("matching");
}

#[test]
fn records() {
    holds("records");
}

#[test]
fn requests() {
    holds("requests");
}
