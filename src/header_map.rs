//! A header map as the proxy-wasm ABI hands it over: a count, the lengths of every name and value,
//! then these, each with a NUL behind it. Numbers are 32 bits, little endian.

/// The bytes of one, read where they lie: the SDK would copy every name and value.
#[derive(Debug, Default)]
pub(crate) struct HeaderMap(pub(crate) Vec<u8>);

impl HeaderMap {
    /// The fields in order, up to where the bytes make no sense.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let (count, rest) = self.0.split_first_chunk().unwrap_or((&[0; 4], &[]));
        let table = (u32::from_le_bytes(*count) as usize).saturating_mul(8);
        let (lengths, mut texts) = rest.split_at_checked(table).unwrap_or_default();
        let (lengths, _) = lengths.as_chunks::<4>();
        let (lengths, _) = lengths.as_chunks::<2>();
        lengths.iter().map_while(move |[name, value]| {
            let name = take(&mut texts, *name)?;
            let value = take(&mut texts, *value)?;
            Some((name, value))
        })
    }
}

/// A text and the NUL behind it.
fn take<'a>(texts: &mut &'a [u8], length: [u8; 4]) -> Option<&'a [u8]> {
    let (text, rest) = texts.split_at_checked(u32::from_le_bytes(length) as usize)?;
    *texts = rest.get(1..)?;
    Some(text)
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
    fn reads_no_further_than_it_makes_sense() {
        for length in 0..MAP.len() {
            assert!(read(&MAP[..length]).len() < 2, "{length}");
        }
        assert_eq!(read(b"\xff\xff\xff\xff\x01\0\0\0"), []);
        assert_eq!(read(b"\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xffab"), []);
    }
}
