//! Values of which any one may be met.

use xxhash_rust::xxh64::xxh64;

/// A list, found in by hash: a look-up takes as long in a long one as in a short one.
#[derive(Debug)]
pub(crate) struct List {
    values: Box<[Box<[u8]>]>,
    /// Open addressing with linear probing (Knuth, The Art of Computer Programming, section 6.4,
    /// algorithm L): one more than a value's place in `values`, or 0. At most half of it is taken,
    /// so each walk along it ends, and soon.
    table: Box<[u32]>,
    ignore_case: bool,
}

impl List {
    pub(crate) fn new<'a>(texts: impl Iterator<Item = &'a str>, ignore_case: bool) -> Self {
        let values: Box<[Box<[u8]>]> = texts.map(|text| text.as_bytes().into()).collect();
        let size = values.len().saturating_mul(2).next_power_of_two();
        let mut list = List { values, table: vec![0; size].into(), ignore_case };
        for place in 1..=u32::try_from(list.values.len()).unwrap_or(u32::MAX) {
            let free = list.value(place).and_then(|v| list.walk(v).find(|(_, taken)| *taken == 0));
            if let Some((slot, _)) = free
                && let Some(entry) = list.table.get_mut(slot)
            {
                *entry = place;
            }
        }
        list
    }

    pub(crate) fn contains(&self, value: &[u8]) -> bool {
        let mut found = self.walk(value).map_while(|(_, place)| self.value(place));
        if self.ignore_case {
            found.any(|known| known.eq_ignore_ascii_case(value))
        } else {
            found.any(|known| known == value)
        }
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
