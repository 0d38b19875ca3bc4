//! The clients that move between variants when one rule replaces another.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::keys::Source;
use crate::output::Ordered;
use crate::rules::{RuleAt, rounded};

/// The shares of all keys that stay or move, as `-o json` prints them.
#[derive(Serialize)]
pub struct Movement {
    pub rule: String,
    pub keys: u64,
    pub moved: f64,
    /// The least share that any scheme would have to move.
    pub minimum: f64,
    /// The shares from each old variant to each new one.
    pub matrix: Ordered<Ordered<f64>>,
    pub hints: Vec<String>,
}

impl Movement {
    /// Assigns each key by the old rule and by the new one, and counts.
    pub fn count(old: RuleAt<'_>, new: RuleAt<'_>, keys: &Source) -> Movement {
        let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        keys.for_each(|key| {
            if let (Some(from), Some(to)) = (old.place(key), new.place(key)) {
                *counts.entry((from, to)).or_default() += 1;
            }
        });
        let total = counts.values().sum::<u64>().max(1) as f64;
        let (from, to) = (old.shares(), new.shares());
        let share = |from: &str, to: &str| {
            counts.get(&(from, to)).map_or(0.0, |count| *count as f64 / total)
        };
        let row = |from: &str| {
            Ordered(to.iter().map(|(to, _)| ((*to).to_owned(), share(from, to))).collect())
        };
        let stayed: u64 = counts.iter().filter(|((a, b), _)| a == b).map(|(_, count)| count).sum();
        Movement {
            rule: old.rule.name().to_owned(),
            keys: keys.count(),
            moved: (total - stayed as f64) / total,
            minimum: rounded(minimum(&from, &to)),
            matrix: Ordered(from.iter().map(|(from, _)| ((*from).to_owned(), row(from))).collect()),
            hints: Vec::new(),
        }
    }
}

/// The total variation of two distributions of shares, which is the least that has to move: the
/// shares that grow have to come from somewhere.
fn minimum(old: &[(&str, f64)], new: &[(&str, f64)]) -> f64 {
    let before = |name: &str| old.iter().find(|(known, _)| *known == name).map_or(0.0, |(_, p)| *p);
    new.iter().map(|(name, share)| (share - before(name)).max(0.0)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_possible_is_the_total_variation() {
        let near = |a: f64, b: f64| (a - b).abs() < 1e-12;
        let abc = |a, b, c| [("a", a), ("b", b), ("c", c)];
        assert!(near(minimum(&abc(0.5, 0.3, 0.2), &abc(0.4, 0.3, 0.3)), 0.1));
        assert!(near(minimum(&abc(0.34, 0.33, 0.33), &[("c", 0.5), ("b", 0.5)]), 0.34));
        assert!(near(minimum(&[("a", 1.0)], &[("b", 1.0)]), 1.0));
        assert!(near(minimum(&abc(0.5, 0.3, 0.2), &abc(0.5, 0.3, 0.2)), 0.0));
    }
}
