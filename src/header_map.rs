//! A header map as the proxy-wasm ABI hands it over: a count, the lengths of every name and value,
//! then these, each with a NUL behind it. Numbers are 32 bits, little endian.

/// The bytes of one, read where they lie: the SDK would copy every name and value.
#[derive(Debug, Default)]
pub(crate) struct HeaderMap(pub(crate) Vec<u8>);

impl HeaderMap {
    /// The fields in order, up to where the bytes make no sense.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut fields = self.fields();
        std::iter::from_fn(move || {
            let (name, value) = fields.next()?;
            Some((fields.text(name)?, fields.text(value)?))
        })
    }

    /// The values of the fields with this name: the others are passed over by their lengths.
    pub(crate) fn values<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let mut fields = self.fields();
        std::iter::from_fn(move || {
            loop {
                let (known, value) = fields.next()?;
                if known.length == name.len() && fields.text(known)? == name {
                    return fields.text(value);
                }
            }
        })
    }

    fn fields(&self) -> Fields<'_> {
        let (count, rest) = self.0.split_first_chunk().unwrap_or((&[0; 4], &[]));
        let table = (u32::from_le_bytes(*count) as usize).saturating_mul(8);
        let (lengths, texts) = rest.split_at_checked(table).unwrap_or_default();
        let (lengths, _) = lengths.as_chunks::<4>();
        let (lengths, _) = lengths.as_chunks::<2>();
        Fields { lengths: lengths.iter(), texts, at: 0 }
    }
}

/// Where the names and values lie.
struct Fields<'a> {
    lengths: std::slice::Iter<'a, [[u8; 4]; 2]>,
    texts: &'a [u8],
    at: usize,
}

/// A name or a value.
#[derive(Clone, Copy)]
struct Place {
    start: usize,
    length: usize,
}

impl<'a> Fields<'a> {
    #[inline]
    fn next(&mut self) -> Option<(Place, Place)> {
        let [name, value] = self.lengths.next()?;
        Some((self.place(*name), self.place(*value)))
    }

    /// The next text; behind it lies a NUL.
    #[inline]
    fn place(&mut self, length: [u8; 4]) -> Place {
        let (start, length) = (self.at, u32::from_le_bytes(length) as usize);
        self.at = start.saturating_add(length).saturating_add(1);
        Place { start, length }
    }

    /// `None` where it would lie beyond the bytes.
    #[inline]
    fn text(&self, place: Place) -> Option<&'a [u8]> {
        let text = self.texts.get(place.start..)?;
        (place.length < text.len()).then_some(text.get(..place.length)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &[u8] = b"\x02\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\0\0\0\0a\0bc\0x-\xff\0\0";

    fn read(bytes: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let map = HeaderMap(bytes.to_vec());
        map.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
    }

    #[test]
    fn reads_what_the_host_wrote() {
        let expected = [(b"a".to_vec(), b"bc".to_vec()), (b"x-\xff".to_vec(), Vec::new())];
        assert_eq!(read(MAP), expected);
    }

    #[test]
    fn finds_the_values_of_a_name() {
        let map = b"\x03\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\x02\0\0\0a\x001\0b\0\0a\x0022\0";
        let map = HeaderMap(map.to_vec());
        assert_eq!(map.values(b"a").collect::<Vec<_>>(), [&b"1"[..], b"22"]);
        assert_eq!(map.values(b"b").collect::<Vec<_>>(), [b""]);
        assert_eq!(map.values(b"ab").count() + map.values(b"").count(), 0);
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
