//! `splitctl diff`: who moves when one configuration takes another's place.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow, bail};
use clap::Args;
use serde::Serialize;
use traffic_split::{Rule, Snapshot};

use crate::hint;
use crate::input::{Checked, Choice};
use crate::keys::{Keys, Source};
use crate::output::{Answer, FAINT, Format, Ordered, STRONG, columns, percent};
use crate::rules;
use crate::when::When;

/// Count which clients move when the weights change
///
/// Compares one sticky rule in two configurations: from which variant to which its clients move,
/// the share of all that moves, and the least share that any scheme would have to move.
#[derive(Args)]
#[command(after_help = "Examples:
  splitctl diff -f old.yaml -f new.yaml
  kubectl get wasmplugin split -o yaml | splitctl diff -f - -f new.yaml --rule rollout
  git show HEAD:split.yaml | splitctl diff -f - -f split.yaml -o json")]
pub struct Diff {
    /// The old file, then the new one; one may be - for standard input
    #[arg(short, long = "filename", value_name = "FILE", required = true)]
    files: Vec<String>,
    #[command(flatten)]
    choice: Choice,
    /// A rule [default: the sticky one, where there is one in both]
    #[arg(long)]
    rule: Option<String>,
    #[command(flatten)]
    keys: Keys,
    #[command(flatten)]
    when: When,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// What `-o json` prints. Shares are of all keys.
#[derive(Serialize)]
pub struct Difference {
    pub rule: String,
    pub keys: u64,
    pub moved: f64,
    pub minimum: f64,
    /// From each old variant to each new one.
    pub matrix: Ordered<Ordered<f64>>,
    pub hints: Vec<String>,
}

impl Diff {
    pub fn run(&self) -> Result<Answer> {
        let [old_file, new_file] = self.files.as_slice() else {
            bail!("give two files, the old one first: -f OLD -f NEW");
        };
        if old_file == "-" && new_file == "-" {
            bail!("only one of the two files can be standard input");
        }
        let now = self.when.seconds();
        let old = self.choice.read_one(old_file, now)?;
        let new = self.choice.read_one(new_file, now)?;
        let name = match &self.rule {
            Some(name) => name.clone(),
            None => only_rule(&old, &new)?,
        };
        let old_rule = sticky(rules::find(&old.plan, &name, old_file)?, old_file)?;
        let new_rule = sticky(rules::find(&new.plan, &name, new_file)?, new_file)?;
        let keys = self.keys.read()?;
        let mut difference = count((old_rule, &old.snapshot), (new_rule, &new.snapshot), &keys);
        difference.hints = hint::hints(&old, &new, &difference);
        Ok(Answer::good(match self.output {
            Format::Json => serde_json::to_string_pretty(&difference)?,
            Format::Table => table(&difference, &keys),
        }))
    }
}

fn only_rule(old: &Checked, new: &Checked) -> Result<String> {
    let in_both = |rule: &&Rule| {
        let other = new.plan.rules().iter().find(|other| other.name() == rule.name());
        other.is_some_and(|other| {
            rule.is_sticky() && other.is_sticky() && (rule.is_split() || other.is_split())
        })
    };
    let names: Vec<_> = old.plan.rules().iter().filter(in_both).map(Rule::name).collect();
    match names.as_slice() {
        [name] => Ok((*name).to_owned()),
        [] => Err(anyhow!("the two have no sticky split of the same name")),
        names => Err(anyhow!("choose a rule with --rule: {}", names.join(", "))),
    }
}

fn sticky<'p>(rule: &'p Rule, file: &str) -> Result<&'p Rule> {
    if !rule.is_sticky() {
        bail!(
            "{file}: rule {} is not sticky: it draws anew for each request, so nobody stays or moves",
            rule.name()
        );
    }
    Ok(rule)
}

/// Each rule is given with the snapshot it is taken at.
fn count(old: (&Rule, &Snapshot), new: (&Rule, &Snapshot), keys: &Source) -> Difference {
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    keys.for_each(|key| {
        if let (Some(from), Some(to)) =
            (rules::place(old.0, old.1, key), rules::place(new.0, new.1, key))
        {
            *counts.entry((from, to)).or_default() += 1;
        }
    });
    let total = counts.values().sum::<u64>().max(1) as f64;
    let (from, to) = (rules::shares(old.0, old.1), rules::shares(new.0, new.1));
    let share =
        |from: &str, to: &str| counts.get(&(from, to)).map_or(0.0, |count| *count as f64 / total);
    let row = |from: &str| {
        Ordered(to.iter().map(|(to, _)| ((*to).to_owned(), share(from, to))).collect())
    };
    let stayed: u64 = counts.iter().filter(|((a, b), _)| a == b).map(|(_, count)| count).sum();
    Difference {
        rule: old.0.name().to_owned(),
        keys: keys.count(),
        moved: (total - stayed as f64) / total,
        minimum: rules::rounded(minimum(&from, &to)),
        matrix: Ordered(from.iter().map(|(from, _)| ((*from).to_owned(), row(from))).collect()),
        hints: Vec::new(),
    }
}

/// The total variation of two distributions: what grows has to come from somewhere, and no more
/// need move.
fn minimum(old: &[(&str, f64)], new: &[(&str, f64)]) -> f64 {
    let before = |name: &str| old.iter().find(|(known, _)| *known == name).map_or(0.0, |(_, p)| *p);
    new.iter().map(|(name, share)| (share - before(name)).max(0.0)).sum()
}

fn table(difference: &Difference, keys: &Source) -> String {
    let Ordered(matrix) = &difference.matrix;
    let to =
        matrix.iter().take(1).flat_map(|(_, Ordered(row))| row.iter().map(|(to, _)| to.clone()));
    let mut rows = vec![std::iter::once("from \\ to".to_owned()).chain(to).collect()];
    for (from, Ordered(row)) in matrix {
        let cells = row.iter().map(|(_, share)| percent(*share));
        rows.push(std::iter::once(from.clone()).chain(cells).collect());
    }
    let mut text = format!("{STRONG}{}{STRONG:#}: {}\n\n", difference.rule, keys.title());
    for line in columns(&rows, true) {
        text += &format!("  {line}\n");
    }
    text += &format!("\nmoved    {STRONG}{}{STRONG:#}\n", percent(difference.moved));
    text += &format!(
        "minimum  {} {FAINT}(the least possible, over all clients){FAINT:#}\n",
        percent(difference.minimum)
    );
    for hint in &difference.hints {
        text += &format!("\n{hint}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_possible_is_the_total_variation() {
        let near = |a: f64, b: f64| (a - b).abs() < 1e-12;
        let abc = |a, b, c| [("a", a), ("b", b), ("c", c)];
        assert!(near(minimum(&abc(0.5, 0.3, 0.2), &abc(0.4, 0.3, 0.3)), 0.1));
        assert!(near(minimum(&abc(0.34, 0.33, 0.33), &[("c", 0.5), ("b", 0.5)]), 0.34));
        assert!(near(minimum(&[("a", 1.0)], &[("b", 1.0)]), 1.0));
        assert!(near(minimum(&abc(0.5, 0.3, 0.2), &abc(0.5, 0.3, 0.2)), 0.0));
    }
}
