//! Expressions as trees.

use super::set::Set;

/// A part of an expression.
#[derive(Debug)]
pub(super) enum Node {
    /// One of these characters.
    Set(Set),
    Look(Look),
    /// A part so many times, at least and at most.
    Repeat(Box<Node>, u32, Option<u32>),
    /// Each, one after another.
    All(Vec<Node>),
    Any(Vec<Node>),
}

/// A condition between two characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Start,
    End,
    /// A word begins or ends here.
    Boundary,
    NoBoundary,
    WordStart,
    WordEnd,
    /// No word goes on from before.
    WordStartHalf,
    /// No word goes on.
    WordEndHalf,
}

/// One side of a place in a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    /// The end of the value.
    Nothing,
    Word,
    Other,
}

impl Look {
    pub(super) fn holds(self, before: Side, after: Side) -> bool {
        let [starts, ends] = [before, after].map(|side| side != Side::Word);
        match self {
            Look::Start => before == Side::Nothing,
            Look::End => after == Side::Nothing,
            Look::Boundary => starts != ends,
            Look::NoBoundary => starts == ends,
            Look::WordStart => starts && !ends,
            Look::WordEnd => ends && !starts,
            Look::WordStartHalf => starts,
            Look::WordEndHalf => ends,
        }
    }
}
