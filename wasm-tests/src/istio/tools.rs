//! Istio's programs and those it needs, built from the Go modules that `istio/go.mod` pins.

use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The programs, under `target/istio/bin`.
#[derive(Clone, Debug)]
pub struct Tools {
    bin: PathBuf,
}

impl Tools {
    /// Builds what is not built yet. Go's own cache makes a second time cheap.
    pub fn install() -> Result<Self> {
        ensure!(
            crate::find::which("go").is_some(),
            "`go` is not on the search path: Istio's programs are built from their Go modules \
             (Go 1.26 or newer)"
        );
        let bin = crate::target().join("istio/bin");
        fs::create_dir_all(&bin)?;
        let lock = File::create(crate::target().join("istio/lock"))?;
        lock.lock().context("waiting for another process that builds Istio")?;
        if !bin.join("server").exists() {
            crate::say(
                "Building Istio, the Kubernetes API server, etcd and crane from their Go modules \
                 into target/istio, once: minutes ...",
            );
        }
        let status = Command::new("go")
            .args(["install", "-ldflags", "-s -w", "tool"])
            .current_dir(source())
            .env("GOBIN", &bin)
            .status()?;
        ensure!(status.success(), "go install: {status}");
        Ok(Self { bin })
    }

    /// The path of a program.
    pub fn path(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// Runs one; what it prints, or an error with what it says is wrong.
    pub fn run(&self, name: &str, arguments: &[&str]) -> Result<String> {
        output(Command::new(self.path(name)).args(arguments))
    }
}

/// The folder that Go keeps a pinned module's files in.
pub fn module(path: &str) -> Result<PathBuf> {
    let mut command = Command::new("go");
    command.args(["list", "-m", "-f", "{{.Dir}}", path]).current_dir(source());
    Ok(PathBuf::from(output(&mut command)?.trim_end()))
}

/// Runs a program of `istio/` on an input, and returns its output.
pub fn go_run(package: &str, input: &str) -> Result<String> {
    let mut file = tempfile::tempfile()?;
    file.write_all(input.as_bytes())?;
    file.rewind()?;
    let mut command = Command::new("go");
    output(command.args(["run", package]).current_dir(source()).stdin(file))
}

/// Runs a command and returns its output; if it fails, the error holds all that it printed.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "{command:?}: {}\n{text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(text)
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("istio")
}
