//! The answers that a crowd saw, beside those that it should have seen.

use anyhow::{Context, Result, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use traffic_split::testing::FixedEnvironment;
use traffic_split::{Outcome, Plan, Snapshot};
use wasm_tests::bootstrap::POINT_HEADER;
use wasm_tests::istio::weights::Change;
use wasm_tests::load::standard_errors;
use wasm_tests::message::Request;
use wasm_tests::native;
use wasm_tests::route::entry;

/// The users with a cookie of their own.
pub const USERS: usize = 10_000;

/// An answer.
#[derive(Clone, Copy, Debug)]
pub struct Visit {
    /// When it was asked for.
    pub sent: Duration,
    /// When it came.
    pub answered: Duration,
    /// The user's number.
    pub user: usize,
    /// Whether it is the canary's.
    pub canary: bool,
}

/// All answers.
pub struct Seen {
    /// In the order in which they were asked for.
    pub visits: Vec<Visit>,
    /// The cookies of new users, by their numbers.
    pub issued: BTreeMap<usize, String>,
    /// The weights that the route had.
    pub changes: Vec<Change>,
}

/// A request of the user of this number.
pub fn user(request: &Request, number: usize) -> Request {
    request.clone().with("cookie", format!("uid=user-{number}").as_str())
}

/// The number that the native core writes for a request.
pub fn point(plan: &Plan, request: &Request) -> Result<u64> {
    let snapshot = Snapshot::new(plan, 0);
    let mut environment = FixedEnvironment::default();
    let request = native::request(request);
    let outcome = Outcome::decide(plan, &snapshot, &request, &mut environment);
    let mut changes = outcome.request_headers();
    let written = changes.find(|change| change.name == POINT_HEADER).context("no such header")?;
    Ok(std::str::from_utf8(written.value.context("it is removed")?)?.parse()?)
}

/// Whether Envoy's arithmetic sends this point to the canary, which has so many percent and stands
/// last.
pub fn goes_to_canary(point: u64, percent: u32) -> bool {
    entry(point, &[("stable", 100 - percent), ("canary", percent)]) == "canary"
}

/// The time that Envoy's workers may take a new route after each other.
const APART: Duration = Duration::from_millis(500);

impl Seen {
    /// The weights that a request may have met.
    fn met(&self, visit: &Visit) -> impl Iterator<Item = u32> {
        let ends = self.changes.iter().skip(1).map(|next| next.after + APART);
        let ends = ends.chain([Duration::MAX]);
        let (sent, answered) = (visit.sent, visit.answered);
        let during = self.changes.iter().zip(ends);
        during
            .filter(move |(change, end)| change.before <= answered && sent <= *end)
            .map(|(change, _)| change.canary)
    }

    /// The time up to which the canary only grew.
    fn grew(&self) -> Duration {
        let falls = self.changes.windows(2).find(|two| two[1].canary < two[0].canary);
        falls.map_or(Duration::MAX, |two| two[1].before)
    }

    /// The users who were in the canary and left it while it grew.
    pub fn flipped(&self) -> usize {
        let grew = self.grew();
        let mut last = BTreeMap::<usize, bool>::new();
        let mut flipped = BTreeSet::new();
        for visit in self.visits.iter().filter(|visit| visit.answered < grew) {
            if last.insert(visit.user, visit.canary) == Some(true) && !visit.canary {
                flipped.insert(visit.user);
            }
        }
        flipped.len()
    }

    /// The point of every user; each weight that the route had gives the canary its share of them.
    fn points(&self, plan: &Plan, request: &Request) -> Result<BTreeMap<usize, u64>> {
        let mut points = BTreeMap::new();
        for number in 0..USERS {
            points.insert(number, point(plan, &user(request, number))?);
        }
        for percent in self.weights().into_iter().filter(|percent| (1..100).contains(percent)) {
            let canary = points.values().filter(|point| goes_to_canary(**point, percent)).count();
            // Fixed keys: no chance is involved.
            let off = standard_errors(canary, USERS, f64::from(percent) / 100.0);
            ensure!(off.abs() <= 3.0, "{canary} of {USERS} at {percent} percent: {off:+.2}");
        }
        for (number, cookie) in &self.issued {
            let asked = request.clone().with("cookie", cookie.as_str());
            points.insert(*number, point(plan, &asked)?);
        }
        let new = points.range(USERS..).filter(|(_, point)| goes_to_canary(**point, 50)).count();
        // Envoy draws these: by chance alone, one run in 16,000 is further off.
        let off = standard_errors(new, self.issued.len(), 0.5);
        ensure!(off.abs() <= 4.0, "{new} of {} new users: {off:+.2}", self.issued.len());
        Ok(points)
    }

    /// Every answer, the first of each new user included, is from where the native core's number
    /// leads at the weight of that time. A line for each weight.
    pub fn is_what_the_core_says(&self, plan: &Plan, request: &Request) -> Result<Vec<String>> {
        let points = self.points(plan, request)?;
        let mut lines = Vec::new();
        let mut asked = BTreeMap::<u32, BTreeMap<usize, bool>>::new();
        for visit in &self.visits {
            let point = points.get(&visit.user).context("a new user was issued no cookie")?;
            let met: Vec<_> = self.met(visit).collect();
            let led = met.iter().any(|percent| goes_to_canary(*point, *percent) == visit.canary);
            ensure!(led, "{visit:?} with {point} at {met:?} percent");
            if let [percent] = met.as_slice() {
                asked.entry(*percent).or_default().insert(visit.user, visit.canary);
            }
        }
        for (percent, users) in asked {
            let canary = users.values().filter(|canary| **canary).count();
            let new = users.keys().filter(|user| **user >= USERS).count();
            let (users, share) = (users.len(), 100.0 * canary as f64 / users.len() as f64);
            lines.push(format!(
                "{percent:3} %: {users} users, {new} of them new; {canary} in the canary, {share:.2} %"
            ));
        }
        Ok(lines)
    }

    /// The number of requests.
    pub fn count(&self) -> usize {
        self.visits.len()
    }

    /// The number of new users.
    pub fn newcomers(&self) -> usize {
        self.issued.len()
    }

    /// The weights that the canary had, in their order.
    pub fn weights(&self) -> Vec<u32> {
        self.changes.iter().map(|change| change.canary).collect()
    }
}
