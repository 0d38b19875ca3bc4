//! How far a long count is, on a terminal only.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// Keys between two looks at the clock.
const STRIDE: u64 = 1 << 16;

/// What is over sooner needs no bar.
const PATIENCE: Duration = Duration::from_millis(500);

pub struct Progress {
    done: u64,
    total: u64,
    /// None where nothing is to be shown.
    start: Option<Instant>,
    shown: bool,
}

impl Progress {
    pub fn new(total: u64) -> Self {
        let start = stderr().is_terminal().then(Instant::now);
        Progress { done: 0, total, start, shown: false }
    }

    pub fn step(&mut self) {
        self.done += 1;
        if self.done.is_multiple_of(STRIDE)
            && self.start.is_some_and(|start| start.elapsed() > PATIENCE)
        {
            let percent = self.done * 100 / self.total.max(1);
            let filled = "#".repeat((percent / 5) as usize);
            // A bar that cannot be shown is no reason to stop counting.
            let _ = write!(stderr(), "\r[{filled:<20}] {percent:>3} %");
            self.shown = true;
        }
    }
}

impl Drop for Progress {
    /// Leaves the line as it was: `\x1b[K` erases to its end (ECMA-48, EL).
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}
