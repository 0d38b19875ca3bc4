//! The answers of subcommands, and the ways to print them.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use anyhow::Result;
use clap::ValueEnum;
use serde::{Serialize, Serializer};

/// The form of an answer.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
    /// The same as YAML
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
        match writeln!(out, "{}", self.text.trim_end()).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            result => result.map(|()| true),
        }
    }
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
