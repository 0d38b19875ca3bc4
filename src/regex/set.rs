//! Sets of characters, and the classes of characters that some sets do not tell apart.

use std::collections::BTreeMap;

use crate::sorted::sorted;

/// Ranges of code points, first and last ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Set(pub(super) Vec<(u32, u32)>);

const LAST: u32 = char::MAX as u32;

impl Set {
    pub(super) fn one(c: char) -> Self {
        Set(vec![(c.into(), c.into())])
    }

    pub(super) fn all() -> Self {
        Set(vec![(0, LAST)])
    }

    /// A class that has a name in POSIX.
    pub(super) fn named(name: &str) -> Option<Self> {
        let ranges: &[(u8, u8)] = match name {
            "alnum" => &[(b'0', b'9'), (b'A', b'Z'), (b'a', b'z')],
            "alpha" => &[(b'A', b'Z'), (b'a', b'z')],
            "ascii" => &[(0, 0x7f)],
            "blank" => &[(b'\t', b'\t'), (b' ', b' ')],
            "cntrl" => &[(0, 0x1f), (0x7f, 0x7f)],
            "digit" => &[(b'0', b'9')],
            "graph" => &[(b'!', b'~')],
            "lower" => &[(b'a', b'z')],
            "print" => &[(b' ', b'~')],
            "punct" => &[(b'!', b'/'), (b':', b'@'), (b'[', b'`'), (b'{', b'~')],
            "space" => &[(b'\t', b'\r'), (b' ', b' ')],
            "upper" => &[(b'A', b'Z')],
            "word" => &[(b'0', b'9'), (b'A', b'Z'), (b'_', b'_'), (b'a', b'z')],
            "xdigit" => &[(b'0', b'9'), (b'A', b'F'), (b'a', b'f')],
            _ => return None,
        };
        Some(Set(ranges.iter().map(|(first, last)| ((*first).into(), (*last).into())).collect()))
    }

    /// The same with both cases of every ASCII letter in it.
    pub(super) fn folded(mut self) -> Self {
        for (first, last) in self.0.clone() {
            for (low, high, other) in [(b'a', b'z', b'A'), (b'A', b'Z', b'a')] {
                let (low, high) = (u32::from(low), u32::from(high));
                let (first, last) = (first.max(low), last.min(high));
                let moved = |c: u32| c.wrapping_sub(low).wrapping_add(other.into());
                if first <= last {
                    self.0.push((moved(first), moved(last)));
                }
            }
        }
        self
    }

    /// Every other character.
    pub(super) fn negated(self) -> Self {
        let (mut others, mut next) = (Vec::new(), 0);
        for (first, last) in sorted(self.0) {
            if let Some(before) = first.checked_sub(1).filter(|before| *before >= next) {
                others.push((next, before));
            }
            next = next.max(last.saturating_add(1));
        }
        if next <= LAST {
            others.push((next, LAST));
        }
        Set(others)
    }

    pub(super) fn contains(&self, c: u32) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&c))
    }
}

/// The classes of characters that some sets do not tell apart, numbered from 0.
#[derive(Clone, Debug)]
pub(super) struct Classes {
    ascii: [u16; 128],
    /// The first character of each run of one class, with that class, in order.
    runs: Vec<(u32, u16)>,
    /// The sets that hold each class.
    members: Vec<Vec<bool>>,
}

impl Classes {
    pub(super) fn new(sets: &[Set]) -> Self {
        let ends = sets.iter().flat_map(|set| &set.0);
        let ends = ends.flat_map(|(first, last)| [*first, last.saturating_add(1)]);
        let mut starts = sorted(ends.chain([0]).collect());
        starts.dedup();
        let (mut known, mut members) = (BTreeMap::new(), Vec::new());
        let mut run = |start: u32| {
            let holding: Vec<bool> = sets.iter().map(|set| set.contains(start)).collect();
            let class = *known.entry(holding).or_insert_with_key(|holding| {
                members.push(holding.clone());
                u16::try_from(members.len().saturating_sub(1)).unwrap_or(0)
            });
            (start, class)
        };
        let runs: Vec<_> = starts.into_iter().map(&mut run).collect();
        let mut classes = Classes { ascii: [0; 128], runs, members };
        let ascii = [(); 128].into_iter().zip(0..).map(|((), c)| classes.run(c));
        for (place, class) in ascii.collect::<Vec<_>>().into_iter().enumerate() {
            classes.ascii.iter_mut().skip(place).take(1).for_each(|known| *known = class);
        }
        classes
    }

    /// The number of classes.
    pub(super) fn count(&self) -> usize {
        self.members.len()
    }

    /// The number of sets.
    pub(super) fn sets(&self) -> u16 {
        u16::try_from(self.members.first().map_or(0, Vec::len)).unwrap_or(0)
    }

    /// The class of an ASCII character; `None` of any other byte.
    pub(super) fn of_byte(&self, byte: u8) -> Option<u16> {
        self.ascii.get(usize::from(byte)).copied()
    }

    pub(super) fn of(&self, c: char) -> u16 {
        self.run(c.into())
    }

    fn run(&self, c: u32) -> u16 {
        let behind = self.runs.partition_point(|(start, _)| *start <= c);
        let run = behind.checked_sub(1).and_then(|place| self.runs.get(place));
        run.map_or(0, |(_, class)| *class)
    }

    /// Whether a set, by its place, holds the characters of a class.
    pub(super) fn is_member(&self, set: u16, class: u16) -> bool {
        let sets = self.members.get(usize::from(class));
        sets.and_then(|sets| sets.get(usize::from(set))) == Some(&true)
    }
}
