//! Looking at many bytes at once: a byte at a time, the longest request would cost several times as
//! much.

const ONES: u64 = u64::from_le_bytes([1; 8]);
const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
/// Bytes looked at together.
const WORD: usize = 8;
/// Bytes of the words that share one branch.
const BLOCK: usize = 8 * WORD;
/// Bytes beyond which blocks pay.
const LONG: usize = 4 * BLOCK;

/// Splits a text at the first such byte, which is left out.
#[inline(never)]
pub(crate) fn split_at_byte(text: &[u8], byte: u8) -> (&[u8], Option<&[u8]>) {
    match find(text, byte).and_then(|place| text.split_at_checked(place)) {
        Some((head, rest)) => (head, rest.get(1..)),
        None => (text, None),
    }
}

/// The place of the first such byte.
fn find(text: &[u8], byte: u8) -> Option<usize> {
    let pattern = u64::from_le_bytes([byte; WORD]);
    let start = if text.len() > LONG { blocks_without(text, pattern) } else { 0 };
    let (words, rest) = text.get(start..)?.as_chunks::<WORD>();
    let mut places = (start..).step_by(WORD);
    for (word, place) in words.iter().zip(places.by_ref()) {
        let zeros = zeros(word, pattern);
        if zeros != 0 {
            return place.checked_add((zeros.trailing_zeros() / 8) as usize);
        }
    }
    places.next()?.checked_add(rest.iter().position(|known| *known == byte)?)
}

/// The bytes of the blocks in front that have no byte of the pattern.
#[inline(never)]
fn blocks_without(text: &[u8], pattern: u64) -> usize {
    let (blocks, _) = text.as_chunks::<BLOCK>();
    let without = |block: &[u8; BLOCK]| any(block, |word| zeros(word, pattern)) == 0;
    blocks.iter().take_while(|block| without(block)).count().saturating_mul(BLOCK)
}

/// The highest bit of each byte that is the pattern's, by the test for a zero byte of Hacker's Delight,
/// section 6-1. Only above the first one can another byte be mistaken for it.
fn zeros(word: &[u8; WORD], pattern: u64) -> u64 {
    let word = u64::from_le_bytes(*word) ^ pattern;
    word.wrapping_sub(ONES) & !word & HIGHS
}

/// Whether a text has no NUL, CR or LF: such bytes end a field, or worse (RFC 9110 section 5.5).
pub(super) fn is_clean(text: &[u8]) -> bool {
    if text.len() > LONG { are_clean(text) } else { each_is_clean(text) }
}

/// The same by blocks.
#[inline(never)]
fn are_clean(text: &[u8]) -> bool {
    const LEAST: u64 = u64::from_le_bytes([b'\r' + 1; 8]);
    // Some byte is less than the least, or above one that is.
    let controls = |word: &[u8; WORD]| {
        let word = u64::from_le_bytes(*word);
        word.wrapping_sub(LEAST) & !word & HIGHS
    };
    let (blocks, rest) = text.as_chunks::<BLOCK>();
    blocks.iter().all(|block| any(block, controls) == 0 || each_is_clean(block))
        && each_is_clean(rest)
}

fn each_is_clean(text: &[u8]) -> bool {
    // Most bytes are clean by the first comparison.
    text.iter().all(|b| *b > b'\r' || !matches!(b, b'\0' | b'\r' | b'\n'))
}

/// The bits that a test of any word of a block gives.
fn any(block: &[u8; BLOCK], test: impl Fn(&[u8; WORD]) -> u64) -> u64 {
    block.as_chunks::<WORD>().0.iter().fold(0, |bits, word| bits | test(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths() -> impl Iterator<Item = usize> {
        (0..50).chain(LONG - 3..LONG + 20)
    }

    #[test]
    fn a_text_is_split_wherever_the_byte_is() {
        // `:` and `<` differ from it in the lowest bits, and \xbb in the highest one.
        for filler in [b'a', b':', b'<', 0, 0xbb, 0xff] {
            for length in lengths() {
                let mut line = vec![filler; length];
                assert_eq!(split_at_byte(&line, b';'), (&*line, None));
                for place in (0..length).rev() {
                    line[place] = b';';
                    let (head, rest) = split_at_byte(&line, b';');
                    assert_eq!((head, rest), (&line[..place], Some(&line[place + 1..])));
                }
            }
        }
    }

    #[test]
    fn a_byte_that_ends_a_field_is_seen_wherever_it_is() {
        for filler in [b'a', b' ', b'\t', 1, 0x0e, 0x80, 0x8d, 0xff] {
            for length in lengths() {
                let mut text = vec![filler; length];
                assert!(is_clean(&text), "{text:?}");
                for place in 0..length {
                    for byte in [b'\0', b'\r', b'\n'] {
                        text[place] = byte;
                        assert!(!is_clean(&text), "{text:?}");
                    }
                    text[place] = filler;
                }
            }
        }
    }
}
