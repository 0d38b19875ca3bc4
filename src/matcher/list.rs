//! Values of which any one may be met.

use xxhash_rust::xxh64::xxh64;

/// Steps along the table that are many: at half of it taken, one value in millions needs so many.
const LONGEST_WALK: usize = 64;

/// The most slots for each two of a value: a table grows where walks are long, as they are for values
/// that somebody chose to collide.
const MOST_SLOTS: usize = 16;

/// A list, found in by hash: a look-up takes as long in a long one as in a short one.
#[derive(Debug)]
pub(crate) struct List {
    values: Vec<Box<[u8]>>,
    /// Open addressing with linear probing (Knuth, The Art of Computer Programming, section 6.4,
    /// algorithm L): one more than a value's place in `values`, or 0. At most half of it is taken,
    /// so each walk along it ends, and soon.
    table: Box<[u32]>,
    /// The bytes of the longest one: no longer value costs its hash.
    longest: usize,
    ignore_case: bool,
}

impl List {
    /// The list of these values, each kept once.
    pub(crate) fn new<'a>(texts: impl Iterator<Item = &'a str>, ignore_case: bool) -> Self {
        let texts: Vec<&str> = texts.collect();
        let longest = texts.iter().map(|text| text.len()).max().unwrap_or(0);
        let size = texts.len().saturating_mul(2).next_power_of_two();
        let largest = size.saturating_mul(MOST_SLOTS);
        let table = vec![0; size].into();
        let mut list = List { values: Vec::new(), table, longest, ignore_case };
        while !list.fill(&texts) && list.table.len() < largest {
            list.table = vec![0; list.table.len().saturating_mul(2)].into();
        }
        list
    }

    /// Puts values into the table; whether each walk along it is short.
    fn fill(&mut self, texts: &[&str]) -> bool {
        let (mut steps, mut is_short) = (0_usize, true);
        self.values.clear();
        for text in texts {
            let text = text.as_bytes();
            let slot = self
                .walk(text)
                .inspect(|_| steps = steps.wrapping_add(1))
                .find(|(_, place)| self.value(*place).is_none_or(|known| self.equal(known, text)));
            is_short &= std::mem::take(&mut steps) <= LONGEST_WALK;
            if let Some((slot, 0)) = slot
                && let Some(entry) = self.table.get_mut(slot)
            {
                self.values.push(text.into());
                *entry = u32::try_from(self.values.len()).unwrap_or(0);
            }
        }
        is_short
    }

    fn equal(&self, one: &[u8], other: &[u8]) -> bool {
        if self.ignore_case { one.eq_ignore_ascii_case(other) } else { one == other }
    }

    pub(crate) fn contains(&self, value: &[u8]) -> bool {
        if value.len() > self.longest {
            return false;
        }
        let mut found = self.walk(value).map_while(|(_, place)| self.value(place));
        found.any(|known| self.equal(known, value))
    }

    /// The values, if their case is ignored or counts as asked.
    pub(crate) fn values(&self, ignore_case: bool) -> Option<&[Box<[u8]>]> {
        (self.ignore_case == ignore_case).then_some(&*self.values)
    }

    fn value(&self, place: u32) -> Option<&[u8]> {
        self.values.get(usize::try_from(place.checked_sub(1)?).ok()?).map(|value| &**value)
    }

    /// The slots that may hold a value, with what is in them.
    fn walk(&self, value: &[u8]) -> impl Iterator<Item = (usize, u32)> {
        let mask = self.table.len().wrapping_sub(1);
        let hash = if self.ignore_case { folded(value, 0) } else { xxh64(value, 0) };
        let start = hash as usize;
        let slots = (0..self.table.len()).map(move |step| start.wrapping_add(step) & mask);
        slots.map_while(|slot| Some((slot, *self.table.get(slot)?)))
    }
}

/// A hash that is the same in either case of ASCII letters. Piece by piece, since a decision
/// allocates nothing, and the longest value would need 60 KiB of the stack.
pub(crate) fn folded(value: &[u8], seed: u64) -> u64 {
    value.chunks(64).fold(seed, |seed, chunk| {
        let mut piece = [0; 64];
        piece.iter_mut().zip(chunk).for_each(|(to, from)| *to = from.to_ascii_lowercase());
        xxh64(piece.get(..chunk.len()).unwrap_or_default(), seed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_its_values_and_no_others() {
        for count in [0, 1, 2, 3, 1000] {
            let values: Vec<_> = (0..count).map(|n| format!("value-{n}")).collect();
            let list = List::new(values.iter().map(String::as_str), false);
            for n in 0..2 * count {
                assert_eq!(list.contains(format!("value-{n}").as_bytes()), n < count, "{n}");
            }
            assert!(!list.contains(b""));
        }
    }

    #[test]
    fn case_may_be_ignored() {
        let values: Vec<_> = (0..200).map(|length| "aB1-".repeat(length)).collect();
        let list = List::new(values.iter().map(String::as_str), true);
        for value in &values {
            assert!(list.contains(value.to_ascii_uppercase().as_bytes()), "{value}");
            assert!(!list.contains(format!("{value}c").as_bytes()), "{value}");
        }
    }

    #[test]
    fn may_name_a_value_twice() {
        let list = List::new(["a", "b", "a"].into_iter(), false);
        assert!(list.contains(b"a") && list.contains(b"b") && !list.contains(b"c"));
        assert_eq!(list.values(false).map(<[_]>::len), Some(2));
        let folded = List::new(["a", "A", "b"].into_iter(), true);
        assert_eq!(folded.values(true).map(<[_]>::len), Some(2));
    }

    /// Their hashes end with the same 17 bits.
    #[test]
    fn values_that_collide_get_a_larger_table() {
        let same =
            (0..).map(|n| format!("{n}")).filter(|text| xxh64(text.as_bytes(), 0) % (1 << 9) == 7);
        let values: Vec<_> = same.take(200).collect();
        let list = List::new(values.iter().map(String::as_str), false);
        let most = values.iter().map(|value| {
            let value = value.as_bytes();
            list.walk(value).position(|(_, place)| list.value(place) == Some(value)).unwrap()
        });
        assert!(most.max() < Some(LONGEST_WALK), "{}", list.table.len());
    }

    #[test]
    fn a_look_up_is_short() {
        let values: Vec<_> = (0..10_000).map(|n| format!("customer-{n}")).collect();
        for ignore_case in [false, true] {
            let list = List::new(values.iter().map(String::as_str), ignore_case);
            let taken = |n: usize| {
                let value = format!("other-{n}");
                list.walk(value.as_bytes()).take_while(|(_, place)| *place != 0).count()
            };
            let longest = (0..10_000).map(taken).max();
            assert!(longest < Some(64), "{longest:?} {ignore_case}");
        }
    }
}
