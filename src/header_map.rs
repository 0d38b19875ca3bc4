//! A header map as the proxy-wasm ABI hands it over: a count, the lengths of every name and value,
//! then these, each with a NUL behind it. Numbers are 32 bits, little endian.

use crate::request::length;

/// The bytes of one, read where they lie: the SDK would copy every name and value.
#[derive(Debug, Default)]
pub(crate) struct HeaderMap(pub(crate) Vec<u8>);

impl HeaderMap {
    /// The fields in order, up to where the bytes make no sense.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.of_lengths(u64::MAX)
    }

    /// Those with names of these lengths, see [`length`].
    pub(crate) fn of_lengths(&self, lengths: u64) -> impl Iterator<Item = (&[u8], &[u8])> {
        let (places, texts) = self.places();
        let wanted = move |place: &Field| {
            lengths & usize::try_from(place.name_length).map_or(0, length) != 0
        };
        places.filter(wanted).map_while(|place| Some((place.name(texts)?, place.value(texts)?)))
    }

    /// The values of the fields with this name: the others are passed over by their lengths.
    pub(crate) fn values<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let (mut places, texts) = self.places();
        let length = name.len() as u64;
        std::iter::from_fn(move || {
            places
                .find(|place| place.name_length == length && place.name(texts) == Some(name))?
                .value(texts)
        })
    }

    /// Where each field lies, and in what.
    fn places(&self) -> (impl Iterator<Item = Field>, &[u8]) {
        let (count, rest) = self.0.split_first_chunk().unwrap_or((&[0; 4], &[]));
        let table = (u32::from_le_bytes(*count) as usize).saturating_mul(8);
        let (lengths, texts) = rest.split_at_checked(table).unwrap_or_default();
        let (lengths, _) = lengths.as_chunks::<4>();
        let (lengths, _) = lengths.as_chunks::<2>();
        // So few lengths of 32 bits cannot add up to more than 64 hold.
        let mut start = 0_u64;
        let places = lengths.iter().map(move |[name, value]| {
            let [name_length, value_length] = [name, value].map(|l| u32::from_le_bytes(*l).into());
            let place = Field { start, name_length, value_length };
            start = place.end();
            place
        });
        (places, texts)
    }
}

/// Where the name of a field starts; behind it and behind its value lies a NUL.
struct Field {
    start: u64,
    name_length: u64,
    value_length: u64,
}

impl Field {
    fn name<'a>(&self, texts: &'a [u8]) -> Option<&'a [u8]> {
        text(texts, self.start, self.name_length)
    }

    fn value<'a>(&self, texts: &'a [u8]) -> Option<&'a [u8]> {
        text(texts, self.start.wrapping_add(self.name_length).wrapping_add(1), self.value_length)
    }

    fn end(&self) -> u64 {
        self.start.wrapping_add(self.name_length).wrapping_add(self.value_length).wrapping_add(2)
    }
}

/// `None` where it, or the NUL behind it, would lie beyond the bytes.
fn text(texts: &[u8], start: u64, length: u64) -> Option<&[u8]> {
    let (text, rest) = texts
        .get(usize::try_from(start).ok()?..)?
        .split_at_checked(usize::try_from(length).ok()?)?;
    (!rest.is_empty()).then_some(text)
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
    fn finds_the_fields_with_names_of_some_lengths() {
        let map = HeaderMap(MAP.to_vec());
        let names = |lengths| map.of_lengths(lengths).map(|(name, _)| name).collect::<Vec<_>>();
        let [one, two, three] = [1, 2, 3].map(length);
        assert_eq!(names(one), [&b"a"[..]]);
        assert_eq!(names(two | three), [b"x-\xff"]);
        assert_eq!(names(two), [b""; 0]);
        assert_eq!(length(63), length(8192));
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
