//! The comparison of what a request meets with what is expected.

use std::collections::BTreeMap;

use traffic_split::{HeaderList, Outcome, Plan, Snapshot, decide};

use super::draw::{Seeded, of_user};
use super::expected::{Expectation, Expected, NONE, Names, Per};
use crate::check::Checked;
use crate::explain::Explained;
use crate::output::percent;
use crate::routes::Routes;

/// The requests or users whose shares are counted.
pub const DRAWS: u32 = 20_000;

/// The standard errors by which a share may be off: by chance, one share in 16,000 is off by more.
const ERRORS: f64 = 4.0;

/// The configuration that answers, and the names that expectations have for its variants.
pub struct Judge<'c> {
    pub checked: &'c Checked,
    pub routes: &'c Routes,
    pub names: &'c Names,
}

/// The result of an expectation; what failed is a text for people.
pub enum Verdict {
    Passed,
    Failed(String),
    Skipped(String),
}

impl Judge<'_> {
    pub fn result(&self, expectation: &Expectation) -> Verdict {
        let failed = match &expectation.answer {
            Expected::Skipped(why) => return Verdict::Skipped(why.clone()),
            Expected::Goes(name) => self.certain(expectation, name.as_deref()),
            Expected::Shares(shares) => self.shares(expectation, shares),
        };
        failed.map_or(Verdict::Passed, Verdict::Failed)
    }

    /// A request that goes one way every time; what is wrong otherwise.
    fn certain(&self, expectation: &Expectation, name: Option<&str>) -> Option<String> {
        let expected = name.map(|name| self.known(name)).unwrap_or(NONE);
        let counts = self.counts(expectation, 32).0;
        let wrong = counts.keys().find(|place| *place != expected)?;
        let share = if counts.len() > 1 { "sometimes " } else { "" };
        Some(format!("goes {share}to {wrong}, and not to {expected}: {}", self.why(expectation)))
    }

    fn shares(&self, expectation: &Expectation, shares: &[(String, f64)]) -> Option<String> {
        let (counts, moved) = self.counts(expectation, DRAWS);
        let mut wrong = Vec::new();
        for (name, share) in shares {
            let place = self.known(name);
            let seen = f64::from(counts.get(place).copied().unwrap_or(0)) / f64::from(DRAWS);
            let tolerance = ERRORS * (share * (1.0 - share) / f64::from(DRAWS)).sqrt();
            if (seen - share).abs() > tolerance {
                wrong.push(format!(
                    "{} to {place}, and not {} ± {}",
                    percent(seen),
                    percent(*share),
                    percent(tolerance)
                ));
            }
        }
        let expected: Vec<_> = shares.iter().map(|(name, _)| self.known(name)).collect();
        let others = counts.iter().filter(|(place, _)| !expected.contains(&place.as_str()));
        wrong.extend(others.map(|(place, count)| {
            format!("{} to {place}", percent(f64::from(*count) / f64::from(DRAWS)))
        }));
        if moved > 0 {
            wrong.push(format!("{moved} of {DRAWS} users are elsewhere on their second request"));
        }
        (!wrong.is_empty()).then(|| format!("{}: {}", wrong.join("; "), self.why(expectation)))
    }

    fn known<'a>(&'a self, name: &'a str) -> &'a str {
        self.names.get(name).map_or(name, String::as_str)
    }

    /// How often the request goes where, and how many users their second request leads elsewhere.
    fn counts(&self, expectation: &Expectation, draws: u32) -> (BTreeMap<String, u32>, u32) {
        let Checked { plan, config, .. } = self.checked;
        let snapshot = expectation.at.map(|at| Snapshot::new(plan, at));
        let snapshot = snapshot.as_ref().unwrap_or(&self.checked.snapshot);
        let mut chance = Seeded::new(snapshot.now());
        let rule = decide(plan, snapshot, &expectation.request, &mut chance).rule();
        let (mut counts, mut moved) = (BTreeMap::<String, u32>::new(), 0);
        for user in 0..draws {
            let place = if expectation.per == Per::User {
                let request = of_user(&expectation.request, config, rule, user);
                let (first, cookies) = self.place(plan, snapshot, &request, &mut chance);
                let mut again = request;
                again.headers.extend(cookies.into_iter().map(|it| ("cookie".to_owned(), it)));
                let (second, _) = self.place(plan, snapshot, &again, &mut chance);
                moved += u32::from(first != second);
                first
            } else {
                self.place(plan, snapshot, &expectation.request, &mut chance).0
            };
            let count = counts.entry(place).or_default();
            *count = count.saturating_add(1);
        }
        (counts, moved)
    }

    /// The destination of a request, and the cookies that its client sends from then on.
    fn place(
        &self,
        plan: &Plan,
        snapshot: &Snapshot,
        request: &HeaderList,
        chance: &mut Seeded,
    ) -> (String, Vec<Vec<u8>>) {
        let outcome = Outcome::decide(plan, snapshot, request, chance);
        let decision = *outcome.decision();
        let entry = decision
            .rule()
            .zip(decision.point())
            .and_then(|(rule, point)| self.routes.only(rule).ok()?.entry(point).map(str::to_owned));
        let variant = || decision.variant().map(|variant| variant.name.clone());
        let set = outcome.into_response().headers.into_iter();
        let set = set.filter(|header| header.name == "set-cookie");
        let pair = |value: &str| value.split(';').next().unwrap_or_default().as_bytes().to_vec();
        let place = entry.or_else(variant).unwrap_or_else(|| NONE.to_owned());
        (place, set.map(|header| pair(&header.value)).collect())
    }

    /// The rule that decides, and why.
    fn why(&self, expectation: &Expectation) -> String {
        let explained = Explained::new(self.checked, &expectation.request, self.routes);
        match explained.rules.iter().find(|step| step.matched == Some(true)) {
            Some(step) if step.why.is_empty() => format!("rule {} decides", step.rule),
            Some(step) => format!("rule {} decides: {}", step.rule, step.why.join("; ")),
            None => "no rule matches".to_owned(),
        }
    }
}
