//! `splitctl diff`: the clients that move when one configuration replaces another.

use anyhow::{Result, anyhow, bail};
use clap::Args;
use traffic_split::Rule;

use crate::check::Checked;
use crate::hint;
use crate::input::Choice;
use crate::keys::{Keys, Source};
use crate::movement::Movement;
use crate::output::{Answer, FAINT, Format, Ordered, STRONG, columns, percent};
use crate::routes::{self, Routes};
use crate::rules::{self, RuleAt};
use crate::when::When;

/// Count the clients that move when the weights change
///
/// Compares a sticky rule of two configurations. Shows the share of clients that move from each
/// variant to each other one, the share that moves in all, and the least share that any scheme
/// would have to move.
#[derive(Args)]
#[command(after_help = "Examples:
  splitctl diff -f old.yaml -f new.yaml
  kubectl get wasmplugin split -o yaml | splitctl diff -f - -f new.yaml --rule rollout
  git show HEAD:split.yaml | splitctl diff -f - -f split.yaml -o json
  splitctl diff -f wasm-plugin.yaml -f old-route.yaml -f new-route.yaml")]
pub struct Diff {
    /// The old file, then the new one; one may be - for standard input. With `split: route`: the
    /// configuration, then the file with the old route, then that with the new one
    #[arg(short, long = "filename", value_name = "FILE", required = true)]
    files: Vec<String>,
    #[command(flatten)]
    choice: Choice,
    /// The rule to compare [default: the only sticky split in both]
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

impl Diff {
    pub fn run(&self) -> Result<Answer> {
        // With three, the configuration stays and the route changes.
        let (old_file, new_file, [old_route, new_route]) = match self.files.as_slice() {
            [old, new] => (old, new, [old, new]),
            [both, old, new] => (both, both, [old, new]),
            _ => bail!(
                "give two files, the old one first: -f OLD -f NEW; or a configuration and two files \
                 with routes: -f CONFIGURATION -f OLD -f NEW"
            ),
        };
        if old_file == "-" && new_file == "-" && old_route == "-" {
            bail!("only one of the two files can be standard input");
        }
        let [old_routes, new_routes] =
            [old_route, new_route].map(|file| Routes::read(std::slice::from_ref(file)));
        let (old_routes, new_routes) = (old_routes?, new_routes?);
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
        let before = RuleAt::new(old_rule, &old.snapshot, &old_routes)?;
        let after = RuleAt::new(new_rule, &new.snapshot, &new_routes)?;
        let mut movement = Movement::count(before, after, &keys);
        movement.hints = hint::hints(&old, &new, &movement);
        if let (Some(before), Some(after)) = (before.route, after.route) {
            movement.hints.extend(routes::changes(before, after));
        }
        Ok(Answer::good(match self.output {
            Format::Json => serde_json::to_string_pretty(&movement)?,
            Format::Table => table(&movement, &keys),
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

fn table(movement: &Movement, keys: &Source) -> String {
    let Ordered(matrix) = &movement.matrix;
    let to =
        matrix.iter().take(1).flat_map(|(_, Ordered(row))| row.iter().map(|(to, _)| to.clone()));
    let mut rows = vec![std::iter::once("from \\ to".to_owned()).chain(to).collect()];
    for (from, Ordered(row)) in matrix {
        let cells = row.iter().map(|(_, share)| percent(*share));
        rows.push(std::iter::once(from.clone()).chain(cells).collect());
    }
    let mut text = format!("{STRONG}{}{STRONG:#}: {}\n\n", movement.rule, keys.title());
    for line in columns(&rows, true) {
        text += &format!("  {line}\n");
    }
    text += &format!("\nmoved    {STRONG}{}{STRONG:#}\n", percent(movement.moved));
    text += &format!(
        "minimum  {} {FAINT}(the least possible, over all clients){FAINT:#}\n",
        percent(movement.minimum)
    );
    for hint in &movement.hints {
        text += &format!("\n{hint}\n");
    }
    text
}
