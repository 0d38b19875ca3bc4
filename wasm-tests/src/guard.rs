//! A child process that never outlives us, even if we are killed.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};

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
pub struct Guarded(Child);

impl Guarded {
    /// Starts `program`, in a process group of its own so that a terminal's Ctrl-C reaches us
    /// first. What it prints goes to `output`.
    pub fn spawn<A: AsRef<OsStr>>(
        program: impl AsRef<OsStr>,
        arguments: impl IntoIterator<Item = A>,
        output: &File,
    ) -> io::Result<Self> {
        Command::new("sh")
            .args(["-c", SCRIPT, "guard"])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output.try_clone()?)
            .process_group(0)
            .spawn()
            .map(Self)
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.0.try_wait()
    }

    /// Asks it to end, and waits until it has.
    pub fn end(&mut self) -> io::Result<ExitStatus> {
        drop(self.0.stdin.take());
        self.0.wait()
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.end();
    }
}
