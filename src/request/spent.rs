//! The work that a request has caused so far, where its client can ask for much of it.

use std::cell::Cell;

use crate::limits;

/// Work that may still be done for a request, and what came of some of it.
#[derive(Debug)]
pub struct Spent {
    /// Bytes of cookies that may still be searched.
    scanned: Cell<usize>,
    /// Values whose signatures may still be verified.
    signed: Cell<usize>,
    /// Bytes of values that may still be read for an identity inside them, and of keys that flag engines
    /// may hash.
    inner: Cell<usize>,
    /// Bytes that conditions may still look at in the second and later values of a header.
    repeated: Cell<usize>,
    /// For each cookie that issues identities, by its number: the place among its values of the one with
    /// an identity, from 2; 1 where there is none, 0 where nobody has looked.
    returned: Cell<[u16; limits::IDENTITIES]>,
    /// The cookies whose identity is to be set anew, as bits.
    due: Cell<u8>,
}

/// Bytes that each value counts for beside its own: to look at the shortest one takes time as well.
const LEAST: usize = 64;

impl Default for Spent {
    fn default() -> Self {
        Spent {
            scanned: Cell::new(limits::SCANNED_BYTES),
            signed: Cell::new(limits::SIGNED_VALUES_OF_REQUEST),
            inner: Cell::new(limits::INNER_BYTES),
            repeated: Cell::new(limits::REPEATED_BYTES),
            returned: Cell::default(),
            due: Cell::new(0),
        }
    }
}

impl Spent {
    /// Whether so many bytes more of cookies may be searched.
    pub(crate) fn scan(&self, bytes: usize) -> bool {
        take(&self.scanned, bytes)
    }

    /// Whether one more signed value may be verified.
    pub(crate) fn verify(&self) -> bool {
        take(&self.signed, 1)
    }

    /// Whether so many bytes more may be read.
    pub(crate) fn read(&self, bytes: usize) -> bool {
        take(&self.inner, bytes)
    }

    /// Whether a condition may look at one more value of a header, after the first one.
    pub(crate) fn repeat(&self, value: &[u8]) -> bool {
        take(&self.repeated, value.len().saturating_add(LEAST))
    }

    /// The place of the value with an identity, if it was looked for.
    pub(crate) fn returned(&self, cookie: u32) -> Option<Option<usize>> {
        let known = *self.returned.get().get(usize::try_from(cookie).ok()?)?;
        known.checked_sub(1).map(|known| known.checked_sub(1).map(usize::from))
    }

    /// Notes the place of the value with an identity, or that there is none.
    pub(crate) fn note_returned(&self, cookie: u32, place: Option<usize>) {
        let mut returned = self.returned.get();
        let known = place.and_then(|place| u16::try_from(place).ok()?.checked_add(2));
        if let Some(slot) = returned.get_mut(usize::try_from(cookie).unwrap_or(usize::MAX)) {
            *slot = known.unwrap_or(1);
        }
        self.returned.set(returned);
    }

    /// The cookies whose identity is to be set anew, as bits.
    pub(crate) fn due(&self) -> u8 {
        self.due.get()
    }

    /// Notes that the identity of the cookie with this bit is to be set anew.
    pub(crate) fn note_due(&self, bit: u8) {
        self.due.set(self.due.get() | bit);
    }
}

fn take(left: &Cell<usize>, what: usize) -> bool {
    let fewer = left.get().checked_sub(what);
    left.set(fewer.unwrap_or(0));
    fewer.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_work_ends() {
        let spent = Spent::default();
        assert_eq!((0..99).filter(|_| spent.verify()).count(), limits::SIGNED_VALUES_OF_REQUEST);
        assert!(spent.read(limits::INNER_BYTES) && !spent.read(1));
        assert!(spent.scan(limits::SCANNED_BYTES) && !spent.scan(1));
        let most = limits::REPEATED_BYTES / (LEAST + 4);
        assert_eq!((0..most + 9).filter(|_| spent.repeat(b"beta")).count(), most);
    }

    #[test]
    fn what_came_of_it_is_known() {
        let spent = Spent::default();
        for (cookie, place) in [(0, None), (7, Some(0)), (3, Some(255))] {
            assert_eq!(spent.returned(cookie), None);
            spent.note_returned(cookie, place);
            assert_eq!(spent.returned(cookie), Some(place));
        }
        assert_eq!(spent.returned(8), None);
    }
}
