//! An expression as a machine with many states at a time (Thompson, CACM 11(6), 1968).

use super::node::{Look, Node, Side};
use super::set::{Classes, Set};
use crate::limits;

/// One state. Each is named by its place.
#[derive(Clone, Copy, Debug)]
enum State {
    Match,
    /// A character of the set at this place, then the next state.
    Set(u16, u16),
    Look(Look, u16),
    /// Either of two.
    Fork(u16, u16),
}

/// The machine. State 0 is the match.
#[derive(Debug)]
pub(crate) struct Program {
    states: Vec<State>,
    first: u16,
    pub(super) classes: Classes,
    /// Whether it asks what is before or after a place.
    pub(super) looks: bool,
}

/// Numbers of states, one bit each.
const WORDS: usize = limits::REGEX_STATES.div_ceil(64);
pub(super) type States = [u64; WORDS];

pub(super) const NONE: States = [0; WORDS];

impl Program {
    pub(super) fn new(node: &Node) -> Result<Self, &'static str> {
        let states = vec![State::Match];
        let mut builder = Builder { states, sets: Vec::new(), looks: false };
        let first = builder.add(node, 0)?;
        let Builder { states, mut sets, looks } = builder;
        if looks {
            // Characters of words are told apart from others.
            sets.extend(Set::named("word"));
        }
        Ok(Program { states, first, classes: Classes::new(&sets), looks })
    }

    /// The words of a set that hold its states.
    pub(super) fn words(&self) -> usize {
        self.states.len().div_ceil(64)
    }

    /// The states before the first character.
    pub(super) fn start(&self) -> States {
        let mut states = [0; WORDS];
        insert(&mut states, self.first);
        states
    }

    /// The side of a place on which a character of this class is.
    pub(super) fn side(&self, class: u16) -> Side {
        let words = self.classes.sets().checked_sub(1).filter(|_| self.looks);
        let is_word = words.is_some_and(|set| self.classes.is_member(set, class));
        if is_word { Side::Word } else { Side::Other }
    }

    /// The states behind a character, and whether the value matches without any. Each state visited
    /// is one of those `left`, as is each word of the set; `None` if there are too few.
    pub(super) fn step(
        &self,
        from: &States,
        before: Side,
        class: Option<u16>,
        left: &mut u32,
    ) -> Option<(States, bool)> {
        let after = class.map_or(Side::Nothing, |class| self.side(class));
        let words = self.words();
        *left = left.checked_sub(u32::try_from(words).ok()?)?;
        let (mut open, mut seen) = (*from, [0_u64; WORDS]);
        let (mut next, mut matches) = ([0; WORDS], false);
        let mut word = 0;
        while word < words {
            let bits = open.get(word).copied().unwrap_or(0) & !seen.get(word).copied()?;
            if bits == 0 {
                word = word.saturating_add(1);
                continue;
            }
            let place = word.saturating_mul(64).saturating_add(bits.trailing_zeros() as usize);
            *left = left.checked_sub(1)?;
            insert(&mut seen, u16::try_from(place).ok()?);
            let mut reach = |state: u16| {
                insert(&mut open, state);
                // A state that lies before this one is looked at again.
                word = word.min(usize::from(state / 64));
            };
            match self.states.get(place)? {
                State::Match => matches = true,
                State::Set(set, then) => {
                    if class.is_some_and(|class| self.classes.is_member(*set, class)) {
                        insert(&mut next, *then);
                    }
                }
                State::Look(look, then) if look.holds(before, after) => reach(*then),
                State::Look(..) => {}
                State::Fork(one, other) => {
                    reach(*one);
                    reach(*other);
                }
            }
        }
        Some((next, matches))
    }

    /// Whether a value matches; `None` if that takes more than the steps that are left.
    #[inline(never)]
    pub(super) fn matches(&self, value: &[u8], left: &mut u32) -> Option<bool> {
        let Ok(text) = std::str::from_utf8(value) else { return Some(false) };
        let mut visits = *left / limits::STEPS_OF_STATE;
        let mut run = || {
            let (mut states, mut before) = (self.start(), Side::Nothing);
            for c in text.chars() {
                let class = self.classes.of(c);
                (states, _) = self.step(&states, before, Some(class), &mut visits)?;
                if is_empty(&states) {
                    return Some(false);
                }
                before = self.side(class);
            }
            Some(self.step(&states, before, None, &mut visits)?.1)
        };
        let found = run();
        *left = if found.is_some() { visits.saturating_mul(limits::STEPS_OF_STATE) } else { 0 };
        found
    }
}

pub(super) fn is_empty(states: &States) -> bool {
    states.iter().all(|word| *word == 0)
}

fn insert(states: &mut States, state: u16) {
    if let Some(word) = states.get_mut(usize::from(state / 64)) {
        *word |= 1 << (state % 64);
    }
}

struct Builder {
    states: Vec<State>,
    sets: Vec<Set>,
    looks: bool,
}

impl Builder {
    /// Adds the states of a part that goes on with state `then`, and returns its first one.
    fn add(&mut self, node: &Node, then: u16) -> Result<u16, &'static str> {
        match node {
            Node::Set(set) => {
                let set = self.set(set);
                self.push(State::Set(set, then))
            }
            Node::Look(look) => {
                self.looks = true;
                self.push(State::Look(*look, then))
            }
            Node::All(parts) => {
                parts.iter().rev().try_fold(then, |then, part| self.add(part, then))
            }
            Node::Any(parts) => {
                let mut firsts = Vec::new();
                for part in parts {
                    firsts.push(self.add(part, then)?);
                }
                let last = firsts.pop().unwrap_or(then);
                firsts.into_iter().try_fold(last, |other, one| self.push(State::Fork(one, other)))
            }
            Node::Repeat(part, least, most) => self.repeat(part, *least, *most, then),
        }
    }

    fn repeat(
        &mut self,
        part: &Node,
        least: u32,
        most: Option<u32>,
        then: u16,
    ) -> Result<u16, &'static str> {
        let mut first = match most {
            Some(most) => self.times(most.saturating_sub(least), then, |this, first| {
                let first = this.add(part, first)?;
                this.push(State::Fork(first, then))
            })?,
            None => {
                let fork = self.push(State::Fork(then, then))?;
                let inner = self.add(part, fork)?;
                let states = self.states.iter_mut().skip(fork.into());
                states.take(1).for_each(|state| *state = State::Fork(inner, then));
                fork
            }
        };
        first = self.times(least, first, |this, first| this.add(part, first))?;
        Ok(first)
    }

    /// Adds a part several times. One that needs no state is the same as if it were there once.
    fn times(
        &mut self,
        count: u32,
        then: u16,
        mut add: impl FnMut(&mut Self, u16) -> Result<u16, &'static str>,
    ) -> Result<u16, &'static str> {
        let mut first = then;
        for _ in 0..count {
            let before = self.states.len();
            first = add(self, first)?;
            if self.states.len() == before {
                break;
            }
        }
        Ok(first)
    }

    fn set(&mut self, set: &Set) -> u16 {
        let known = self.sets.iter().position(|known| known == set);
        let place = known.unwrap_or_else(|| {
            self.sets.push(set.clone());
            self.sets.len().saturating_sub(1)
        });
        u16::try_from(place).unwrap_or(u16::MAX)
    }

    fn push(&mut self, state: State) -> Result<u16, &'static str> {
        if self.states.len() >= limits::REGEX_STATES {
            return Err("exceeds the size limit: repeat less, or shorter parts");
        }
        self.states.push(state);
        u16::try_from(self.states.len().saturating_sub(1)).map_err(|_| "exceeds the size limit")
    }
}
