//! An expression as a table: for each set of states that its program can be in and each class of
//! characters, the set that follows.

use std::collections::BTreeMap;

use super::node::Side;
use super::program::{NONE, Program, States, is_empty};
use super::set::Classes;
use crate::limits;

/// The table.
#[derive(Debug)]
pub(crate) struct Table {
    classes: Classes,
    /// The place of the row that follows, by the row's own place and the class. A row's place is that
    /// of its first entry; the row at 0 is that of values that cannot match any more.
    next: Box<[u16]>,
    /// The rows, by their numbers, where a value may end.
    ends: Box<[bool]>,
}

/// The side before a place, and the states there.
type Row = (Side, Vec<u64>);

/// The row of the start.
const START: usize = 1;

impl Table {
    /// The table of a program; `None` if it would be too large, or is not made when `left` states have
    /// been visited.
    pub(super) fn new(program: &Program, left: &mut u32) -> Option<Self> {
        let width = program.classes.count();
        let row_of = |side, states: &States| -> Row {
            (side, states.iter().take(program.words()).copied().collect())
        };
        let start = row_of(Side::Nothing, &program.start());
        let mut known = BTreeMap::from([(start.clone(), u16::try_from(width).ok()?)]);
        let mut rows = vec![start];
        let (mut next, mut ends) = (vec![0; width], vec![false]);
        let mut row = 0;
        while let Some((before, packed)) = rows.get(row).cloned() {
            row = row.saturating_add(1);
            let mut states = NONE;
            states.iter_mut().zip(packed).for_each(|(to, from)| *to = from);
            ends.push(program.step(&states, before, None, left)?.1);
            for class in 0..u16::try_from(width).ok()? {
                let (states, _) = program.step(&states, before, Some(class), left)?;
                if is_empty(&states) {
                    next.push(0);
                    continue;
                }
                let side = if program.looks { program.side(class) } else { Side::Other };
                let new = known.len().saturating_add(START).saturating_mul(width);
                let place = *known.entry(row_of(side, &states)).or_insert_with_key(|row| {
                    rows.push(row.clone());
                    u16::try_from(new).unwrap_or(u16::MAX)
                });
                next.push(place);
            }
            if rows.len().saturating_mul(width) > limits::REGEX_TABLE {
                return None;
            }
        }
        // Of what a program knows, only its classes are needed from now on.
        let classes = program.classes.clone();
        Some(Table { classes, next: next.into(), ends: ends.into() })
    }

    /// Whether a value matches; `None` if it has more characters than steps are left.
    pub(super) fn matches(&self, value: &[u8], left: &mut u32) -> Option<bool> {
        let mut place = START.saturating_mul(self.classes.count());
        let mut bytes = value.iter();
        let mut behind = value;
        while let Some(class) = bytes.next().and_then(|byte| self.classes.of_byte(*byte)) {
            place = self.follow(place, class, left)?;
            if place == 0 {
                return Some(false);
            }
            behind = bytes.as_slice();
        }
        let Ok(text) = std::str::from_utf8(behind) else { return Some(false) };
        for c in text.chars() {
            place = self.follow(place, self.classes.of(c), left)?;
        }
        let row = place.checked_div(self.classes.count())?;
        Some(self.ends.get(row) == Some(&true))
    }

    fn follow(&self, place: usize, class: u16, left: &mut u32) -> Option<usize> {
        *left = left.checked_sub(1)?;
        Some(usize::from(*self.next.get(place.checked_add(class.into())?)?))
    }
}
