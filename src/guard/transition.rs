//! Transitions of a guard, as the log tells them.

use std::fmt;

/// A transition of a guard from one state to another, and why. Its text is the end of a log line.
///
/// ```
/// use traffic_split::guard::Transition;
///
/// let slow = Transition::Latency { watch_p95_ms: 830.4, fallback_p95_ms: 95.0 };
/// assert_eq!(slow.to_string(), "p95 of 830 ms, against 95 ms");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Transition {
    /// The guard trips: the watched variant failed too often.
    Errors {
        /// The errors of the watched variant.
        watch: ErrorCount,
        /// The errors of the fallback in the same window.
        fallback: ErrorCount,
    },
    /// The guard trips: the watched variant was too slow.
    Latency {
        /// The 95th percentile of the watched variant in milliseconds.
        watch_p95_ms: f64,
        /// The 95th percentile of the fallback in milliseconds.
        fallback_p95_ms: f64,
    },
    /// The cooldown is over: the trial begins.
    Trial,
    /// The trial went well: the guard closes.
    Recovered,
}

/// The errors among some responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorCount {
    /// The server errors and resets.
    pub errors: u32,
    /// All responses and resets.
    pub responses: u32,
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Transition::Errors { watch, fallback } => {
                let ErrorCount { errors, responses } = watch;
                write!(f, "{errors} errors in {responses} responses, ")?;
                write!(f, "against {} in {}", fallback.errors, fallback.responses)
            }
            Transition::Latency { watch_p95_ms, fallback_p95_ms } => {
                let (watch, fallback) =
                    (watch_p95_ms.round() as u64, fallback_p95_ms.round() as u64);
                write!(f, "p95 of {watch} ms, against {fallback} ms")
            }
            Transition::Trial => write!(f, "cooldown over"),
            Transition::Recovered => write!(f, "a good window"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// These are the ends of log lines that README tells operators to look for.
    #[test]
    fn a_transition_says_why() {
        let count = |errors, responses| ErrorCount { errors, responses };
        for (transition, text) in [
            (
                Transition::Errors { watch: count(6, 29), fallback: count(1, 373) },
                "6 errors in 29 responses, against 1 in 373",
            ),
            (
                Transition::Latency { watch_p95_ms: 830.4, fallback_p95_ms: 94.5 },
                "p95 of 830 ms, against 95 ms",
            ),
            (Transition::Trial, "cooldown over"),
            (Transition::Recovered, "a good window"),
        ] {
            assert_eq!(transition.to_string(), text);
        }
    }
}
