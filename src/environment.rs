//! Chance and time, which the core cannot know by itself.

/// Asked for only where a decision needs it.
pub trait Environment {
    /// 64 uniform bits; a fast generator will do.
    fn random(&mut self) -> u64;

    /// 128 bits from the host's entropy, for an identity nobody else has; `None` if it has none.
    fn entropy(&mut self) -> Option<[u8; 16]>;

    /// The wall clock, in seconds since 1970 (UTC).
    fn now(&mut self) -> u64;
}
