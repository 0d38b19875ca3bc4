//! An environment that tests of the core and of its users share.

use crate::environment::Environment;

/// Chance and time as a test wants them.
///
/// ```
/// use traffic_split::Environment;
/// use traffic_split::testing::FixedEnvironment;
///
/// let mut environment = FixedEnvironment { now: 1_800_000_000, ..Default::default() };
/// assert_eq!(environment.now(), 1_800_000_000);
/// assert_ne!(environment.random(), environment.random());
/// ```
#[derive(Clone, Debug, Default)]
pub struct FixedEnvironment {
    /// The number of draws so far. Environments with the same number draw alike.
    pub draws: u64,
    /// The source of identities.
    pub entropy: Entropy,
    /// The wall clock, in seconds since 1970 (UTC).
    pub now: u64,
}

/// Entropy as a test wants it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Entropy {
    /// Each time the next draw.
    #[default]
    Drawn,
    /// Always these bytes.
    Fixed([u8; 16]),
    /// The host has none.
    Missing,
}

impl Environment for FixedEnvironment {
    fn random(&mut self) -> u64 {
        self.draws = self.draws.wrapping_add(1);
        // Fibonacci hashing (Knuth, The Art of Computer Programming, section 6.4).
        self.draws.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn entropy(&mut self) -> Option<[u8; 16]> {
        match self.entropy {
            Entropy::Drawn => Some(u128::from(self.random()).to_le_bytes()),
            Entropy::Fixed(bytes) => Some(bytes),
            Entropy::Missing => None,
        }
    }

    fn now(&mut self) -> u64 {
        self.now
    }
}
