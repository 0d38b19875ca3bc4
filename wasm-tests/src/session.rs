//! A program as a person runs it: started, interrupted, and what it leaves behind.

use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Every process of a session inherits this variable, which tells them from all others.
const MARK: &str = "WASM_TESTS_SESSION";
const PATIENCE: Duration = Duration::from_secs(60);

/// A running program with all that it starts.
pub struct Session {
    child: Child,
    mark: String,
}

impl Session {
    /// Starts it; what it prints is read by [`Session::wait_for`] and [`Session::finish`].
    pub fn start(mut command: Command) -> Result<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let mark = format!("{}-{number}", std::process::id());
        command.env(MARK, &mark).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(Self { child: command.spawn()?, mark })
    }

    /// Reads its standard output up to a line with this text.
    pub fn wait_for_output(&mut self, text: &str) -> Result<()> {
        wait_for(self.child.stdout.as_mut().context("no output")?, text)
    }

    /// Reads its standard error up to a line with this text.
    pub fn wait_for_error(&mut self, text: &str) -> Result<()> {
        wait_for(self.child.stderr.as_mut().context("no errors")?, text)
    }

    /// Sends it, and nothing that it started, a signal.
    pub fn signal(&self, name: &str) -> Result<()> {
        // The shell's own `kill`: a minimal system has no program of that name.
        let script = format!("kill -s {name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &script]).status()?;
        anyhow::ensure!(status.success(), "{script}: {status}");
        Ok(())
    }

    /// Waits for its end: how it ended, and what it still printed.
    pub fn finish(&mut self) -> Result<(ExitStatus, String)> {
        let mut text = String::new();
        if let Some(output) = &mut self.child.stdout {
            output.read_to_string(&mut text)?;
        }
        if let Some(errors) = &mut self.child.stderr {
            errors.read_to_string(&mut text)?;
        }
        Ok((self.child.wait()?, text))
    }

    /// The command lines of the processes of this session that are there now.
    pub fn processes(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for process in procfs::process::all_processes()?.flatten() {
            // A process that has ended meanwhile has no environment, and one of another user's
            // cannot be read: neither is ours.
            let environment = process.environ().unwrap_or_default();
            if environment.get(OsStr::new(MARK)).is_some_and(|mark| *mark == *self.mark) {
                found.push(process.cmdline().unwrap_or_default().join(" "));
            }
        }
        Ok(found)
    }

    /// Waits until no process of this session is left.
    pub fn wait_until_gone(&self) -> Result<()> {
        let started = Instant::now();
        loop {
            let left = self.processes()?;
            if left.is_empty() {
                return Ok(());
            }
            if started.elapsed() > PATIENCE {
                bail!("left behind: {left:#?}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_for(reader: &mut impl Read, text: &str) -> Result<()> {
    // One byte at a time: what comes after the line stays to be read.
    let mut reader = BufReader::with_capacity(1, reader);
    let mut printed = String::new();
    while reader.read_line(&mut printed)? > 0 {
        if printed.lines().next_back().is_some_and(|line| line.contains(text)) {
            return Ok(());
        }
    }
    bail!("`{text}` is not in what was printed:\n{printed}")
}
