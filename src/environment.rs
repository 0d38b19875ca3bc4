//! Chance and time, which the core cannot know by itself.

/// The source of chance and time. A decision asks for them only if it needs them.
///
/// ```
/// use traffic_split::Environment;
///
/// /// A world in which nothing ever happens by chance.
/// struct Still;
///
/// impl Environment for Still {
///     fn random(&mut self) -> u64 {
///         0
///     }
///
///     fn entropy(&mut self) -> Option<[u8; 16]> {
///         None
///     }
///
///     fn now(&mut self) -> u64 {
///         1_796_115_600
///     }
/// }
///
/// assert_eq!(traffic_split::config::format_time(Still.now()), "2026-12-01T09:00:00Z");
/// ```
pub trait Environment {
    /// 64 uniform bits; a fast generator will do.
    fn random(&mut self) -> u64;

    /// 128 bits from the host's entropy, for an identity nobody else has; `None` if it has none.
    fn entropy(&mut self) -> Option<[u8; 16]>;

    /// The wall clock, in seconds since 1970 (UTC).
    fn now(&mut self) -> u64;
}
