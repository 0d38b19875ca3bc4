//! The users of the sample-ratio check, and how many of them the weights make.

use super::event::Request;
use super::experiment::Experiment;

/// The users who are not in the check, since nobody knows the weights that assigned them; and the words
/// for people.
pub const UNCHECKED: [(&str, &str); 3] = [
    ("earlier", "assigned before the log begins"),
    ("other_generation", "first seen under another configuration than that of -f"),
    ("no_time", "first seen within a ramp, at a time that is not in UTC"),
];

const EARLIER: usize = 0;
const OTHER_GENERATION: usize = 1;
const NO_TIME: usize = 2;

/// The users of an experiment as the check has them.
pub struct Sample {
    /// The number of them, by variant.
    pub fresh: Vec<u64>,
    /// The number of them expected by a ramp's weights, each user by those of the first line.
    ramped: Vec<f64>,
    /// The other users, by [`UNCHECKED`].
    pub unchecked: [u64; UNCHECKED.len()],
}

impl Sample {
    pub fn new(variants: usize) -> Sample {
        Sample { fresh: vec![0; variants], ramped: vec![0.0; variants], unchecked: [0; 3] }
    }

    /// Counts a user who was given this variant by the first request, at the time of its line.
    /// `is_other` says that another configuration decided than the one that has the weights.
    pub fn add(
        &mut self,
        experiment: &mut Experiment<'_>,
        (request, variant): (&Request, u8),
        time: &str,
        is_other: bool,
    ) {
        let Experiment { variants, weights, .. } = experiment;
        let shares = match (request.is_persisted, is_other) {
            (true, _) => Err(EARLIER),
            (false, true) => Err(OTHER_GENERATION),
            (false, false) => weights.at(variants, time).ok_or(NO_TIME),
        };
        match shares {
            Ok(shares) => {
                self.fresh.get_mut(usize::from(variant)).into_iter().for_each(|users| *users += 1);
                let expected = self.ramped.iter_mut().zip(shares);
                expected.for_each(|(expected, share)| *expected += share);
            }
            Err(why) => self.unchecked.get_mut(why).into_iter().for_each(|users| *users += 1),
        }
    }

    /// The number expected of [`Sample::fresh`].
    pub fn expected(&self, experiment: &Experiment<'_>) -> Vec<f64> {
        match experiment.weights.fixed() {
            None => self.ramped.clone(),
            // A sum of as many shares would not be exact.
            Some(shares) => {
                let users: u64 = self.fresh.iter().sum();
                shares.iter().map(|share| share * users as f64).collect()
            }
        }
    }
}
