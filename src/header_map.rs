//! A header map as the proxy-wasm ABI hands it over: a count, the lengths of every name and value,
//! then these, each with a NUL behind it. Numbers are 32 bits, little endian.

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
    #[cold]
    pub(crate) fn each<'a>(&'a self, look: &mut dyn FnMut(&'a [u8], &'a [u8])) {
        let _: Option<()> = self.find(
            |_| true,
            |name, value| {
                look(name, value);
                None
            },
        );
    }

    /// Calls `find` on each field, name and value, whose name has a wanted length, in their order and
    /// up to where the bytes make no sense, and returns its first answer. Most fields are passed over
    /// by the length.
    pub(crate) fn find<'a, T>(
        &'a self,
        wanted: impl Fn(usize) -> bool,
        mut find: impl FnMut(&'a [u8], &'a [u8]) -> Option<T>,
    ) -> Option<T> {
        let (count, rest) = self.0.split_first_chunk()?;
        let table = (u32::from_le_bytes(*count) as usize).checked_mul(8)?;
        let (table, mut texts) = rest.split_at_checked(table)?;
        let (lengths, _) = table.as_chunks::<8>();
        for lengths in lengths {
            // Two numbers in one, little endian: the length of the name lies below.
            let lengths = u64::from_le_bytes(*lengths);
            let (name, value) = (lengths as u32 as usize, (lengths >> 32) as usize);
            let field = name.checked_add(value)?.checked_add(2)?;
            let (field, others) = texts.split_at_checked(field)?;
            if wanted(name)
                && let Some((name, rest)) = field.split_at_checked(name)
                && let Some(value) = rest.get(1..).and_then(|rest| rest.get(..value))
            {
                let found = find(name, value);
                if found.is_some() {
                    return found;
                }
            }
            texts = others;
        }
        None
    }

    /// The first value of the field with this name.
    pub(crate) fn first(&self, name: &str) -> Option<&[u8]> {
        let found = |known: &[u8], value| (known == name.as_bytes()).then_some(value);
        self.find(|length| length == name.len(), found)
    }

    /// Whether it has no field that could be read.
    pub(crate) fn is_empty(&self) -> bool {
        self.find(|_| true, |_, _| Some(())).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &[u8] = b"\x02\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\0\0\0\0a\0bc\0x-\xff\0\0";

    /// The fields whose names have a wanted length.
    fn fields(bytes: &[u8], wanted: impl Fn(usize) -> bool) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut fields = Vec::new();
        HeaderMap(bytes.to_vec()).find(wanted, |name, value| -> Option<()> {
            fields.push((name.to_vec(), value.to_vec()));
            None
        });
        fields
    }

    fn read(bytes: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        fields(bytes, |_| true)
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
        let names = |length| -> Vec<_> {
            fields(MAP, |known| known == length).into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(1), [b"a"]);
        assert_eq!(names(3), [b"x-\xff"]);
        assert!(names(2).is_empty());
        let map = HeaderMap(MAP.to_vec());
        assert_eq!(map.find(|_| true, |_, value| value.first()), Some(&b'b'));
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
