//! Input of a request that the filter treats as absent.

use std::cell::Cell;

/// A kind of ignored input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// The value of a header is too long, or holds NUL, CR or LF.
    Value,
    /// Cookies lie beyond the limits.
    Cookies,
    /// A sticky key is too long.
    Key,
    /// An identity or assignment in a cookie does not verify.
    Signature,
    /// Query parameters lie beyond the limits.
    Query,
    /// A value is too long for a regular expression or `contains`.
    Search,
}

impl Ignored {
    /// Every kind, in the order of their numbers.
    pub(crate) const ALL: [Ignored; 6] = [
        Ignored::Value,
        Ignored::Cookies,
        Ignored::Key,
        Ignored::Signature,
        Ignored::Query,
        Ignored::Search,
    ];

    /// The label `what` of the metric `tsplit_absent_total`, which the debug header shows as well.
    pub fn name(self) -> &'static str {
        match self {
            Ignored::Value => "value",
            Ignored::Cookies => "cookies",
            Ignored::Key => "key",
            Ignored::Signature => "seal",
            Ignored::Query => "query",
            Ignored::Search => "search",
        }
    }
}

/// Kinds of ignored input, each once. It is filled while a request is only looked at.
///
/// ```
/// use traffic_split::{Ignored, IgnoredSet};
///
/// let ignored = IgnoredSet::default();
/// ignored.insert(Ignored::Key);
/// ignored.insert(Ignored::Key);
/// assert_eq!(ignored.iter().collect::<Vec<_>>(), [Ignored::Key]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IgnoredSet(Cell<u8>);

impl IgnoredSet {
    /// Adds a kind.
    pub fn insert(&self, what: Ignored) {
        self.0.set(self.0.get() | 1 << what as u8);
    }

    /// The kinds in the set, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = Ignored> {
        let set = self.0.get();
        Ignored::ALL.into_iter().filter(move |what| set & (1 << *what as u8) != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_each_kind_once() {
        let set = IgnoredSet::default();
        assert_eq!(set.iter().count(), 0);
        for kind in [Ignored::Signature, Ignored::Value, Ignored::Signature] {
            set.insert(kind);
        }
        assert_eq!(set.iter().collect::<Vec<_>>(), [Ignored::Value, Ignored::Signature]);
        Ignored::ALL.into_iter().for_each(|kind| set.insert(kind));
        assert_eq!(set.iter().collect::<Vec<_>>(), Ignored::ALL);
    }

    /// The names are labels of a metric, and so part of the public contract.
    #[test]
    fn names_never_change() {
        assert_eq!(
            Ignored::ALL.map(Ignored::name),
            ["value", "cookies", "key", "seal", "query", "search"]
        );
    }
}
