//! `wasm-tests/faults.json` has every fault, and every test that it names exists.

use std::fs;

use properties::named::{exists, read, root};
use serde_json::Value;

const ROWS: u64 = 49;

#[test]
fn every_row_has_its_tests() {
    let rows: Vec<Value> = serde_json::from_str(&read("wasm-tests/faults.json")).expect("JSON");
    let numbers: Vec<_> = rows.iter().filter_map(|row| row["row"].as_u64()).collect();
    assert_eq!(numbers, (1..=ROWS).collect::<Vec<_>>());
    for row in rows {
        assert!(row["fault"].is_string(), "{row}");
        let tests = row["tests"].as_array().cloned().unwrap_or_default();
        assert_ne!(tests.is_empty(), row["untested"].is_null(), "tests or a reason: {row}");
        for test in tests.iter().map(|test| test.as_str().unwrap_or_default()) {
            assert!(exists(test), "row {}: there is no {test}", row["row"]);
        }
    }
}

/// A test that says it is of a row is named there.
#[test]
fn every_test_of_a_row_is_in_the_map() {
    let map = read("wasm-tests/faults.json");
    let mut found = 0;
    let mut folders = vec![root().join("wasm-tests/tests"), root().join("wasm-tests/properties")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("a file").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap_or_default();
            let names = text.lines().filter_map(|line| {
                let line = line.strip_prefix("async ").unwrap_or(line);
                line.strip_prefix("fn row")?.split('(').next()
            });
            for name in names {
                let test = format!("::row{name}\"");
                assert!(map.contains(&test), "{}: row{name} is in no row", path.display());
                found += 1;
            }
        }
    }
    assert!(found > 30, "only {found} tests");
}

/// Clippy refuses them by `.clippy.toml`; here it is seen that it is told of all that there are.
#[test]
fn row_04_no_api_that_unwraps_utf8_is_used() {
    let forbidden = read(".clippy.toml");
    let mut names: Vec<String> = vec!["get_map".into(), "get_map_value".into()];
    for of in ["request", "response"] {
        for what in ["headers", "header", "trailers", "trailer"] {
            names.push(format!("get_http_{of}_{what}"));
        }
    }
    let mut sources = vec![root().join("src")];
    while let Some(path) = sources.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(path).expect("a folder");
            sources.extend(entries.map(|entry| entry.expect("a file").path()));
            continue;
        }
        let text = fs::read_to_string(&path).expect("text");
        for name in &names {
            let called = text.contains(&format!("{name}("));
            assert!(!called, "{} calls {name}", path.display());
        }
    }
    for name in &names {
        assert!(forbidden.contains(&format!("::{name}\"")), ".clippy.toml: {name}");
    }
}
