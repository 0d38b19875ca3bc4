//! The users of an experiment, and what they have met.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

use super::event::Request;
use super::experiment::Experiment;
use super::line::{Ending, LEFT_OUT};
use super::sample::Sample;
use super::user::User;

/// The counts of an experiment.
pub struct Tally<'c> {
    pub experiment: Experiment<'c>,
    users: HashMap<u64, User, BuildHasherDefault<Hashed>>,
    /// The lines of its rule.
    pub lines: u64,
    pub without_unit: u64,
    /// The lines of variants that it does not have.
    pub unknown: u64,
    /// The lines that do not count, by [`LEFT_OUT`].
    pub left_out: [u64; LEFT_OUT.len()],
    pub mixed: u64,
    pub sample: Sample,
}

/// Takes a hash as it is.
#[derive(Default)]
pub struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl<'c> Tally<'c> {
    pub fn new(experiment: Experiment<'c>) -> Self {
        let variants = experiment.variants.len();
        Tally {
            experiment,
            users: HashMap::default(),
            lines: 0,
            without_unit: 0,
            unknown: 0,
            left_out: [0; LEFT_OUT.len()],
            mixed: 0,
            sample: Sample::new(variants),
        }
    }

    pub fn has_users(&self) -> bool {
        !self.users.is_empty()
    }

    pub fn users(&self) -> impl Iterator<Item = &User> {
        self.users.values()
    }

    /// Counts a request of the rule, at the time of its line. `is_other` says that the request was decided
    /// by another configuration than the one that has the weights.
    pub fn see(&mut self, request: &Request, time: &str, is_other: bool) {
        self.lines += 1;
        if let Some(count) = request.left_out.and_then(|place| self.left_out.get_mut(place)) {
            *count += 1;
            return;
        }
        let Some(unit) = request.unit else {
            self.without_unit += 1;
            return;
        };
        let Some(variant) = request.variant else {
            self.unknown += 1;
            return;
        };
        let user = match self.users.entry(unit) {
            Entry::Occupied(user) => user.into_mut(),
            Entry::Vacant(place) => {
                self.sample.add(&mut self.experiment, (request, variant), time, is_other);
                place.insert(User { variant, ..User::default() })
            }
        };
        if user.variant != variant && !user.mixed {
            user.mixed = true;
            self.mixed += 1;
        }
        user.converted |= request.converted;
        if request.ending != Ending::Uncounted {
            user.requests = user.requests.saturating_add(1);
            let failed = u32::from(request.ending == Ending::Failed);
            user.errors = user.errors.saturating_add(failed);
            user.timed = user.timed.saturating_add(u32::from(request.millis.is_some()));
            user.millis = user.millis.saturating_add(request.millis.unwrap_or(0));
        }
    }

    /// Counts the conversions of a line of another rule, if the user has met the experiment.
    pub fn convert(&mut self, unit: u64, converted: u8) {
        if let Some(user) = self.users.get_mut(&unit) {
            user.converted |= converted;
        }
    }
}
