//! The answers of subcommands, and the ways to print them.

use std::fmt::{self, Write as _};
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use anyhow::Result;
use clap::ValueEnum;
use serde::{Serialize, Serializer};
use traffic_split::config::is_unprintable;

/// The form of an answer.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
    /// For programs, as YAML
    Yaml,
}

impl Format {
    /// Writes an answer, for people as `table` has it.
    pub fn write(self, answer: &impl Serialize, table: impl FnOnce() -> String) -> Result<String> {
        Ok(match self {
            Format::Json => serde_json::to_string_pretty(answer)?,
            Format::Yaml => serde_saphyr::to_string(answer)?,
            Format::Table => table(),
        })
    }
}

/// The answer of a subcommand.
pub struct Answer {
    /// The text for standard output. Its styles are left out if they cannot be shown.
    pub text: String,
    /// Whether the exit code is 0, and not 1.
    pub good: bool,
}

pub const GOOD: Style = AnsiColor::Green.on_default();
pub const BAD: Style = AnsiColor::Red.on_default();
pub const STRONG: Style = Style::new().bold();
pub const FAINT: Style = Style::new().dimmed();

/// Moves to the top left of a terminal, and erases everything below (ECMA-48, CUP and ED): an answer
/// that begins so replaces the one before.
pub const CLEAR: &str = "\x1b[H\x1b[2J";

/// Prints an error, which may have styles.
pub fn complain(error: &str) {
    anstream::eprintln!("{}", printable(error));
}

impl Answer {
    pub fn good(text: String) -> Self {
        Answer { text, good: true }
    }

    /// Prints the answer. A reader who leaves early, as `head` does, is no error.
    pub fn print(&self) -> io::Result<()> {
        self.reach().map(drop)
    }

    /// Prints the answer, and returns whether there is still a reader. Styles are shown on a terminal
    /// only, and not if NO_COLOR is set.
    pub fn reach(&self) -> io::Result<bool> {
        let mut out = anstream::stdout().lock();
        let (clear, text) = match self.text.strip_prefix(CLEAR) {
            Some(text) => (CLEAR, text),
            None => ("", self.text.as_str()),
        };
        match writeln!(out, "{clear}{}", printable(text.trim_end())).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            result => result.map(|()| true),
        }
    }
}

/// Makes a text safe for terminals and logs: escapes what is not printable, but for line ends and for
/// the styles above, and hides passwords in URLs. Everything that is printed goes through it. The escapes
/// are JSON's, so that JSON stays what it is.
pub fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let kept = style(rest).unwrap_or(c.len_utf8());
        let (head, tail) = rest.split_at_checked(kept).unwrap_or((rest, ""));
        match is_unprintable(c) && c != '\n' && kept == c.len_utf8() {
            true => escape(c, &mut safe),
            false => safe.push_str(head),
        }
        rest = tail;
    }
    without_passwords(&safe)
}

/// A text from elsewhere that is to be within one line, such as a name or the message of a server.
pub fn one_line(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unprintable(c) { escape(c, &mut safe) } else { safe.push(c) }
    }
    safe
}

/// The length of the style with which a text begins, if it is one of ours.
fn style(text: &str) -> Option<usize> {
    if !text.starts_with('\u{1b}') {
        return None;
    }
    let ours = [GOOD, BAD, STRONG, FAINT];
    let codes = ours.iter().map(|style| style.render().to_string());
    let mut codes = codes.chain([anstyle::Reset.render().to_string()]);
    codes.find(|code| text.starts_with(code.as_str())).map(|code| code.len())
}

/// Writes a character as `\u202e`, in UTF-16 as in JSON.
fn escape(c: char, safe: &mut String) {
    let mut units = [0; 2];
    for unit in c.encode_utf16(&mut units) {
        // Nothing can go wrong in a `String`.
        let _: fmt::Result = write!(safe, "\\u{unit:04x}");
    }
}

/// The text with `***` in place of the password of each URL (RFC 3986 section 3.2.1).
fn without_passwords(text: &str) -> String {
    let mut parts = text.split("://");
    let mut safe = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        safe.push_str("://");
        let end = part.find(|c: char| "/?#\"'`".contains(c) || c.is_whitespace());
        let (authority, rest) =
            part.split_at_checked(end.unwrap_or(part.len())).unwrap_or((part, ""));
        match authority
            .rsplit_once('@')
            .and_then(|(user, host)| Some((user.split_once(':')?.0, host)))
        {
            Some((user, host)) => safe.push_str(&format!("{user}:***@{host}")),
            None => safe.push_str(authority),
        }
        safe.push_str(rest);
    }
    safe
}

/// Aligns the columns of a table: the first one to the left, the others to the right if `right` is
/// set. Cells have no styles, whose width would be counted.
pub fn columns(rows: &[Vec<String>], right: bool) -> Vec<String> {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column| {
        let cells = rows.iter().filter_map(|row: &Vec<String>| row.get(column));
        cells.map(|cell: &String| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            if right && column > 0 { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// An object whose fields keep their order in JSON, which `serde_json::Map` sorts.
pub struct Ordered<T>(pub Vec<(String, T)>);

impl<T: Serialize> Serialize for Ordered<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// Draws a share as a bar with eighths of a cell, padded to its full length.
pub fn bar(share: f64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share * BAR * 8.0).round() as usize;
    let part = EIGHTHS.get(eighths % 8).copied().unwrap_or("");
    let bar = "█".repeat(eighths / 8) + part;
    format!("{bar:<width$}", width = BAR as usize)
}

/// The cells of the longest bar.
const BAR: f64 = 40.0;

/// Writes a share as a percentage.
pub fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

/// A number with its sign and two decimals, and no sign if they are 0.
pub fn signed(number: f64) -> String {
    let text = format!("{number:+.2}");
    if matches!(text.as_str(), "+0.00" | "-0.00") { "0.00".into() } else { text }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn foreign_text_cannot_command_a_terminal() {
        for (text, shown) in [
            ("a\nb é", "a\nb é"),
            ("\u{1b}]0;title\u{7}", "\\u001b]0;title\\u0007"),
            ("\u{1b}[2J\u{1b}[8m", "\\u001b[2J\\u001b[8m"),
            ("\u{9b}2J\r\t\u{7f}", "\\u009b2J\\u000d\\u0009\\u007f"),
            ("dliav \u{202e}\u{2066}\u{200f}", "dliav \\u202e\\u2066\\u200f"),
            ("\u{e0041}", "\\udb40\\udc41"),
        ] {
            assert_eq!(printable(text), shown);
        }
        let ours = format!("{GOOD}a{GOOD:#} {BAD}b{BAD:#} {STRONG}c{STRONG:#} {FAINT}d{FAINT:#}");
        assert_eq!(printable(&ours), ours);
        assert_eq!(one_line("a\nb\u{1b}[32m"), "a\\u000ab\\u001b[32m");
    }

    /// Text that goes another way could command a terminal.
    #[test]
    fn nothing_is_printed_but_here() {
        let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin/splitctl")];
        let mut printing = Vec::new();
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
            } else if path.extension().is_some_and(|it| it == "rs") && !path.ends_with("output.rs")
            {
                let text = std::fs::read_to_string(&path).unwrap();
                let prints = ["eprint!", "eprintln!", "write_all(", "stdout().lock"];
                let is_test = path.to_str().unwrap().contains("tests");
                if !is_test && prints.iter().any(|print| text.contains(print)) {
                    printing.push(path);
                }
            }
        }
        assert!(printing.is_empty(), "{printing:?}");
    }

    #[test]
    fn json_stays_json() {
        let name = "a\u{1b}\u{9b}\u{202e}\u{e0041}\n";
        let text = printable(&serde_json::to_string_pretty(&[name]).unwrap());
        assert!(!text.contains('\u{202e}') && !text.contains('\u{9b}'));
        assert_eq!(serde_json::from_str::<[String; 1]>(&text).unwrap(), [name]);
    }

    #[test]
    fn a_difference_of_nothing_has_no_sign() {
        for (number, text) in
            [(0.0, "0.00"), (-0.0, "0.00"), (-0.004, "0.00"), (-0.006, "-0.01"), (23.0, "+23.00")]
        {
            assert_eq!(signed(number), text);
        }
    }

    #[test]
    fn a_password_in_a_url_is_not_shown() {
        for (text, shown) in [
            ("at http://me:secret@host:9090/a: no", "at http://me:***@host:9090/a: no"),
            ("\"https://me:a@b@host\"", "\"https://me:***@host\""),
            ("http://host:9090/?a=b:c@d http://u@h", "http://host:9090/?a=b:c@d http://u@h"),
            ("oci://a/b:1.0 x:y@z", "oci://a/b:1.0 x:y@z"),
        ] {
            assert_eq!(printable(text), shown);
        }
    }
}
