//! The users of an experiment, and what they have met.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

use super::experiment::Experiment;
use super::line::{Ending, LEFT_OUT, Line};

/// A user of an experiment: 24 bytes, and 8 of the hash that stands for the unit.
#[derive(Debug, Default)]
pub struct User {
    /// The milliseconds of all requests.
    pub millis: u64,
    pub requests: u32,
    pub errors: u32,
    /// The place of the first variant that the user was given, whose user it stays whatever follows
    /// (intention to treat): who changes sides is seldom like those who stay.
    pub variant: u8,
    /// A bit for each conversion.
    pub converted: u8,
    /// Whether other variants have followed.
    pub mixed: bool,
}

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
    /// The users whose assignment is older than the logs, so that its weights are not known.
    pub earlier: u64,
    /// The other users, by variant.
    pub fresh: Vec<u64>,
    /// The number of them expected by a ramp's weights, each user by those of the first line.
    ramped: Vec<f64>,
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
            earlier: 0,
            fresh: vec![0; variants],
            ramped: vec![0.0; variants],
        }
    }

    /// The number expected of [`Tally::fresh`].
    pub fn expected(&self) -> Vec<f64> {
        match self.experiment.weights.fixed() {
            None => self.ramped.clone(),
            // A sum of as many shares would not be exact.
            Some(shares) => {
                let users: u64 = self.fresh.iter().sum();
                shares.iter().map(|share| share * users as f64).collect()
            }
        }
    }

    pub fn users(&self) -> impl Iterator<Item = &User> {
        self.users.values()
    }

    /// Counts a line of the rule; `converted` has the bits of its conversions.
    pub fn see(&mut self, line: &Line<'_>, unit: Option<u64>, converted: u8) {
        self.lines += 1;
        if let Some(count) = line.left_out().and_then(|place| self.left_out.get_mut(place)) {
            *count += 1;
            return;
        }
        let Some(unit) = unit else {
            self.without_unit += 1;
            return;
        };
        let Some(variant) = self.variant(line) else {
            self.unknown += 1;
            return;
        };
        let user = match self.users.entry(unit) {
            Entry::Occupied(user) => user.into_mut(),
            Entry::Vacant(place) => {
                let user = place.insert(User { variant, ..User::default() });
                if line.is_persisted() {
                    self.earlier += 1;
                } else {
                    let fresh = self.fresh.get_mut(usize::from(variant));
                    fresh.into_iter().for_each(|fresh| *fresh += 1);
                    let Experiment { variants, weights, .. } = &mut self.experiment;
                    let shares = weights.at(variants, line.time.text());
                    let expected = self.ramped.iter_mut().zip(shares);
                    expected.for_each(|(expected, share)| *expected += share);
                }
                user
            }
        };
        if user.variant != variant && !user.mixed {
            user.mixed = true;
            self.mixed += 1;
        }
        user.converted |= converted;
        let ending = line.ending();
        if ending != Ending::Uncounted {
            user.requests = user.requests.saturating_add(1);
            user.errors = user.errors.saturating_add(u32::from(ending == Ending::Failed));
            // Negative and NaN become 0.
            let millis = line.duration_ms.number().unwrap_or(0.0) as u64;
            user.millis = user.millis.saturating_add(millis);
        }
    }

    fn variant(&self, line: &Line<'_>) -> Option<u8> {
        let name = line.variant.text()?;
        let place = self.experiment.variants.iter().position(|known| known == name)?;
        u8::try_from(place).ok()
    }

    /// Counts the conversions of a line of another rule, if the user has met the experiment.
    pub fn convert(&mut self, unit: u64, converted: u8) {
        if let Some(user) = self.users.get_mut(&unit) {
            user.converted |= converted;
        }
    }
}
