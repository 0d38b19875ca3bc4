//! However the harness ends, it leaves no process behind.

use anyhow::Result;
use std::process::Command;
use wasm_tests::find;
use wasm_tests::session::Session;

fn start(command: &str) -> Result<Session> {
    // Installed beforehand: then every step here takes snapshots.
    find::launcher()?;
    let mut program = Command::new(env!("CARGO_BIN_EXE_wasm-tests"));
    program.arg(command);
    Session::start(program)
}

fn assert_envoy_runs(session: &Session) -> Result<()> {
    let processes = session.processes()?;
    assert!(processes.iter().any(|line| line.contains("--admin-address-path")), "{processes:?}");
    Ok(())
}

#[test]
fn ctrl_c_in_the_middle_of_the_demo() -> Result<()> {
    let mut session = start("demo")?;
    session.wait_for_error("Sending ")?;
    assert_envoy_runs(&session)?;
    session.signal("INT")?;
    let (status, printed) = session.finish()?;
    assert_eq!(status.code(), Some(130), "{printed}");
    session.wait_until_gone()
}

#[test]
fn ctrl_c_and_terminate_in_the_run() -> Result<()> {
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let mut session = start("run")?;
        session.wait_for_output("Ctrl-C ends it.")?;
        assert_envoy_runs(&session)?;
        session.signal(signal)?;
        let (status, printed) = session.finish()?;
        assert_eq!(status.code(), Some(code), "{signal}: {printed}");
        session.wait_until_gone()?;
    }
    Ok(())
}

#[test]
fn killed_outright() -> Result<()> {
    let mut session = start("run")?;
    session.wait_for_output("Ctrl-C ends it.")?;
    assert_envoy_runs(&session)?;
    session.signal("KILL")?;
    session.finish()?;
    session.wait_until_gone()
}
