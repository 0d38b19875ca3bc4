//! `splitctl diff`: the clients that move when one configuration replaces another.

mod asked;
mod cause;
pub mod client;
mod compare;
mod derive;
mod described;
mod example;
pub mod group;
mod narrow;
pub mod pairs;
mod reading;
pub mod report;
pub mod side;
pub mod sticky;
mod tells;
mod variants;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use traffic_split::config::Config;

use crate::hint;
use crate::input::Choice;
use crate::keys::{Keys, Source};
use crate::movement;
use crate::output::{Answer, Format};
use crate::routes::Routes;
use crate::rules;
use crate::when::When;
use described::{Carried, Described};
use pairs::{Named, Pairs};
use report::{Names, Report, Requests};
use side::Side;

/// Count the clients that move when the rules change
///
/// Decides requests of many clients by both configurations as a whole, as the filter would. Shows the
/// share of clients that move from each place to each other one, and says why and how fewer would. The
/// requests are derived from the rules: one for each entry of `match`, and for each value that one
/// configuration tells from others. Where a client is, is the cluster, or without clusters the
/// variant; with `split: route`, the entry of the route. Each client has its key in every place where
/// a rule looks for one; where a rule issues identities, clients without a key are counted as well.
#[derive(Args)]
#[command(after_help = "Examples:
  splitctl diff -f old.yaml -f new.yaml
  kubectl get wasmplugin split -o yaml | splitctl diff -f - -f new.yaml --max-moved 5%
  git show HEAD:split.yaml | splitctl diff -f - -f split.yaml -o json
  splitctl diff -f old.yaml -f new.yaml --request 'GET /cart | x-user-group: beta'
  splitctl diff -f old.yaml -f new.yaml --request '/ | cookie: session={key}'
  splitctl diff -f wasm-plugin.yaml -f old-route.yaml -f new-route.yaml")]
pub struct Diff {
    /// The old file, then the new one; one may be - for standard input. With `split: route`: the
    /// configuration, then the file with the old route, then that with the new one
    #[arg(short, long = "filename", value_name = "FILE", required = true)]
    files: Vec<String>,
    #[command(flatten)]
    choice: Choice,
    /// A rule to compare; OLD=NEW if it has another name now; may be repeated [default: all]
    #[arg(long = "rule", value_name = "RULE", value_parser = pairs::named)]
    rules: Vec<Named>,
    /// A request in place of those that are derived: 'GET /path | header: value | sourceIp: 10.0.0.1',
    /// also with 'metadata: NAMESPACE,NAME=VALUE' and 'filterState: NAME=VALUE', and with {key} where the
    /// client's key is, unless in all places; may be repeated
    #[arg(long = "request", value_name = "REQUEST", value_parser = described::parse)]
    requests: Vec<Described>,
    /// A file with such requests, one a paragraph: a line for the method and path, and one for each
    /// header
    #[arg(long, value_name = "FILE")]
    requests_from: Option<String>,
    /// Count clients who have the cookie of `persist` with what the old configuration has assigned to
    /// them [default: clients without it]
    #[arg(long)]
    persisted: bool,
    /// The exit code is 1 if more clients than this move, as in 5%
    #[arg(long, value_name = "SHARE", value_parser = share)]
    max_moved: Option<f64>,
    #[command(flatten)]
    keys: Keys,
    #[command(flatten)]
    when: When,
    /// The output format
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

fn share(text: &str) -> Result<f64, String> {
    let number = text.trim_end_matches('%').trim_end().parse::<f64>().ok();
    let share = number.filter(|percent| (0.0..=100.0).contains(percent));
    share.map(|percent| percent / 100.0).ok_or_else(|| "give a share from 0% to 100%".to_owned())
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
        for (checked, file, named) in [
            (&old, old_file, (|named| &named.old) as fn(&Named) -> &String),
            (&new, new_file, |named| &named.new),
        ] {
            // A rule that is renamed has its new name for itself.
            let renamed = |name: &Named| name.old == name.new && !std::ptr::eq(checked, &old);
            let named = self.rules.iter().filter(|name| !renamed(name)).map(named);
            named.map(|name| rules::find(&checked.plan, name, file)).collect::<Result<Vec<_>>>()?;
        }
        let by_cluster = variants::is_by_cluster(&old.config, &new.config);
        let before = Side::new(&old, &old_routes, by_cluster)?;
        let after = Side::new(&new, &new_routes, by_cluster)?;
        let keys = self.keys.read()?;
        let report = self.compare([&before, &after], &keys)?;
        let text = self.output.write(&report, || report.table(&keys))?;
        Ok(Answer { text, good: report.is_good() })
    }

    fn compare(&self, sides: [&Side<'_>; 2], keys: &Source) -> Result<Report> {
        let [before, after] = sides;
        let (old, new) = (&before.checked.config, &after.checked.config);
        let pairs = pairs::pairs(old, new, &self.rules);
        let pairs = self.chosen(pairs)?;
        let carried = compare::carried(&pairs, [old, new]);
        let accepted = compare::accepted([old, new]);
        let requests = self.requests([old, new], &pairs, &carried)?;
        let made_up = matches!(keys, Source::Sequence(_));
        let (groups, left_out) = group::groups(sides, requests, &carried, &accepted, made_up);
        // During a hold no cookie is set.
        let counts = self.persisted && old.hold.is_none();
        let kept = if counts { compare::kept(&pairs) } else { Vec::new() };
        let movements = movement::count(sides, groups.iter(), keys, &kept);
        let names =
            Names { by_variant: variants::names_tell(old, new), order: compare::order(sides) };
        let requests: Vec<_> = movements.iter().map(|it| Requests::new(it, &names)).collect();
        let mut hints = cause::causes(old, new, &pairs);
        hints.extend(compare::unseen(sides, &pairs, &groups));
        hints.extend(hint::notes(before, after, &pairs, self.persisted));
        hints.extend(compare::advice(sides, &pairs, &movements, keys, &kept));
        hints.extend(compare::routes(sides, &movements));
        if left_out > 0 {
            hints.push(format!(
                "{left_out} more requests are derived and left out; describe those that matter with --request."
            ));
        }
        let most = movements.iter().max_by(|a, b| a.moved().total_cmp(&b.moved()));
        let most = most.context("there is no request to compare")?;
        let top = Requests::new(most, &names);
        let rule = most.cells.iter().find_map(|cell| cell.from.rule.or(cell.to.rule));
        Ok(Report {
            keys: keys.count(),
            rule: rule.map(str::to_owned),
            moved: top.moved,
            minimum: top.minimum,
            matrix: top.matrix,
            max_moved: self.max_moved,
            rerouted: cause::is_rerouted(old, new),
            requests,
            hints,
        })
    }

    /// The pairs of the chosen rules.
    fn chosen<'c>(&self, pairs: Pairs<'c>) -> Result<Pairs<'c>> {
        if self.rules.is_empty() {
            return Ok(pairs);
        }
        let both = self.rules.iter().map(|named| pairs.find(named)).collect::<Result<_>>()?;
        Ok(Pairs { both, gone: Vec::new(), added: Vec::new() })
    }

    /// The requests that are given, or else those that are derived from the rules.
    fn requests(
        &self,
        configs: [&Config; 2],
        pairs: &Pairs<'_>,
        carried: &Carried,
    ) -> Result<Vec<Described>> {
        let mut requests = self.requests.clone();
        if let Some(path) = &self.requests_from {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
            requests.extend(described::parse_all(&text).map_err(|why| anyhow!("{path}: {why}"))?);
        }
        if requests.is_empty() {
            let wanted = |name: &str| {
                self.rules.is_empty()
                    || pairs.both.iter().any(|pair| pair.old.name == name || pair.new.name == name)
            };
            requests = derive::requests(configs, &carried.keys, wanted);
        }
        // A client without a key has what was issued to it.
        let issues = |config: &Config| compare::issues(config).next().is_some();
        if configs.into_iter().any(issues) && !carried.keys.is_empty() {
            let new = |request: &Described| Described { is_new: true, ..request.clone() };
            requests.extend(requests.iter().map(new).collect::<Vec<_>>());
        }
        Ok(requests)
    }
}

#[cfg(test)]
pub mod tests;
