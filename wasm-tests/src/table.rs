//! A table on a terminal.

use std::io::{self, IsTerminal, Write};

/// A row, and whether what was observed is what was configured.
pub struct Row {
    /// One text for each column.
    pub cells: Vec<String>,
    /// Whether it is as it should be.
    pub right: bool,
}

/// Prints the rows, each with a check mark or a cross at its end.
pub fn print(titles: &[&str], rows: &[Row]) -> io::Result<()> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.cells.get(column));
        let texts = cells.map(String::as_str).chain(titles.get(column).copied());
        texts.map(|text| text.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<_> = (0..titles.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| -> String {
        cells.zip(&widths).map(|(cell, width)| format!("{cell:width$}  ")).collect()
    };
    let mut out = io::stdout().lock();
    writeln!(out, "{}", line(&mut titles.iter().copied()).trim_end())?;
    let rule: Vec<_> = widths.iter().map(|width| "-".repeat(*width)).collect();
    writeln!(out, "{}", line(&mut rule.iter().map(String::as_str)).trim_end())?;
    for row in rows {
        let mark = match (row.right, colour()) {
            (true, true) => "\x1b[32m✓\x1b[0m",
            (true, false) => "✓",
            (false, true) => "\x1b[31m✗\x1b[0m",
            (false, false) => "✗",
        };
        writeln!(out, "{}{mark}", line(&mut row.cells.iter().map(String::as_str)))?;
    }
    Ok(())
}

/// Only on a terminal, and not where `NO_COLOR` is set.
fn colour() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
