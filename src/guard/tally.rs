//! Responses counted over a sliding window. Each worker counts for itself; about once a second it
//! adds its counts to a record that all workers of a proxy share.

use super::{Guard, GuardState};

/// Latency classes, two to an octave: the k-th holds 2^(k/2) - 1 to 2^((k+1)/2) - 1 ms.
const CLASSES: usize = 32;

/// Parts of a window: it slides by a tenth.
const PARTS: u64 = 10;

/// Parts of a record at most: those of the window, and those of one ahead of it.
const MOST_PARTS: usize = 32;

/// Counts of one variant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All responses and resets.
    pub responses: u32,
    /// Those that were 5xx or resets.
    pub errors: u32,
    latency: [u32; CLASSES],
}

impl Tally {
    /// Counts a response; `ms` up to its headers.
    pub fn observe(&mut self, error: bool, ms: u64) {
        self.responses = self.responses.saturating_add(1);
        self.errors = self.errors.saturating_add(u32::from(error));
        let class = (2.0 * libm::log2(ms as f64 + 1.0)) as usize;
        if let Some(count) = self.latency.get_mut(class.min(CLASSES.saturating_sub(1))) {
            *count = count.saturating_add(1);
        }
    }

    /// Errors among the responses, 0 to 1.
    pub(crate) fn error_rate(&self) -> f64 {
        f64::from(self.errors) / f64::from(self.responses.max(1))
    }

    /// The 95th percentile in milliseconds, from classes that are a factor of 1.4 wide.
    pub(crate) fn p95(&self) -> f64 {
        let rank = 0.95 * f64::from(self.responses);
        let mut below = 0.0;
        for (class, count) in (0_u32..).zip(&self.latency) {
            let count = f64::from(*count);
            if below + count >= rank && count > 0.0 {
                let within = (rank - below) / count;
                return libm::exp2((f64::from(class) + within) / 2.0) - 1.0;
            }
            below += count;
        }
        0.0
    }

    fn add(&mut self, other: &Tally) {
        self.responses = self.responses.saturating_add(other.responses);
        self.errors = self.errors.saturating_add(other.errors);
        for (count, more) in self.latency.iter_mut().zip(&other.latency) {
            *count = count.saturating_add(*more);
        }
    }

    fn write(&self, word: &mut impl FnMut(u64)) {
        word(self.responses.into());
        word(self.errors.into());
        self.latency.iter().for_each(|count| word((*count).into()));
    }

    fn read(words: &mut impl Iterator<Item = u64>) -> Option<Self> {
        let mut next = || words.next().and_then(|word| u32::try_from(word).ok());
        let mut tally = Tally { responses: next()?, errors: next()?, ..Tally::default() };
        for count in &mut tally.latency {
            *count = next()?;
        }
        Some(tally)
    }
}

/// Counts of both variants of a guard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sides {
    /// The watched one.
    pub watch: Tally,
    /// The fallback.
    pub fallback: Tally,
}

impl Sides {
    fn add(&mut self, other: &Sides) {
        self.watch.add(&other.watch);
        self.fallback.add(&other.fallback);
    }
}

/// What the workers of a proxy share of a guard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The state.
    pub state: GuardState,
    /// Since when, in Unix seconds.
    pub(crate) since: u64,
    /// By the second in which each part begins, oldest first.
    parts: Vec<(u64, Sides)>,
}

impl Record {
    /// Adds what a worker counted up to this time.
    pub fn add(&mut self, guard: &Guard, sides: &Sides, now: u64) {
        if *sides == Sides::default() {
            return;
        }
        let width = guard.span(self.state).div_ceil(PARTS).max(1);
        let begin = now.saturating_sub(now.checked_rem(width).unwrap_or(0));
        match self.parts.last_mut() {
            // A clock that stepped back adds to the newest part.
            Some((known, part)) if *known >= begin => part.add(sides),
            _ => self.parts.push((begin, sides.clone())),
        }
    }

    /// Drops the parts that began before the window, and those that a clock which has been set back
    /// since left further ahead than that: they would count until it gets there. A state has not
    /// begun later than now, either.
    pub(super) fn forget(&mut self, now: u64, window: u64) {
        self.since = self.since.min(now);
        let ahead = now.saturating_add(window);
        self.parts.retain(|(begin, _)| begin.saturating_add(window) > now && *begin <= ahead);
    }

    pub(super) fn sum(&self) -> Sides {
        let mut sum = Sides::default();
        self.parts.iter().for_each(|(_, sides)| sum.add(sides));
        sum
    }

    /// A new state starts to count anew.
    pub(super) fn enter(&mut self, state: GuardState, now: u64) {
        *self = Record { state, since: now, parts: Vec::new() };
    }

    /// As bytes, for the host to keep: words of 8 bytes, little endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        let state = match self.state {
            GuardState::Closed => 0,
            GuardState::HalfOpen => 1,
            GuardState::Open => 2,
        };
        let mut bytes = Vec::new();
        let mut word = |word: u64| bytes.extend_from_slice(&word.to_le_bytes());
        word(state);
        word(self.since);
        for (begin, sides) in &self.parts {
            word(*begin);
            sides.watch.write(&mut word);
            sides.fallback.write(&mut word);
        }
        bytes
    }

    /// The record of these bytes; `None` if something else wrote them.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (words, []) = bytes.as_chunks::<8>() else { return None };
        let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
        let state = match words.next()? {
            0 => GuardState::Closed,
            1 => GuardState::HalfOpen,
            2 => GuardState::Open,
            _ => return None,
        };
        let mut record = Record { state, since: words.next()?, parts: Vec::new() };
        while let Some(begin) = words.next() {
            let watch = Tally::read(&mut words)?;
            let fallback = Tally::read(&mut words)?;
            record.parts.push((begin, Sides { watch, fallback }));
            if record.parts.len() > MOST_PARTS {
                return None;
            }
        }
        Some(record)
    }
}
