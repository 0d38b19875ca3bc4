//! `make compat`: the suite on every minor version of Envoy that is supported, as a table.

use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

/// The newest wheel of each minor version that has V8 (that of 1.38.3 has not), and the Istio
/// release whose proxy is built from that minor version.
const VERSIONS: [(&str, &str); 5] = [
    ("1.36.4", "1.28"),
    ("1.37.0", "1.29"),
    ("1.38.2", "1.30"),
    ("1.39.3", "1.31"),
    ("1.40.0", "none yet"),
];

/// The tests that a version of Envoy can fail. The others run without one, try the tools, or say
/// again for many users and for long what these say.
const SUITE: [&str; 30] = [
    "baggage",
    "bypass",
    "cases",
    "chain",
    "cookies",
    "exposures",
    "faults",
    "front_end",
    "guards",
    "hold",
    "identity",
    "keys",
    "layers",
    "manifest",
    "metrics",
    "new_users",
    "overrides",
    "persist",
    "protocols",
    "proven",
    "random",
    "refusal",
    "reruns",
    "responses",
    "route_weights",
    "shadow",
    "sticky",
    "variant_header",
    "vectors",
    "weights",
];

/// The table's first lines.
const HEADER: &str = "| Envoy | Istio that ships it | Result |\n|---|---|---|";

fn main() -> Result<ExitCode> {
    let folder = wasm_tests::target().join("compat");
    fs::create_dir_all(&folder)?;
    let mut rows = Vec::new();
    for (envoy, istio) in VERSIONS {
        eprintln!("Running the suite on Envoy {envoy} ...");
        let log = folder.join(format!("{envoy}.log"));
        let good = suite(envoy, &log)?;
        let (passed, failed) = count(&fs::read_to_string(&log)?);
        ensure!(passed > 0, "no test ran: {}", log.display());
        let result = match (good, failed) {
            (true, 0) => format!("{passed} tests pass"),
            _ => format!("FAILED: {failed} of {}, target/compat/{envoy}.log", passed + failed),
        };
        rows.push((envoy, istio, result, good));
    }
    println!("{HEADER}");
    for (envoy, istio, result, _) in &rows {
        println!("| {envoy} | {istio} | {result} |");
    }
    let good = rows.iter().all(|(.., good)| *good);
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the suite; whether it passed. The names of the test programs are printed as they start.
fn suite(version: &str, log: &Path) -> Result<bool> {
    let envoy = wasm_tests::find::install(version)?;
    let mut file = File::create(log)?;
    let mut cargo = Command::new("cargo")
        .args(["test", "--package", "wasm-tests", "--no-fail-fast"])
        .args(SUITE.iter().flat_map(|test| ["--test", *test]))
        .current_dir(wasm_tests::root())
        .env("ENVOY", envoy)
        .env_remove("FUNC_E")
        .stdout(file.try_clone()?)
        .stderr(Stdio::piped())
        .spawn()
        .context("cargo")?;
    for line in BufReader::new(cargo.stderr.take().context("cargo has no stderr")?).lines() {
        let line = line?;
        writeln!(file, "{line}")?;
        if let Some(program) = line.trim_start().strip_prefix("Running ") {
            let program = program.split(" (").next().unwrap_or_default();
            eprintln!("  Envoy {version}: {program}");
        }
    }
    Ok(cargo.wait()?.success())
}

/// The sums of cargo's closing lines: `test result: ok. 3 passed; 0 failed; ...`.
fn count(log: &str) -> (u64, u64) {
    let number = |line: &str, what: &str| -> u64 {
        let before = line.split(what).next().unwrap_or_default().trim_end();
        before.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or_default()
    };
    let lines = log.lines().filter(|line| line.starts_with("test result:"));
    lines.fold((0, 0), |(passed, failed), line| {
        (passed + number(line, "passed"), failed + number(line, "failed"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// README's table is what this printed when it last ran: these versions, and no failure.
    #[test]
    fn readme_lists_these_versions() -> Result<()> {
        let readme = fs::read_to_string(wasm_tests::root().join("README.md"))?;
        let table = readme.split_once(HEADER).context("README has no such table")?.1;
        let rows: Vec<_> = table.lines().skip(1).take_while(|line| line.starts_with('|')).collect();
        assert_eq!(rows.len(), VERSIONS.len(), "{rows:?}");
        for (row, (envoy, istio)) in rows.iter().zip(VERSIONS) {
            assert!(row.starts_with(&format!("| {envoy} | {istio} | ")), "{row}");
            assert!(row.ends_with(" tests pass |"), "{row}");
        }
        Ok(())
    }

    #[test]
    fn cargos_closing_lines_are_summed_up() {
        let log = "test a ... ok\n\
            test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n\
            test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(count(log), (13, 2));
    }
}
