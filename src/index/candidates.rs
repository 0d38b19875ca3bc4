//! A set of rules, in their order.

use crate::limits;

const WORDS: usize = limits::RULES.div_ceil(64);

/// Rules by their numbers, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Candidates([u64; WORDS]);

impl Candidates {
    pub(crate) fn insert(&mut self, rule: u16) {
        if let Some(word) = self.0.get_mut(usize::from(rule / 64)) {
            *word |= 1 << (rule % 64);
        }
    }

    /// The rules' numbers, the least first.
    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        let mut words = self.0.into_iter().zip((0_usize..).step_by(64));
        let (mut word, mut start) = (0, 0);
        std::iter::from_fn(move || {
            while word == 0 {
                (word, start) = words.next()?;
            }
            let bit = word.trailing_zeros();
            word &= word.wrapping_sub(1);
            Some(start.saturating_add(bit as usize))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_order() {
        let mut set = Candidates::default();
        for rule in [1023, 64, 0, 63, 64, 7] {
            set.insert(rule);
        }
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 7, 63, 64, 1023]);
    }
}
