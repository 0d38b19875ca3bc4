//! A field that may be absent, as its reader found it.

/// The three ways to find a field.
pub(crate) enum Given<T> {
    Absent,
    /// The field is there, and could not be read: an error says why.
    Wrong,
    Value(T),
}

impl<T> Given<T> {
    /// Whether the field is there, even if it is wrong.
    pub(crate) fn is_given(&self) -> bool {
        !matches!(self, Given::Absent)
    }

    pub(crate) fn value(self) -> Option<T> {
        match self {
            Given::Value(value) => Some(value),
            Given::Absent | Given::Wrong => None,
        }
    }

    /// The value, or the default of an absent field; `None` if the field is wrong.
    pub(crate) fn value_or(self, default: T) -> Option<T> {
        match self {
            Given::Value(value) => Some(value),
            Given::Absent => Some(default),
            Given::Wrong => None,
        }
    }
}
