//! The shares of a ramp's variant from the ramp's start to its end.

use serde::Serialize;
use traffic_split::config::{ActionSpec, Config, RampSpec, SplitSpec, format_time};
use traffic_split::{Plan, Rule, Snapshot};

use crate::output::{FAINT, STRONG, bar, percent};
use crate::resume::Resume;
use crate::rules::RuleAt;

/// The parts in which a ramp is shown, unless it has fewer steps.
const PARTS: u64 = 10;

/// A ramp as `-o json` prints it.
#[derive(Serialize)]
pub struct Curve {
    variant: String,
    points: Vec<Point>,
    /// The lines by which it waits and goes on, while it runs.
    #[serde(flatten)]
    resume: Option<Resume>,
}

#[derive(Serialize)]
struct Point {
    at: String,
    share: f64,
    /// Whether this is the time asked for.
    #[serde(skip)]
    asked: bool,
}

/// The ramp of the rule with this name, unless the ramp is on hold.
pub fn ramp<'c>(config: &'c Config, rule: &str) -> Option<&'c RampSpec> {
    split(config, rule)?.ramp.as_ref().filter(|ramp| !ramp.hold)
}

/// The split of the rule with this name.
pub fn split<'c>(config: &'c Config, rule: &str) -> Option<&'c SplitSpec> {
    let Some(ActionSpec::Split(split)) = &config.rule(rule)?.action else { return None };
    Some(split)
}

impl Curve {
    /// The curve of a rule's ramp. The time of the snapshot is one of its points.
    pub fn new(
        plan: &Plan,
        rule: &Rule,
        split: &SplitSpec,
        ramp: &RampSpec,
        at: &Snapshot,
    ) -> Self {
        let asked = at.now();
        let parts = match u64::from(ramp.steps) {
            0 => PARTS,
            steps => steps.min(PARTS),
        };
        let part = |part: u64| ramp.start + ramp.duration * part / parts;
        let mut times: Vec<u64> = (0..=parts).map(part).chain([asked]).collect();
        times.sort_unstable();
        times.dedup();
        let point = |at: u64| {
            let snapshot = Snapshot::new(plan, at);
            let shares = RuleAt { rule, snapshot: &snapshot, route: None }.shares();
            let share = shares.iter().find(|(name, _)| *name == ramp.variant);
            let share = share.map_or(0.0, |(_, share)| *share);
            Point { at: format_time(at), share, asked: at == asked }
        };
        let points = times.into_iter().map(point).collect();
        let resume = Resume::new(rule, split, ramp, at);
        Curve { variant: ramp.variant.clone(), points, resume }
    }

    /// Writes the curve for people.
    pub fn table(&self) -> String {
        let mut text = format!("  {} over its ramp\n", self.variant);
        for Point { at, share, asked } in &self.points {
            let line = format!("{at}  {:>8}  {}", percent(*share), bar(*share));
            let line = line.trim_end();
            text += &match asked {
                true => format!("  {STRONG}{line}  <{STRONG:#}\n"),
                false => format!("  {FAINT}{line}{FAINT:#}\n"),
            };
        }
        if let Some(resume) = &self.resume {
            text += &format!("\n{}", resume.table());
        }
        text
    }
}
