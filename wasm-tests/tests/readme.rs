//! What the documents say is so: their configurations compile, their outputs are what the programs
//! print, and their links lead somewhere.

use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use wasm_tests::readme::{self, Block, DOCUMENTS, blocks, steady};
use wasm_tests::session::Session;
use wasm_tests::{case, native, root, splitctl};

fn text(path: impl AsRef<Path>) -> Result<String> {
    Ok(fs::read_to_string(root().join(path))?)
}

/// The paths of all documents in a folder.
fn documents(folder: &Path, found: &mut BTreeSet<String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            documents(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.insert(path.strip_prefix(root())?.display().to_string());
        }
    }
    Ok(())
}

#[test]
fn every_document_is_read() -> Result<()> {
    let mut found = BTreeSet::from(["README.md".to_owned()]);
    for folder in ["manifests", "src", "wasm-tests"] {
        documents(&root().join(folder), &mut found)?;
    }
    assert_eq!(found, DOCUMENTS.map(str::to_owned).into());
    Ok(())
}

/// Whoever tries one way in reads one page.
#[test]
fn the_page_of_each_way_in_is_short() -> Result<()> {
    for page in [
        "manifests/envoy.md",
        "manifests/envoy-gateway/README.md",
        "manifests/chart/README.md",
        "manifests/overlays/README.md",
        "src/dist/releases.md",
    ] {
        let lines = text(page)?.lines().count();
        ensure!(lines <= 100, "{page} has {lines} lines");
    }
    Ok(())
}

/// Each block is one that a test runs: one of those here, or the one that is named.
#[test]
fn every_block_is_run() -> Result<()> {
    for Block { document, language, text } in readme::all()? {
        let begins = |beginnings: &[&str]| beginnings.iter().any(|known| text.starts_with(known));
        let is_run = match language.as_str() {
            "yaml" => true,
            "console" => begins(&["$ splitctl ", "$ awk ", "$ make demo\n"]),
            // The picture is not run. The second is the demo's guard, the third a list of errors.
            "text" => text.contains('┌') || begins(&["second ", "rules["]),
            "sh" if document == "manifests/engines/README.md" => true, // `tests/agreement.rs`
            "sh" if document == "src/dist/releases.md" => true,        // `tests/release/main.rs`
            "sh" if document == "manifests/envoy.md" => true,          // `tests/standalone.rs`
            // `tests/istio/`: `readme.rs`, and the file of the controller; `istio_manifests/pipelines.rs`.
            "sh" => document == "README.md" || in_the_mesh(document),
            // `tests/exposures.rs`
            "sql" => document == "manifests/monitoring/experiments.md",
            // `tests/monitoring/main.rs`
            "promql" => document == "manifests/monitoring/README.md",
            // Doctests of what includes the document.
            "diff" => document == "manifests/istio/existing.md", // `tests/istio/existing.rs`
            "js" => document == "src/frontend.md",               // `tests/browser/`
            "rust" => included(document)?,
            _ => false,
        };
        ensure!(is_run, "{document}: no test runs this block of {language}\n{text}");
    }
    Ok(())
}

/// Whether this document's commands are run in the mesh.
fn in_the_mesh(document: &str) -> bool {
    ["argo-rollouts", "chart", "envoy-gateway", "flagger", "istio", "overlays"]
        .iter()
        .any(|folder| document == format!("manifests/{folder}/README.md"))
}

/// Links to files and folders of the repository, and to headings.
#[test]
fn every_link_leads_somewhere() -> Result<()> {
    let mut count = 0;
    for document in DOCUMENTS {
        let all = text(document)?;
        let targets = all.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.starts_with("https://")) {
            let (path, heading) = target.split_once('#').unwrap_or((target, ""));
            let folder = Path::new(document).parent().context("no folder")?;
            let path = if path.is_empty() { document.into() } else { folder.join(path) };
            ensure!(root().join(&path).exists(), "{document}: no {target}");
            let known = heading.is_empty() || headings(&text(path)?).contains(heading);
            ensure!(known, "{document}: no heading {target}");
            count += 1;
        }
    }
    assert!(count > 20, "{count}");
    Ok(())
}

/// The names of a document's headings in links.
fn headings(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let letters = |c: &char| c.is_alphanumeric() || *c == '-';
    let name = |line: &str| -> String {
        let line = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        line.chars().filter(letters).collect()
    };
    headings.map(name).collect()
}

/// Whether the library's documentation has this document in it.
fn included(document: &str) -> Result<bool> {
    let Some(name) = document.strip_prefix("src/") else { return Ok(false) };
    let include = format!("doc = include_str!(\"{name}\")]");
    Ok(text("src/lib.rs")?.contains(&include) || text("src/config.rs")?.contains(&include))
}

/// README's commands are among those of the pages, which tests run.
#[test]
fn every_command_is_one_that_is_tested() -> Result<()> {
    let mut blocks = readme::all()?;
    blocks.retain(|block| block.language == "sh");
    let (ours, tested): (Vec<_>, Vec<_>) =
        blocks.iter().partition(|block| block.document == "README.md");
    let tested: Vec<_> =
        tested.iter().flat_map(|block| block.text.lines()).map(str::trim).collect();
    assert!(!ours.is_empty());
    for line in ours.iter().flat_map(|block| block.text.lines()) {
        assert!(tested.contains(&line), "{line}");
    }
    Ok(())
}

/// The beginning of a pipeline's job.
const JOB: &str = "# A job of GitHub Actions";

/// A job runs commands that a transcript has.
#[test]
fn every_job_runs_what_is_tested() -> Result<()> {
    let (jobs, transcripts) = (blocks("yaml")?, transcripts()?);
    let lines = jobs.iter().filter(|text| text.starts_with(JOB)).flat_map(|text| text.lines());
    let commands = lines.filter_map(|line| line.trim().strip_prefix("- run: splitctl "));
    let commands: Vec<_> = commands.filter_map(|line| line.split(" > ").next()).collect();
    assert!(!commands.is_empty());
    for command in commands {
        assert!(transcripts.contains(&format!("$ splitctl {command}\n")), "{command}");
    }
    Ok(())
}

#[test]
fn every_configuration_compiles() -> Result<()> {
    let mut configurations = blocks("yaml")?;
    let others = ["# Envoy's own configuration", JOB];
    configurations.retain(|text| !others.iter().any(|start| text.starts_with(start)));
    for text in configurations {
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
    let makefile = text("Makefile")?;
    let all = DOCUMENTS.iter().map(text).collect::<Result<String>>()?;
    let mentioned = all.split("`make ").skip(1).chain(all.split("$ make ").skip(1));
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

/// The README names the commands of `splitctl`, in the order of its help.
#[test]
fn every_command_of_splitctl_is_named() -> Result<()> {
    let help = Command::new(splitctl::program()?).arg("--help").output()?;
    let help = String::from_utf8(help.stdout)?;
    let (_, commands) = help.split_once("Commands:\n").context("no commands")?;
    let commands = commands.split("\n\n").next().unwrap_or_default().lines();
    // What stands further in goes on with the line above.
    let commands = commands.filter_map(|line| line.strip_prefix("  "));
    let commands = commands.filter_map(|line| line.split(' ').next());
    let commands: Vec<_> = commands.filter(|name| !["", "help"].contains(name)).collect();
    let readme = text("README.md")?;
    let line = readme.lines().find(|line| line.starts_with("- `splitctl --help`: "));
    let (named, _) = line.and_then(|line| line.split_once(". ")).context("no line")?;
    let named: Vec<_> = named.split('`').skip(3).step_by(2).collect();
    assert_eq!(named, commands);
    Ok(())
}

/// The transcripts that `tests/splitctl.rs` runs.
fn transcripts() -> Result<String> {
    let mut transcripts = String::new();
    for file in fs::read_dir(root().join("wasm-tests/splitctl"))? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            transcripts.push_str(&fs::read_to_string(path)?);
        }
    }
    Ok(transcripts)
}

/// `tests/monitoring/` has a Prometheus for `splitctl watch`.
#[test]
fn every_answer_of_splitctl_is_one_that_is_tested() -> Result<()> {
    let transcripts = transcripts()?;
    let consoles = blocks("console")?;
    let shown = consoles.iter().filter(|text| text.starts_with("$ splitctl "));
    let shown: Vec<_> = shown.filter(|text| !text.starts_with("$ splitctl watch ")).collect();
    assert!(!shown.is_empty());
    for text in shown {
        assert!(transcripts.contains(text.as_str()), "{text}");
    }
    Ok(())
}

/// The configurations of the jobs are the files that transcripts have.
#[test]
fn the_jobs_configurations_are_those_that_are_tested() -> Result<()> {
    let shown = blocks("yaml")?;
    for file in ["canary-job.yaml", "pricing-job.yaml"] {
        let file = text(Path::new("wasm-tests/splitctl").join(file))?;
        assert!(shown.contains(&file), "{file}");
    }
    Ok(())
}

/// The signed cookie of the wire contract is one that the filter accepts in a transcript.
#[test]
fn the_signed_cookie_is_accepted() -> Result<()> {
    let contract = text("src/wire-contract.md")?;
    let value = contract.lines().find_map(|line| line.trim().strip_prefix("\"AAECAwQFBgcICQoLDA"));
    let rest = value.and_then(|value| value.strip_suffix('"')).context("no signed cookie")?;
    assert!(transcripts()?.contains(&format!("'cookie: split-id=AAECAwQFBgcICQoLDA{rest}'")));
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
