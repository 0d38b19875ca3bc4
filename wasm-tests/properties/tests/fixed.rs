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
    let kept = properties::regressions(name);
    for file in &kept {
        println!("{}", file.display());
        property(&std::fs::read(file).expect("a regression"));
    }
    let told = properties::sequence(0..inputs()).filter(|bytes| property(bytes)).count() as u64;
    // Where nearly no input is taken or decided, the property asserts nearly nothing.
    assert!(100 * told >= inputs(), "{name}: {told} of {} inputs", inputs());
    println!("{name}: {} inputs, {told} of them telling, and {} regressions", inputs(), kept.len());
}

#[test]
fn every_folder_of_regressions_is_a_propertys() {
    for folder in std::fs::read_dir(properties::REGRESSIONS).expect("a folder") {
        let name = folder.expect("an entry").file_name();
        assert!(properties::ALL.iter().any(|(known, _)| name == *known), "{name:?}");
    }
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
fn importer() {
    holds("importer");
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
