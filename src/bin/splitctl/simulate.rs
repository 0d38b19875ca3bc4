//! `splitctl simulate`: the number of clients that each variant gets.

use std::collections::HashMap;

use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;
use traffic_split::Rule;

use crate::check::Checked;
use crate::curve::{self, Curve};
use crate::input::Choice;
use crate::keys::{Keys, Source};
use crate::output::{Answer, FAINT, Format, STRONG, bar, columns, percent};
use crate::routes::Routes;
use crate::rules::{self, RuleAt};
use crate::when::When;

/// Count the clients that each variant gets
///
/// Hashes each key as the filter does, and shows the share of each variant beside the expected one.
/// The rule's `match` is ignored: every key stands for a client whose requests match. A rule with a
/// ramp is evaluated at one time, and its ramp is shown as a whole; while it runs, with the lines to
/// write so that it waits, and later goes on. During a `hold`, the answer is what comes back without it.
#[derive(Args)]
#[command(after_help = "Examples:
  splitctl simulate -f envoy.yaml
  splitctl simulate -f wasm-plugin.yaml --rule rollout --keys 50000
  splitctl simulate -f envoy.yaml --at 2026-12-01T21:00:00Z
  splitctl simulate -f wasm-plugin.yaml -f virtual-service.yaml
  splitctl simulate -f config.json --keys-from user-ids.txt -o json")]
pub struct Simulate {
    /// A file, or - for standard input; then files with the routes of `split: route`
    #[arg(short, long = "filename", value_name = "FILE", required = true)]
    files: Vec<String>,
    #[command(flatten)]
    choice: Choice,
    /// The rule to simulate [default: every rule with a split]
    #[arg(long)]
    rule: Option<String>,
    #[command(flatten)]
    keys: Keys,
    #[command(flatten)]
    when: When,
    /// The output format
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// The answer as `-o json` prints it.
#[derive(Serialize)]
struct Simulation {
    keys: u64,
    /// The time of the evaluation, if a ramp makes that a difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    /// The variant of a hold, which everyone gets for now; the rules are as they come back.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<String>,
    rules: Vec<Shares>,
    /// The rules whose weights are in a route that is not given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    without_route: Vec<String>,
}

#[derive(Serialize)]
struct Shares {
    rule: String,
    sticky: bool,
    variants: Vec<Share>,
    /// The keys that are too long: the filter ignores them.
    unusable: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ramp: Option<Curve>,
}

#[derive(Serialize)]
struct Share {
    variant: String,
    count: u64,
    share: f64,
    expected: f64,
}

impl Simulate {
    pub fn run(&self) -> Result<Answer> {
        let file = self.files.first().map_or("-", String::as_str);
        let mut checked = self.choice.read_one(file, self.when.seconds())?;
        let routes = Routes::read(&self.files)?;
        let held = checked.plan.held().map(|variant| variant.name.clone());
        if held.is_some() {
            checked = checked.without_hold()?;
        }
        let chosen: Vec<&Rule> = match &self.rule {
            Some(name) => vec![rules::find(&checked.plan, name, file)?],
            None => checked.plan.rules().iter().filter(|rule| rule.is_split()).collect(),
        };
        // A rule whose route is not given is told of, if there are others to answer for.
        let has_weights = |rule: &&Rule| !rule.is_by_route() || routes.only(rule.name()).is_ok();
        let (known, unknown): (Vec<&Rule>, Vec<&Rule>) =
            chosen.iter().partition(|r| has_weights(r));
        let chosen = if known.is_empty() { chosen } else { known };
        if chosen.is_empty() && held.is_none() {
            bail!("{file}: no rule has a split: there is nothing to simulate");
        }
        let keys = self.keys.read()?;
        let at = |rule| RuleAt::new(rule, &checked.snapshot, &routes);
        let rules = chosen.into_iter().map(|rule| Ok(simulate(at(rule)?, &checked, &keys)));
        let rules = rules.collect::<Result<_>>()?;
        let without_route = unknown.iter().map(|rule| rule.name().to_owned()).collect();
        let (keys_count, at) = (keys.count(), checked.at());
        let simulation = Simulation { keys: keys_count, at, held, rules, without_route };
        let table = || {
            let at = simulation.at.as_deref();
            let held = simulation.held.iter().map(|variant| {
                let back = match simulation.rules.is_empty() {
                    true => "no rule has a split",
                    false => "without it, this comes back",
                };
                format!(
                    "hold: every request that matches a rule goes to {STRONG}{variant}{STRONG:#}; {back}\n\n"
                )
            });
            let rules = simulation.rules.iter().map(|shares| table(shares, &keys, at));
            let others = simulation.without_route.iter().map(|rule| {
                format!("{rule}: its weights are in the route; give that as another -f FILE\n")
            });
            held.chain(rules).chain(others).collect::<String>()
        };
        Ok(Answer::good(self.output.write(&simulation, table)?))
    }
}

fn simulate(at: RuleAt<'_>, checked: &Checked, keys: &Source) -> Shares {
    let rule = at.rule;
    let mut counts: HashMap<&str, u64> = HashMap::new();
    let mut unusable = 0;
    keys.for_each(|key| match at.place(key) {
        Some(place) => *counts.entry(place).or_default() += 1,
        None => unusable += 1,
    });
    let usable = counts.values().sum::<u64>().max(1) as f64;
    let share = |(name, expected): (&str, f64)| {
        let count = counts.get(name).copied().unwrap_or(0);
        Share { variant: name.to_owned(), count, share: count as f64 / usable, expected }
    };
    let variants = at.shares().into_iter().map(share).collect();
    let ramped = curve::split(&checked.config, rule.name())
        .and_then(|split| Some((split, split.ramp.as_ref().filter(|ramp| !ramp.hold)?)));
    let curve = |(split, ramp)| Curve::new(&checked.plan, rule, split, ramp, &checked.snapshot);
    let ramp = ramped.map(curve);
    Shares { rule: rule.name().to_owned(), sticky: rule.is_sticky(), variants, unusable, ramp }
}

fn table(shares: &Shares, keys: &Source, at: Option<&str>) -> String {
    let sticky = if shares.sticky { "sticky" } else { "drawn anew for each request" };
    let at = at.filter(|_| shares.ramp.is_some()).map_or(String::new(), |at| format!("; at {at}"));
    let mut text = format!("{STRONG}{}{STRONG:#}: {sticky}; {}{at}\n", shares.rule, keys.title());
    let rows: Vec<_> = shares
        .variants
        .iter()
        .map(|share| vec![share.variant.clone(), percent(share.share)])
        .collect();
    let rows = columns(&rows, true);
    for (share, row) in shares.variants.iter().zip(rows) {
        let bar = bar(share.share);
        let expected = percent(share.expected);
        text += &format!("  {row}  {bar}  {FAINT}expected {expected:>8}{FAINT:#}\n");
    }
    if shares.unusable > 0 {
        text += &format!("  {} keys are too long to be hashed\n", shares.unusable);
    }
    if let Some(ramp) = &shares.ramp {
        text += &format!("\n{}", ramp.table());
    }
    text + "\n"
}
