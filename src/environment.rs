//! What the core cannot know by itself: chance and time.

/// Asked for only where a decision needs it.
pub trait Environment {
    /// 64 uniform bits; a fast generator will do.
    fn random(&mut self) -> u64;

    /// 128 bits from the host's entropy, for an identity nobody else has; `None` if it has none.
    fn entropy(&mut self) -> Option<[u8; 16]>;

    /// The wall clock, in seconds since 1970 (UTC).
    fn now(&mut self) -> u64;
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Chance and time as a test wants them; every draw is the next of a sequence.
    #[derive(Clone, Default)]
    pub(crate) struct Fixed {
        pub(crate) draws: u64,
        pub(crate) now: u64,
    }

    impl Environment for Fixed {
        fn random(&mut self) -> u64 {
            self.draws += 1;
            self.draws.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        }

        fn entropy(&mut self) -> Option<[u8; 16]> {
            Some(u128::from(self.random()).to_le_bytes())
        }

        fn now(&mut self) -> u64 {
            self.now
        }
    }
}
