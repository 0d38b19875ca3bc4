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
mod tests {
    use std::io::Write as _;

    use super::*;

    fn all<B: AsRef<[u8]>>(logs: &[B]) -> Result<Vec<String>> {
        let folder = std::env::temp_dir().join(format!("splitctl-logs-{}", fastrand::u64(..)));
        fs::create_dir(&folder).unwrap();
        let file = |(number, bytes): (usize, &B)| {
            let path = folder.join(number.to_string());
            fs::write(&path, bytes).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let paths: Vec<_> = logs.iter().enumerate().map(file).collect();
        let mut seen = Vec::new();
        let read = |line: &[u8], time: &mut String| {
            let text = String::from_utf8_lossy(line).trim_end().to_owned();
            if let Some((_, known)) = text.split_once("@") {
                known.clone_into(time);
            }
            text.chars().take(30).collect::<String>()
        };
        let logs = Logs::open(&paths)?;
        logs.for_each(read, |Read { name, number, what, .. }| {
            seen.push(format!("{}:{number} {what}", name.rsplit('/').next().unwrap()));
        })?;
        fs::remove_dir_all(folder).unwrap();
        Ok(seen)
    }

    #[test]
    fn lines_of_several_logs_come_in_the_order_of_their_times() {
        let logs = ["a@09:01\n\nb@09:04", "c@09:02\r\nnone\nd@09:03\n"];
        let expected =
            ["0:1 a@09:01", "0:2 ", "1:1 c@09:02", "1:2 none", "1:3 d@09:03", "0:3 b@09:04"];
        assert_eq!(all(&logs).unwrap(), expected);
        // At one time, in the order in which they are given.
        assert_eq!(all(&["a@1\nb@1", "c@1"]).unwrap(), ["0:1 a@1", "0:2 b@1", "1:1 c@1"]);
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    /// Two files of gzip in one are one log, as `cat a.gz b.gz` makes them.
    #[test]
    fn a_log_may_be_compressed() {
        let two = [gzip("a@09:01\nb@0"), gzip("9:03\n")].concat();
        let plain = b"c@09:02".to_vec();
        assert_eq!(
            all(&[two.clone(), plain]).unwrap(),
            ["0:1 a@09:01", "1:1 c@09:02", "0:2 b@09:03"]
        );
        let error = all(&[&two[..two.len() - 9]]).unwrap_err();
        assert!(format!("{error:#}").contains("cannot read"), "{error:#}");
        let error = all(&[&ZSTANDARD]).unwrap_err().to_string();
        assert!(error.contains("zstdcat"), "{error}");
    }

    #[test]
    fn a_log_is_read_once() {
        let folder = std::env::temp_dir();
        let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        for paths in [["-".into(), "-".into()], [path("."), path("./.")]] {
            let error = Logs::open(&paths).err().unwrap().to_string();
            assert!(error.contains("given twice"), "{error}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_the_next_one_read() {
        for more in [0, 1, 5, LONGEST as usize, 2 * LONGEST as usize + 1] {
            let long = "{".repeat(LONGEST as usize + more);
            let expected = ["0:1 {{{{{{{{{{{{{{{{{{{{{{{{{{{{{{", "0:2 next"];
            assert_eq!(all(&[&format!("{long}\nnext")]).unwrap(), expected, "{more}");
            assert_eq!(all(&[&long]).unwrap(), expected[..1], "{more}");
        }
    }
}
