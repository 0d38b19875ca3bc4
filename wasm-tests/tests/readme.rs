//! What README says is so: its configurations compile, its outputs are what the programs print.

use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use wasm_tests::readme::{blocks, steady};
use wasm_tests::session::Session;
use wasm_tests::{case, native, root};

#[test]
fn every_configuration_compiles() -> Result<()> {
    for text in blocks("yaml")? {
        let config: serde_json::Value = serde_saphyr::from_str(&text).context(text.clone())?;
        native::plan(&config.to_string()).context(text)?;
    }
    Ok(())
}

/// The messages that are explained are messages of the filter, letter by letter.
#[test]
fn every_error_is_one_that_is_tested() -> Result<()> {
    let known: BTreeSet<String> =
        case::refused()?.into_iter().flat_map(|refused| refused.errors).collect();
    let mut found = 0;
    for line in blocks("text")?.iter().flat_map(|text| text.lines()) {
        if [": Invalid value: ", ": Required value: ", ": Unknown field: "]
            .iter()
            .any(|kind| line.contains(kind))
        {
            assert!(known.contains(line), "{line}");
            found += 1;
        }
    }
    assert!(found > 0);
    Ok(())
}

#[test]
fn every_target_is_there() -> Result<()> {
    let makefile = fs::read_to_string(root().join("Makefile"))?;
    let readme = fs::read_to_string(root().join("README.md"))?;
    let mentioned = readme.split("`make ").skip(1).chain(readme.split("$ make ").skip(1));
    let word = |text: &str| -> String {
        text.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect()
    };
    let targets: BTreeSet<_> = mentioned.map(word).collect();
    for target in &targets {
        assert!(makefile.contains(&format!("\n{target}:")), "make {target}");
    }
    assert!(targets.len() > 3, "{targets:?}");
    Ok(())
}

/// What `splitctl` prints there is part of a transcript that its own test runs; `tests/monitoring/`
/// has a Prometheus for `splitctl watch`.
#[test]
fn every_answer_of_splitctl_is_one_that_is_tested() -> Result<()> {
    let mut transcripts = String::new();
    for file in fs::read_dir(root().join("wasm-tests/splitctl"))? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            transcripts.push_str(&fs::read_to_string(path)?);
        }
    }
    let consoles = blocks("console")?;
    let shown = consoles.iter().filter(|text| text.starts_with("$ splitctl "));
    let shown: Vec<_> = shown.filter(|text| !text.starts_with("$ splitctl watch ")).collect();
    assert!(!shown.is_empty());
    for text in shown {
        assert!(transcripts.contains(text.as_str()), "{text}");
    }
    Ok(())
}

#[test]
fn the_demo_prints_what_is_shown() -> Result<()> {
    let consoles = blocks("console")?;
    let shown = consoles.iter().find_map(|text| text.strip_prefix("$ make demo\n"));
    let shown = steady(shown.context("no demo")?.split("\n$ ").next().unwrap_or_default());
    let mut command = Command::new(env!("CARGO_BIN_EXE_wasm-tests"));
    command.arg("demo").current_dir(root());
    let (status, printed) = Session::start(command)?.finish()?;
    assert!(status.success(), "{printed}");
    let printed = steady(&printed);
    assert!(shown.len() > 5, "{shown:?}");
    let texts = blocks("text")?;
    let guard = texts.iter().find(|text| text.starts_with("second ")).context("no guard")?;
    for line in shown.into_iter().chain(steady(guard)) {
        assert!(printed.contains(&line), "{line}\nis not in\n{}", printed.join("\n"));
    }
    Ok(())
}
