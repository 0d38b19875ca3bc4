//! The demo through func-e, which runs Envoy in its place.

use anyhow::{Context, Result, ensure};
use std::env;
use std::path::PathBuf;
use std::process::Command;
use wasm_tests::find;
use wasm_tests::session::Session;

const MODULE: &str = "github.com/tetratelabs/func-e/cmd/func-e@v1.6.0";

/// func-e: the one that `FUNC_E` names, or one that Go builds into `target/`.
fn func_e() -> Result<PathBuf> {
    if let Some(path) = env::var_os("FUNC_E") {
        return Ok(path.into());
    }
    let folder = wasm_tests::target().join("func-e");
    let program = folder.join("func-e");
    if program.is_file() {
        return Ok(program);
    }
    let go = find::which("go").context("`go`, which builds func-e, is not on the search path")?;
    wasm_tests::say("Installing func-e by Go into target/, once ...");
    let status = Command::new(go).args(["install", MODULE]).env("GOBIN", &folder).status()?;
    ensure!(status.success(), "go install {MODULE}: {status}");
    Ok(program)
}

fn start(func_e: &PathBuf, command: &str) -> Result<Session> {
    // Without one, func-e would download an Envoy.
    let envoy = match env::var_os("ENVOY") {
        Some(envoy) => envoy.into(),
        None => find::install(&find::version())?,
    };
    let mut program = Command::new(env!("CARGO_BIN_EXE_wasm-tests"));
    program.arg(command).env("FUNC_E", func_e).env("ENVOY", envoy);
    let home = wasm_tests::target().join("func-e/home");
    for variable in ["CONFIG_HOME", "DATA_HOME", "STATE_HOME", "RUNTIME_DIR"] {
        program.env(format!("FUNC_E_{variable}"), home.join(variable.to_lowercase()));
    }
    Session::start(program)
}

#[test]
fn runs_the_demo_and_ends_with_it() -> Result<()> {
    let func_e = func_e()?;
    let mut session = start(&func_e, "demo")?;
    let (status, printed) = session.finish()?;
    assert!(status.success(), "{printed}");
    let name = func_e.to_str().context("the path is not UTF-8")?;
    assert!(printed.contains(&format!("Starting {name} with")), "{printed}");
    session.wait_until_gone()?;

    for signal in ["TERM", "KILL"] {
        let mut session = start(&func_e, "run")?;
        session.wait_for_output("Ctrl-C ends it.")?;
        let processes = session.processes()?;
        // Itself, and the Envoy that it has started.
        let running = |part: &str| processes.iter().any(|line| line.contains(part));
        assert!(running("--envoy-path") && running("/envoy -c "), "{processes:#?}");
        session.signal(signal)?;
        session.finish()?;
        session.wait_until_gone()?;
    }
    Ok(())
}
