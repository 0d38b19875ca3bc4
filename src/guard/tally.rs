//! Responses counted over a sliding window. Each worker of a proxy counts for itself; about once a
//! second it adds its counts to a record that all workers share.

use super::{ErrorCount, Guard, GuardState};

/// Latency classes, two to an octave: class k holds 2^(k/2) - 1 to 2^((k+1)/2) - 1 ms, so the last
/// one begins at 46 seconds.
const CLASSES: usize = 32;

/// Classes of latency to an octave.
const TO_AN_OCTAVE: f64 = 2.0;

/// Parts of a window, which slides by one of them.
const WINDOW_PARTS: u64 = 10;

/// The most parts of a record that is read: a window's, and as many ahead of it by a clock that was
/// set back, with room for the ends.
const MAX_PARTS: usize = 32;

/// The responses of one variant, counted.
///
/// ```
/// use traffic_split::guard::Tally;
///
/// let mut tally = Tally::default();
/// tally.observe(false, 20);
/// tally.observe(true, 350);
/// assert_eq!((tally.responses, tally.errors), (2, 1));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All responses, and the streams that were reset before one.
    pub responses: u32,
    /// The server errors (5xx) and the resets among them.
    pub errors: u32,
    latency: [u32; CLASSES],
}

/// The place of a latency among the classes: the number of its class, and how far into it it is.
fn place(ms: f64) -> f64 {
    TO_AN_OCTAVE * libm::log2(ms + 1.0)
}

impl Tally {
    /// Counts a response of unknown latency. At `u32::MAX` counts stay.
    pub fn count(&mut self, error: bool) {
        self.responses = self.responses.saturating_add(1);
        self.errors = self.errors.saturating_add(u32::from(error));
    }

    /// Counts a response whose headers came after `ms` milliseconds. At `u32::MAX` counts stay.
    pub fn observe(&mut self, error: bool, ms: u64) {
        self.count(error);
        let class = place(ms as f64) as usize;
        if let Some(count) = self.latency.get_mut(class.min(CLASSES.saturating_sub(1))) {
            *count = count.saturating_add(1);
        }
    }

    pub(super) fn error_count(&self) -> ErrorCount {
        ErrorCount { errors: self.errors, responses: self.responses }
    }

    /// The share of errors among the responses, 0 to 1; 0 if there are none.
    pub(crate) fn error_rate(&self) -> f64 {
        f64::from(self.errors) / f64::from(self.responses.max(1))
    }

    /// The 95th percentile of the latency in milliseconds, to a factor of 1.4, the width of a class;
    /// 0 if the latency of none is known.
    pub(crate) fn p95(&self) -> f64 {
        let rank = 0.95 * f64::from(self.measured());
        let mut below = 0.0;
        for (class, count) in (0_u32..).zip(&self.latency) {
            let count = f64::from(*count);
            if below + count >= rank && count > 0.0 {
                let within = (rank - below) / count;
                return libm::exp2((f64::from(class) + within) / TO_AN_OCTAVE) - 1.0;
            }
            below += count;
        }
        0.0
    }

    /// The number of responses whose latency is known.
    pub(super) fn measured(&self) -> u32 {
        self.latency.iter().fold(0, |sum: u32, count| sum.saturating_add(*count))
    }

    /// The number of responses that were slower than `ms` milliseconds. The class that `ms` falls
    /// into is divided as [`Tally::p95`] divides it.
    pub(super) fn slower_than(&self, ms: f64) -> f64 {
        let place = place(ms);
        let slower = |(class, count): (u32, &u32)| {
            f64::from(*count) * (f64::from(class) + 1.0 - place).clamp(0.0, 1.0)
        };
        (0_u32..).zip(&self.latency).map(slower).sum()
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

/// The counts of both variants of a guard.
///
/// ```
/// use traffic_split::guard::Sides;
///
/// let mut counts = Sides::default();
/// counts.watch.observe(true, 20);
/// assert_eq!((counts.watch.errors, counts.fallback.errors), (1, 0));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sides {
    /// The counts of the watched variant.
    pub watch: Tally,
    /// The counts of the fallback.
    pub fallback: Tally,
}

impl Sides {
    fn add(&mut self, other: &Sides) {
        self.watch.add(&other.watch);
        self.fallback.add(&other.fallback);
    }
}

/// The state and the counts of a guard that the workers of a proxy share, as bytes that Envoy keeps.
///
/// ```
/// use traffic_split::guard::{GuardState, Record};
///
/// let record = Record::default();
/// assert_eq!(record.state, GuardState::Closed);
/// assert_eq!(Record::from_bytes(&record.to_bytes()), Some(record));
/// assert_eq!(Record::from_bytes(b"another plugin's"), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The state that every worker goes by.
    pub state: GuardState,
    /// The time at which the state began, in Unix seconds.
    pub(crate) since: u64,
    /// The trips that are not forgotten yet.
    pub(super) trips: u32,
    /// The counts of each part of the window with the second in which it begins, oldest first.
    parts: Vec<(u64, Sides)>,
}

impl Record {
    /// Adds the counts of a worker up to `now`, in Unix seconds.
    pub fn add(&mut self, guard: &Guard, sides: &Sides, now: u64) {
        if *sides == Sides::default() {
            return;
        }
        let width = guard.span(self.state).div_ceil(WINDOW_PARTS).max(1);
        let begin = now.saturating_sub(now.checked_rem(width).unwrap_or(0));
        match self.parts.last_mut() {
            // A clock that stepped back adds to the newest part.
            Some((known, part)) if *known >= begin => part.add(sides),
            _ => self.parts.push((begin, sides.clone())),
        }
    }

    /// Drops the parts that began before the window, which is `window` seconds long. If the clock was
    /// set back, drops parts more than a window ahead too, since they would count until the clock
    /// gets there, and lets the state begin now at the latest.
    pub(super) fn forget(&mut self, now: u64, window: u64) {
        self.since = self.since.min(now);
        let ahead = now.saturating_add(window);
        self.parts.retain(|(begin, _)| begin.saturating_add(window) > now && *begin <= ahead);
    }

    /// Lets a trial begin anew: it would widen with the time in which it gets no requests.
    pub(super) fn wait(&mut self, now: u64) {
        if self.state == GuardState::HalfOpen {
            self.since = now;
        }
    }

    /// The counts of all parts.
    pub(super) fn sum(&self) -> Sides {
        let mut sum = Sides::default();
        self.parts.iter().for_each(|(_, sides)| sum.add(sides));
        sum
    }

    /// Begins a state, with no counts.
    pub(super) fn enter(&mut self, state: GuardState, now: u64) {
        let trips = self.trips.saturating_add(u32::from(state == GuardState::Open));
        *self = Record { state, since: now, trips, parts: Vec::new() };
    }

    /// The record as bytes: words of 8 bytes, little endian. The state (0 closed, 1 half-open,
    /// 2 open), with the trips in the upper half of its word, and its begin come first. Each part
    /// follows with its begin and the counts of the watched variant and of the fallback: responses,
    /// errors, and one count for each latency class.
    pub fn to_bytes(&self) -> Vec<u8> {
        let state = match self.state {
            GuardState::Closed => 0,
            GuardState::HalfOpen => 1,
            GuardState::Open => 2,
        };
        let mut bytes = Vec::new();
        let mut word = |word: u64| bytes.extend_from_slice(&word.to_le_bytes());
        word(state | u64::from(self.trips) << 32);
        word(self.since);
        for (begin, sides) in &self.parts {
            word(*begin);
            sides.watch.write(&mut word);
            sides.fallback.write(&mut word);
        }
        bytes
    }

    /// Reads a record; `None` if the bytes are not what [`Record::to_bytes`] writes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (words, []) = bytes.as_chunks::<8>() else { return None };
        let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
        let first = words.next()?;
        let trips = u32::try_from(first >> 32).ok()?;
        let state = match first & u64::from(u32::MAX) {
            0 => GuardState::Closed,
            1 => GuardState::HalfOpen,
            2 => GuardState::Open,
            _ => return None,
        };
        let mut record = Record { state, since: words.next()?, trips, parts: Vec::new() };
        while let Some(begin) = words.next() {
            let watch = Tally::read(&mut words)?;
            let fallback = Tally::read(&mut words)?;
            record.parts.push((begin, Sides { watch, fallback }));
            if record.parts.len() > MAX_PARTS {
                return None;
            }
        }
        Some(record)
    }
}

#[cfg(test)]
mod tests;
