//! A header map as the proxy-wasm ABI hands it over: a count, the lengths of every name and value,
//! then these, each with a NUL behind it. Numbers are 32 bits, little endian.

use crate::request::length;

/// The bytes of a header map, read where they lie: the SDK would copy every name and value.
#[derive(Debug, Default)]
pub(crate) struct HeaderMap(pub(crate) Vec<u8>);

impl HeaderMap {
    /// A map of these fields, names and values.
    #[cold]
    pub(crate) fn of(fields: &[(&[u8], &[u8])]) -> Self {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
        let mut bytes = number(fields.len()).to_vec();
        for (name, value) in fields {
            bytes.extend(number(name.len()));
            bytes.extend(number(value.len()));
        }
        for part in fields.iter().flat_map(|(name, value)| [name, value]) {
            bytes.extend_from_slice(part);
            bytes.push(0);
        }
        HeaderMap(bytes)
    }

    /// Looks at each field, name and value.
    pub(crate) fn each<'a>(&'a self, mut look: impl FnMut(&'a [u8], &'a [u8])) {
        let _: Option<()> = self.find(u64::MAX, |name, value| {
            look(name, value);
            None
        });
    }

    /// Calls `find` on each field, name and value, whose name has one of these lengths, in their order
    /// and up to where the bytes make no sense, and returns its first answer.
    pub(crate) fn find<'a, T>(
        &'a self,
        wanted: u64,
        mut find: impl FnMut(&'a [u8], &'a [u8]) -> Option<T>,
    ) -> Option<T> {
        let mut fields = self.fields()?;
        while let Some((name, value)) = fields.next_of(wanted) {
            let found = find(name, value);
            if found.is_some() {
                return found;
            }
        }
        None
    }

    fn fields(&self) -> Option<Fields<'_>> {
        let (count, rest) = self.0.split_first_chunk()?;
        let table = (u32::from_le_bytes(*count) as usize).checked_mul(8)?;
        let (table, texts) = rest.split_at_checked(table)?;
        Some(Fields { lengths: table.as_chunks().0, texts })
    }

    /// The first value of the field with this name.
    pub(crate) fn first(&self, name: &str) -> Option<&[u8]> {
        let found = |known: &[u8], value| (known == name.as_bytes()).then_some(value);
        self.find(length(name.len()), found)
    }

    /// Whether it has no field that could be read.
    pub(crate) fn is_empty(&self) -> bool {
        self.find(u64::MAX, |_, _| Some(())).is_none()
    }
}

/// The fields that are still to be looked at.
struct Fields<'a> {
    lengths: &'a [[u8; 8]],
    texts: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The next one whose name has one of these lengths. Most fields are passed over by the length, and
    /// so in one tight loop, whatever is done with the others.
    #[inline(never)]
    fn next_of(&mut self, wanted: u64) -> Option<(&'a [u8], &'a [u8])> {
        let Fields { mut lengths, mut texts } = *self;
        while let [first, rest @ ..] = lengths {
            // Two numbers in one, little endian: the length of the name lies below.
            let both = u64::from_le_bytes(*first);
            let (name, value) = (both as u32 as usize, (both >> 32) as usize);
            let (field, others) =
                texts.split_at_checked(name.checked_add(value)?.checked_add(2)?)?;
            (lengths, texts) = (rest, others);
            if wanted & length(name) != 0 {
                *self = Fields { lengths, texts };
                let (name, rest) = field.split_at_checked(name)?;
                return Some((name, rest.get(1..)?.get(..value)?));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &[u8] = b"\x02\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\0\0\0\0a\0bc\0x-\xff\0\0";

    /// The fields whose names have a wanted length.
    fn fields(bytes: &[u8], wanted: u64) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut fields = Vec::new();
        HeaderMap(bytes.to_vec()).find(wanted, |name, value| -> Option<()> {
            fields.push((name.to_vec(), value.to_vec()));
            None
        });
        fields
    }

    fn read(bytes: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        fields(bytes, u64::MAX)
    }

    #[test]
    fn writes_as_the_host_does() {
        assert_eq!(HeaderMap::of(&[(b"a", b"bc"), (b"x-\xff", b"")]).0, MAP);
    }

    #[test]
    fn reads_what_the_host_wrote() {
        let expected = [(b"a".to_vec(), b"bc".to_vec()), (b"x-\xff".to_vec(), Vec::new())];
        assert_eq!(read(MAP), expected);
    }

    #[test]
    fn finds_the_first_answer_among_names_of_a_length() {
        let names = |bytes| -> Vec<_> {
            fields(MAP, length(bytes)).into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(1), [b"a"]);
        assert_eq!(names(3), [b"x-\xff"]);
        assert!(names(2).is_empty());
        let map = HeaderMap(MAP.to_vec());
        assert_eq!(map.find(u64::MAX, |_, value| value.first()), Some(&b'b'));
        assert!(!map.is_empty() && HeaderMap::default().is_empty());
    }

    #[test]
    fn reads_no_further_than_it_makes_sense() {
        for length in 0..MAP.len() {
            assert!(read(&MAP[..length]).len() < 2, "{length}");
        }
        assert_eq!(read(b"\xff\xff\xff\xff\x01\0\0\0"), []);
        assert_eq!(read(b"\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xffab"), []);
    }
}
