//! Child processes: those that we wait for, and those that never outlive us, even if we are killed.

use crate::wait::eventually;
use anyhow::{Context, Result, anyhow, ensure};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

/// Runs a command to its end.
///
/// # Errors
/// It cannot be started, or fails.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{command:?}"))?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}

/// The shell holds the reading end of a pipe whose writing end is ours alone. The kernel closes it
/// when we end, however we end; the child is then asked to end, and killed with its process group
/// if it has not done so within 10 seconds.
const SCRIPT: &str = r#"
exec 3<&0
"$@" 3<&- </dev/null &
child=$!
(
    read -r _ <&3
    kill -TERM "$child"
    for _ in $(seq 100); do
        kill -0 "$child" || exit
        sleep 0.1
    done
    kill -KILL 0
) 2>/dev/null &
guard=$!
exec 3<&-
wait "$child"
status=$?
kill "$guard" 2>/dev/null
exit "$status"
"#;

/// A process that ends when this value is dropped.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program`, in a process group of its own so that a terminal's Ctrl-C reaches us
    /// first. What it prints goes to the file `log`.
    pub fn spawn<A: AsRef<OsStr>>(
        program: impl AsRef<OsStr>,
        arguments: impl IntoIterator<Item = A>,
        log: PathBuf,
    ) -> Result<Self> {
        let program = program.as_ref();
        let output = File::create(&log)?;
        let child = Command::new("sh")
            .args(["-c", SCRIPT, "guard"])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        Ok(Self { child, log })
    }

    /// Polls until `attempt` gives a value, as [`eventually`] does; an error at once if the process
    /// ends instead. Either error holds what the process has printed.
    pub async fn until<T>(
        &mut self,
        what: &str,
        mut attempt: impl AsyncFnMut() -> Result<T>,
    ) -> Result<T> {
        let outcome = eventually(what, async || match self.ended()? {
            Some(status) => Ok(Err(anyhow!("{what} ended with {status}:\n{}", self.log()))),
            None => attempt().await.map(Ok),
        });
        outcome.await.with_context(|| self.log())?
    }

    /// The output so far.
    pub fn log(&self) -> String {
        read(&self.log)
    }

    /// The file that it prints to.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Asks it to end, and waits until it has.
    pub fn end(&mut self) -> io::Result<ExitStatus> {
        drop(self.child.stdin.take());
        self.child.wait()
    }
}

/// The text of a file; empty where there is none.
pub(crate) fn read(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.end();
    }
}
