//! Regular expressions over whole values, in time linear in the value whatever the expression is.
//!
//! The syntax is that of the crate `regex-lite`, whose machine visits up to all states of an
//! expression for each byte: `(.*){400}c` took 110 ms for one value of 8 KiB. Here an expression
//! becomes a table of states when a configuration is taken (Rabin and Scott, 1959), so that a byte is
//! one look-up. The few whose table would be too large are run state by state, and each state counts.
//!
//! The crate `regex-automata` makes such tables as well, and would add 340 KB to a module of 480;
//! `regex-lite` added 33 KB. `regex/tests.rs` holds this one to `regex-lite`.

mod node;
mod parse;
mod program;
mod set;
mod table;

use program::Program;
use table::Table;

use crate::limits;

/// A regular expression that whole values match, if they are UTF-8.
#[derive(Debug)]
pub(crate) enum Regex {
    Table(Box<Table>),
    Program(Box<Program>),
}

impl Regex {
    /// Compiles an expression. `effort` is the number of states that may still be visited to make
    /// tables, of all expressions of a configuration.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn new(
        pattern: &str,
        ignore_case: bool,
        effort: &mut u32,
    ) -> Result<Self, &'static str> {
        let program = Program::new(&parse::parse(pattern, ignore_case)?)?;
        let share = limits::REGEX_EFFORT.min(*effort);
        let mut left = share;
        let table = Table::new(&program, &mut left);
        *effort = effort.saturating_sub(share.saturating_sub(left));
        Ok(match table {
            Some(table) => Regex::Table(Box::new(table)),
            None => Regex::Program(Box::new(program)),
        })
    }

    /// Whether a value matches; `None` if that takes more than the steps that are left.
    pub(crate) fn matches(&self, value: &[u8], left: &mut u32) -> Option<bool> {
        match self {
            Regex::Table(table) => table.matches(value, left),
            Regex::Program(program) => program.matches(value, left),
        }
    }
}

#[cfg(test)]
mod tests;
