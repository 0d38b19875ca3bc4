//! Looking for a text inside a value in time linear in the value, whatever both hold
//! (Knuth, Morris and Pratt, SIAM J. Comput. 6(2), 1977).

/// A text to look for.
#[derive(Debug)]
pub(crate) struct Search {
    needle: Box<[u8]>,
    /// For each length of a matched head of the needle: the length of its longest proper head that
    /// is also its tail.
    fallback: Box<[usize]>,
    ignore_case: bool,
}

impl Search {
    pub(crate) fn new(text: &str, ignore_case: bool) -> Self {
        let needle = if ignore_case { text.to_ascii_lowercase() } else { text.to_owned() };
        let mut search =
            Search { needle: needle.into_bytes().into(), fallback: Box::new([]), ignore_case };
        let mut fallback = vec![0];
        let mut matched = 0;
        for byte in search.needle.iter().skip(1) {
            search.fallback = fallback.clone().into();
            matched = search.step(matched, *byte);
            fallback.push(matched);
        }
        search.fallback = fallback.into();
        search
    }

    /// Whether the text is in a value; `None` if that has more bytes than steps are left.
    pub(crate) fn found_in(&self, value: &[u8], left: &mut u32) -> Option<bool> {
        *left = left.checked_sub(u32::try_from(value.len()).ok()?)?;
        let mut matched = 0;
        let found = self.needle.is_empty()
            || value.iter().any(|byte| {
                let byte = if self.ignore_case { byte.to_ascii_lowercase() } else { *byte };
                matched = self.step(matched, byte);
                matched == self.needle.len()
            });
        Some(found)
    }

    /// The length of the needle's head that ends with this byte, given the length before it.
    fn step(&self, mut matched: usize, byte: u8) -> usize {
        loop {
            if self.needle.get(matched) == Some(&byte) {
                return matched.saturating_add(1);
            }
            match matched.checked_sub(1).and_then(|last| self.fallback.get(last)) {
                Some(shorter) => matched = *shorter,
                None => return 0,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_trying_every_place() {
        let words = |length: usize| {
            (0..3_usize.pow(length as u32)).map(move |n| -> String {
                (0..length)
                    .map(|i| [b'a', b'b', b'B'][n / 3_usize.pow(i as u32) % 3] as char)
                    .collect()
            })
        };
        for needle in (0..=4).flat_map(words) {
            for value in (0..=6).flat_map(words) {
                for ignore_case in [false, true] {
                    let fold = |s: &str| if ignore_case { s.to_lowercase() } else { s.to_owned() };
                    let expected = fold(&value).contains(&fold(&needle));
                    let search = Search::new(&needle, ignore_case);
                    assert_eq!(
                        search.found_in(value.as_bytes(), &mut 6),
                        Some(expected),
                        "{needle} {value}"
                    );
                }
            }
        }
    }
}
