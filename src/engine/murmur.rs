//! MurmurHash2 and MurmurHash3 with 32 bits (Appleby, public domain), over a text in pieces. The
//! crates that have them take one slice, for which the pieces would have to be copied.

use super::Text;

/// A text as words of four bytes, little endian; the last one may be shorter.
struct Words<B>(B);

impl<B: Iterator<Item = u8>> Iterator for Words<B> {
    type Item = (u32, usize);

    fn next(&mut self) -> Option<(u32, usize)> {
        let mut word = [0; 4];
        let mut bytes = 0_usize;
        for (place, byte) in word.iter_mut().zip(&mut self.0) {
            *place = byte;
            bytes = bytes.saturating_add(1);
        }
        (bytes > 0).then_some((u32::from_le_bytes(word), bytes))
    }
}

/// MurmurHash2 with the seed 0.
pub(super) fn murmur2(text: Text<'_>) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = text.0.iter().fold(0_u32, |sum, piece| sum.wrapping_add(piece.len() as u32));
    for (word, bytes) in Words(text.bytes()) {
        if bytes == 4 {
            let k = word.wrapping_mul(M);
            hash = hash.wrapping_mul(M) ^ (k ^ (k >> 24)).wrapping_mul(M);
        } else {
            hash = (hash ^ word).wrapping_mul(M);
        }
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// The x86 variant of MurmurHash3.
pub(super) fn murmur3(text: Text<'_>, seed: u32) -> u32 {
    let (mut hash, mut length) = (seed, 0_u32);
    for (word, bytes) in Words(text.bytes()) {
        length = length.wrapping_add(bytes as u32);
        hash ^= word.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
        if bytes == 4 {
            hash = hash.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
        }
    }
    hash ^= length;
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the test vectors of SMHasher's users: Wikipedia's for MurmurHash3, and nginx's own
    /// documentation has none for MurmurHash2, whose values are those of `vectors/engines.json`.
    #[test]
    fn published_values() {
        for (text, seed, hash) in [
            ("", 0, 0),
            ("", 1, 0x514e_28b7),
            ("", 0xffff_ffff, 0x81f1_6f39),
            ("test", 0, 0xba6b_d213),
            ("test", 0x9747_b28c, 0x704b_81dc),
            ("Hello, world!", 0, 0xc036_3e43),
            ("Hello, world!", 0x9747_b28c, 0x2488_4cba),
            ("The quick brown fox jumps over the lazy dog", 0, 0x2e4f_f723),
            ("The quick brown fox jumps over the lazy dog", 0x9747_b28c, 0x2fa8_26cd),
        ] {
            assert_eq!(murmur3(Text([text.as_bytes(), b"", b""]), seed), hash, "{text} {seed:x}");
        }
    }

    #[test]
    fn pieces_are_one_text() {
        let whole = b"checkout.user-7exp1";
        for first in 0..whole.len() {
            for second in first..whole.len() {
                let pieces = Text([&whole[..first], &whole[first..second], &whole[second..]]);
                let text = Text([whole, b"", b""]);
                assert_eq!(murmur2(pieces), murmur2(text), "{first} {second}");
                assert_eq!(murmur3(pieces, 7), murmur3(text, 7), "{first} {second}");
            }
        }
    }
}
