//! The requests of one user, summed up.

/// A user of an experiment: 24 bytes, and 8 of the hash that stands for the unit.
#[derive(Debug, Default)]
pub struct User {
    /// The milliseconds of all requests.
    pub millis: u64,
    pub requests: u32,
    pub errors: u32,
    /// The requests that have a duration.
    pub timed: u32,
    /// The place of the first variant that the user was given, whose user it stays whatever follows
    /// (intention to treat): who changes sides is seldom like those who stay.
    pub variant: u8,
    /// A bit for each conversion.
    pub converted: u8,
    /// Whether other variants have followed.
    pub mixed: bool,
}
