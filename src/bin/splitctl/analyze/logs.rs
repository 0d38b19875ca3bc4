//! Access logs, line by line in bounded memory; several of them in the order of their times.

use std::collections::HashSet;
use std::fs::{self, File, Metadata};
use std::io::{self, BufRead, BufReader, Read as _};

use anyhow::{Context, Result, bail, ensure};
use flate2::bufread::MultiGzDecoder;
use indicatif::{ProgressBar, ProgressStyle};

/// The bytes of a log that are read at once.
const CHUNK: usize = 1 << 20;

/// The longest line. Envoy's own limit on a request's headers is 60 KiB.
const LONGEST: u64 = 1 << 20;

/// The first bytes of logs that are compressed: gzip (RFC 1952) and Zstandard (RFC 8878).
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTANDARD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The logs that are read together.
pub struct Logs {
    sources: Vec<Source>,
    progress: ProgressBar,
}

/// A log.
struct Source {
    name: String,
    reader: Box<dyn BufRead>,
    line: Vec<u8>,
    /// The number of the line, from 1.
    number: u64,
    /// The time of the line, or of one before it if it has none.
    time: String,
}

/// A line that is read: where it is, its time, and what it says.
pub struct Read<'l, T> {
    pub name: &'l str,
    pub number: u64,
    pub time: &'l str,
    pub what: T,
}

impl Logs {
    pub fn open(paths: &[String]) -> Result<Logs> {
        let mut known = HashSet::new();
        for path in paths {
            // A log that cannot be found is told below.
            let file = fs::canonicalize(path).unwrap_or_else(|_| path.into());
            ensure!(known.insert(file), "--log: {path} is given twice");
        }
        let progress = ProgressBar::new(0);
        let mut size = Some(0);
        let mut open = |path: &String| {
            let (reader, length): (Box<dyn io::Read>, _) = match path.as_str() {
                "-" => (Box::new(io::stdin()), None),
                path => {
                    let file = File::open(path).with_context(|| format!("cannot read {path}"))?;
                    let about = file.metadata().ok().filter(Metadata::is_file);
                    (Box::new(file), about.map(|about| about.len()))
                }
            };
            size = size.zip(length).map(|(size, length)| size + length);
            Source::new(path, progress.wrap_read(reader))
        };
        let sources = paths.iter().map(&mut open).collect::<Result<_>>()?;
        progress.set_style(style(if size.is_some() { "{wide_bar} {eta} " } else { "{spinner} " }));
        progress.set_length(size.unwrap_or(0));
        Ok(Logs { sources, progress })
    }

    /// Calls `read` on each line once, which writes the line's time into the text that it gets, if there
    /// is one; and `take` on what it returns, in the order of the times.
    pub fn for_each<T>(
        self,
        read: impl Fn(&[u8], &mut String) -> T,
        mut take: impl FnMut(Read<'_, T>),
    ) -> Result<()> {
        let Logs { mut sources, progress } = self;
        let mut heads = Vec::new();
        for source in &mut sources {
            heads.push(source.advance(&read)?);
        }
        loop {
            let left = sources.iter_mut().zip(&mut heads).filter(|(_, head)| head.is_some());
            let earliest = left.min_by(|(a, _), (b, _)| a.time.cmp(&b.time));
            let Some((source, head)) = earliest else { break };
            let Source { name, number, time, .. } = &*source;
            if let Some(what) = head.take() {
                take(Read { name, number: *number, time, what });
            }
            *head = source.advance(&read)?;
        }
        progress.finish_and_clear();
        Ok(())
    }
}

fn style(template: &str) -> ProgressStyle {
    let template = format!("{template}{{bytes}} {{bytes_per_sec}}");
    ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Source {
    /// The log at this path with these bytes, which may be compressed by gzip.
    fn new(path: &str, bytes: impl io::Read + 'static) -> Result<Source> {
        let name = if path == "-" { "standard input" } else { path }.to_owned();
        let mut reader = BufReader::with_capacity(CHUNK, bytes);
        let start = reader.fill_buf().with_context(|| format!("cannot read {name}"))?;
        if start.starts_with(&ZSTANDARD) {
            bail!(
                "{name}: compressed by zstd; decompress it, as in zstdcat LOG | splitctl analyze --log -"
            );
        }
        let reader: Box<dyn BufRead> = match start.starts_with(&GZIP) {
            true => Box::new(BufReader::with_capacity(CHUNK, MultiGzDecoder::new(reader))),
            false => Box::new(reader),
        };
        Ok(Source { name, reader, line: Vec::new(), number: 0, time: String::new() })
    }

    /// Reads the next line; `None` at the end. One that is too long is cut, and so is no JSON.
    fn advance<T>(&mut self, read: impl Fn(&[u8], &mut String) -> T) -> Result<Option<T>> {
        let Source { name, reader, line, number, time } = self;
        line.clear();
        *number += 1;
        let failed = || format!("cannot read {name}");
        reader.take(LONGEST).read_until(b'\n', line).with_context(failed)?;
        let mut rest = Vec::new();
        while line.len() as u64 == LONGEST && !line.ends_with(b"\n") && !rest.ends_with(b"\n") {
            rest.clear();
            if reader.take(LONGEST).read_until(b'\n', &mut rest).with_context(failed)? == 0 {
                break;
            }
        }
        Ok((!line.is_empty()).then(|| read(line, time)))
    }
}

#[cfg(test)]
mod tests;
