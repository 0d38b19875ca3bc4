//! The keys of clients, made up or read from a file.

use std::fmt::Write;
use std::fs;
use std::io::{self, Read};

use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::{HumanCount, ProgressBar, ProgressFinish, ProgressIterator};

/// The clients whose assignment is counted.
#[derive(Args)]
pub struct Keys {
    /// The number of keys: user-0, user-1, and so on
    #[arg(long, value_name = "N", default_value_t = 1_000_000, conflicts_with = "keys_from",
          value_parser = clap::value_parser!(u64).range(1..))]
    keys: u64,
    /// A file with a key on each line, or - for standard input
    #[arg(long, value_name = "FILE")]
    keys_from: Option<String>,
}

/// Keys that are ready to be assigned.
pub enum Source {
    Sequence(u64),
    Lines(Vec<u8>),
}

impl Keys {
    pub fn read(&self) -> Result<Source> {
        let Some(path) = &self.keys_from else { return Ok(Source::Sequence(self.keys)) };
        let mut bytes = Vec::new();
        let read = match path.as_str() {
            "-" => io::stdin().read_to_end(&mut bytes).map(|_| ()),
            path => fs::read(path).map(|read| bytes = read),
        };
        read.with_context(|| format!("cannot read keys from {path}"))?;
        let source = Source::Lines(bytes);
        if source.count() == 0 {
            bail!("{path} has no keys: give one a line");
        }
        Ok(source)
    }
}

impl Source {
    pub fn count(&self) -> u64 {
        match self {
            Source::Sequence(count) => *count,
            Source::Lines(bytes) => lines(bytes).count() as u64,
        }
    }

    /// The number of keys and where they are from, in words.
    pub fn title(&self) -> String {
        match self {
            Source::Sequence(1) => "1 key, user-0".into(),
            Source::Sequence(n) => format!("{} keys, user-0 to user-{}", HumanCount(*n), n - 1),
            Source::Lines(_) => format!("{} keys", HumanCount(self.count())),
        }
    }

    /// Calls `take` on each key, and shows the progress on a terminal.
    pub fn for_each(&self, mut take: impl FnMut(&[u8])) {
        let progress = ProgressBar::new(self.count()).with_finish(ProgressFinish::AndClear);
        match self {
            Source::Sequence(count) => {
                let mut key = String::new();
                for number in (0..*count).progress_with(progress) {
                    key.clear();
                    // Writing to a String cannot fail.
                    let _ = write!(key, "user-{number}");
                    take(key.as_bytes());
                }
            }
            Source::Lines(bytes) => lines(bytes).progress_with(progress).for_each(take),
        }
    }
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = bytes.split(|b| *b == b'\n');
    lines.map(<[u8]>::trim_ascii).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(source: &Source) -> Vec<String> {
        let mut keys = Vec::new();
        source.for_each(|key| keys.push(String::from_utf8(key.to_vec()).unwrap()));
        keys
    }

    #[test]
    fn sequences_and_lines() {
        assert_eq!(all(&Source::Sequence(3)), ["user-0", "user-1", "user-2"]);
        let lines = Source::Lines(b"a\r\n\nb \nc".to_vec());
        assert_eq!(all(&lines), ["a", "b", "c"]);
        assert_eq!(lines.title(), "3 keys");
    }
}
