//! Access logs, line by line in bounded memory; several of them in the order of their times.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};

use super::line::Line;

/// The bytes of a log that are read at once.
const CHUNK: usize = 1 << 20;

/// The longest line. Envoy's own limit on a request's headers is 60 KiB.
const LONGEST: u64 = 1 << 20;

/// The logs that are read together.
pub struct Logs {
    sources: Vec<Source>,
    progress: ProgressBar,
}

/// One log, and its line that comes next.
struct Source {
    name: String,
    reader: Box<dyn BufRead>,
    line: Vec<u8>,
    /// The number of the line, from 1.
    number: u64,
    /// The time of the line, or of one before it if it has none.
    time: String,
}

impl Logs {
    pub fn open(paths: &[String]) -> Result<Logs> {
        let mut size = Some(0);
        let open = |path: &String| {
            let (reader, length): (Box<dyn Read>, _) = match path.as_str() {
                "-" => (Box::new(io::stdin()), None),
                path => {
                    let file = File::open(path).with_context(|| format!("cannot read {path}"))?;
                    let about = file.metadata().ok().filter(|about| about.is_file());
                    (Box::new(file), about.map(|about| about.len()))
                }
            };
            size = size.zip(length).map(|(size, length)| size + length);
            let name = if path == "-" { "standard input" } else { path }.to_owned();
            let reader = Box::new(BufReader::with_capacity(CHUNK, reader));
            Ok(Source { name, reader, line: Vec::new(), number: 0, time: String::new() })
        };
        let sources = paths.iter().map(open).collect::<Result<_>>()?;
        let progress = match size {
            Some(size) => ProgressBar::new(size).with_style(style("{wide_bar} {eta} ")),
            None => ProgressBar::new_spinner().with_style(style("{spinner} ")),
        };
        Ok(Logs { sources, progress })
    }

    /// Calls `take` on each line, with the name of its log and its number.
    pub fn for_each(mut self, mut take: impl FnMut(&str, u64, &[u8])) -> Result<()> {
        let several = self.sources.len() > 1;
        for source in &mut self.sources {
            source.advance(several)?;
        }
        let mut unshown = 0;
        loop {
            let left = self.sources.iter_mut().filter(|source| !source.line.is_empty());
            let Some(source) = left.min_by(|a, b| a.time.cmp(&b.time)) else { break };
            take(&source.name, source.number, &source.line);
            unshown += source.line.len();
            source.advance(several)?;
            if unshown >= CHUNK {
                self.progress.inc(unshown as u64);
                unshown = 0;
            }
        }
        self.progress.finish_and_clear();
        Ok(())
    }
}

fn style(template: &str) -> ProgressStyle {
    let template = format!("{template}{{bytes}} {{bytes_per_sec}}");
    ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Source {
    /// Reads the next line, which is empty at the end. One that is too long is cut, and so is no JSON.
    fn advance(&mut self, timed: bool) -> Result<()> {
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
        if timed && let Some(known) = Line::read(line).as_ref().and_then(|line| line.time.text()) {
            known.clone_into(time);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(texts: &[&str]) -> Vec<String> {
        let folder = std::env::temp_dir().join(format!("splitctl-logs-{}", fastrand::u64(..)));
        std::fs::create_dir(&folder).unwrap();
        let file = |(number, text): (usize, &&str)| {
            let path = folder.join(number.to_string());
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let paths: Vec<_> = texts.iter().enumerate().map(file).collect();
        let mut seen = Vec::new();
        let logs = Logs::open(&paths).unwrap();
        logs.for_each(|name, number, line| {
            let text =
                String::from_utf8_lossy(line).trim_end().chars().take(30).collect::<String>();
            seen.push(format!("{}:{number} {text}", name.rsplit('/').next().unwrap()));
        })
        .unwrap();
        std::fs::remove_dir_all(folder).unwrap();
        seen
    }

    #[test]
    fn lines_of_several_logs_come_in_the_order_of_their_times() {
        let first = "{\"time\":\"09:01\"}\n\n{\"time\":\"09:04\"}";
        let second = "{\"time\":\"09:02\"}\r\nnone\n{\"time\":\"09:03\"}\n";
        let expected = [
            r#"0:1 {"time":"09:01"}"#,
            "0:2 ",
            r#"1:1 {"time":"09:02"}"#,
            "1:2 none",
            r#"1:3 {"time":"09:03"}"#,
            r#"0:3 {"time":"09:04"}"#,
        ];
        assert_eq!(all(&[first, second]), expected);
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_the_next_one_read() {
        for more in [0, 1, 5, LONGEST as usize, 2 * LONGEST as usize + 1] {
            let long = "{".repeat(LONGEST as usize + more);
            let expected = ["0:1 {{{{{{{{{{{{{{{{{{{{{{{{{{{{{{", "0:2 next"];
            assert_eq!(all(&[&format!("{long}\nnext")]), expected, "{more}");
            assert_eq!(all(&[&long]), expected[..1], "{more}");
        }
    }
}
