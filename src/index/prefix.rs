//! A search for the prefixes that a path begins with.

use super::candidates::Candidates;
use crate::sorted::sorted;

/// Prefixes in byte order.
#[derive(Debug, Default)]
pub(super) struct Prefixes(Vec<Prefix>);

#[derive(Debug)]
struct Prefix {
    text: Box<[u8]>,
    /// The longest of the others that this one begins with.
    parent: Option<usize>,
    rules: Vec<u16>,
}

impl Prefixes {
    pub(super) fn new(given: Vec<(&[u8], u16)>) -> Self {
        let mut prefixes: Vec<Prefix> = Vec::new();
        for (text, rule) in sorted(given) {
            match prefixes.last_mut() {
                Some(last) if *last.text == *text => last.rules.push(rule),
                _ => {
                    let parent = chain(&prefixes, prefixes.len().checked_sub(1))
                        .find(|(_, prefix)| text.starts_with(&prefix.text))
                        .map(|(place, _)| place);
                    prefixes.push(Prefix { text: text.into(), parent, rules: vec![rule] });
                }
            }
        }
        Prefixes(prefixes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every prefix of a path sorts before it, and whatever sorts between the two begins with that
    /// prefix too: so they all lie on the chain of parents from the last one before the path.
    pub(super) fn add(&self, path: &[u8], found: &mut Candidates) {
        let before = self.0.partition_point(|prefix| *prefix.text <= *path);
        for (_, prefix) in chain(&self.0, before.checked_sub(1)) {
            if path.starts_with(&prefix.text) {
                prefix.rules.iter().for_each(|rule| found.insert(*rule));
            }
        }
    }
}

/// A prefix, its parent, and so on.
fn chain(prefixes: &[Prefix], from: Option<usize>) -> impl Iterator<Item = (usize, &Prefix)> {
    let at = |place: usize| Some((place, prefixes.get(place)?));
    std::iter::successors(from.and_then(at), move |(_, prefix)| prefix.parent.and_then(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_trying_each() {
        let words = |n: u16| -> Vec<u8> {
            (0..n % 6).map(|i| b'a' + (n / 7 / 2_u16.pow(i.into()) % 2) as u8).collect()
        };
        let prefixes: Vec<_> = (0..300).step_by(3).map(|n| (words(n), n)).collect();
        let index = Prefixes::new(prefixes.iter().map(|(text, n)| (text.as_slice(), *n)).collect());
        for path in (0..300).map(words).chain([b"aabbabab".to_vec()]) {
            let mut found = Candidates::default();
            index.add(&path, &mut found);
            let expected = prefixes.iter().filter(|(text, _)| path.starts_with(text));
            assert!(found.iter().eq(expected.map(|(_, n)| usize::from(*n))), "{path:?}");
        }
    }
}
