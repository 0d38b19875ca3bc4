//! `splitctl analyze`: the variants of a rule compared by users, from access logs.

mod effect;
mod event;
mod experiment;
mod line;
mod logs;
mod metric;
mod ratio;
mod report;
mod sample;
mod table;
mod tally;
mod user;

use anyhow::{Result, bail};
use clap::{ArgGroup, Args};
use traffic_split::Rule;

use crate::check::Checked;
use crate::input::Choice;
use crate::output::{Answer, Format};
use crate::{rules, when};
use event::{Event, OfRule, Reader, Request};
use experiment::{Experiment, weights};
use logs::{Logs, Read};
use metric::{Metric, Metrics};
use report::{Analysis, Lines, RuleReport};
use tally::Tally;

/// Compare the variants of a rule by users, from access logs
///
/// Reads logs in the JSON of `manifests/envoy.yaml`, whose `unit` tells one user from another without
/// saying who it is. First comes the sample-ratio check: whether the variants have as many new users as
/// the weights say (chi-square). If chance makes such a ratio less than once in a thousand, the split is
/// broken, and nothing else is to be believed. Then come the verdicts, and for each metric the difference
/// of each variant to the baseline, with the interval that chance explains.
///
/// errors: the share of requests that fail (5xx, or no complete response). latency: the mean
/// milliseconds of a request. Both take each user's requests as one piece, by the delta method (Deng and
/// others, KDD 2018), so that users with very many requests widen the interval as they should.
/// conversion=REGEX: the share of users who have asked for a path that the expression matches as a whole
/// (without the query), once they had met the rule, and got a status below 400. Requests that a client
/// broke off, and upgraded connections, count for no metric. The status of a gRPC call is not in the log.
///
/// "Better" and "worse" mean a difference that chance makes with a probability of less than alpha in all
/// variants and metrics of a rule together. This holds however often you look, while the log grows from
/// one beginning: the intervals are an asymptotic confidence sequence (Waudby-Smith and others, arXiv
/// 2103.06476). Below 100 users on either side there is too little data.
///
/// A user counts for the variant of the first line, whatever follows. Decisions that were forced
/// (override), a guard's, a hold's or a shadow's do not count. The weights are those of -f, at the time of
/// each user's first line where there is a ramp, or --weights. Users are not in the sample-ratio check if
/// their first line has the reason `persisted`, since they were assigned before the log begins, or another
/// generation than the configuration of -f.
///
/// Several logs are read together, in the order of their times; they may be gzip. A user takes 40 to 80
/// bytes of memory for each rule, and half as much again while a table grows: 1 GB for 10 million users.
#[derive(Args)]
#[command(
    group(ArgGroup::new("split").required(true).args(["file", "weights"])),
    after_help = "Examples:
  splitctl analyze --log access.jsonl -f envoy.yaml --baseline stable
  splitctl analyze --log edge-1.jsonl --log edge-2.jsonl -f wasm-plugin.yaml --rule rollout
  splitctl analyze --log access.jsonl --rule rollout --weights stable=90,canary=10
  splitctl analyze --log access.jsonl -f envoy.yaml --metric errors --metric 'conversion=/orders/.*'
  kubectl logs deployment/shop -c istio-proxy | splitctl analyze --log - -f wasm-plugin.yaml -o json

The exit code is 1 if the sample ratio is broken or a variant is worse."
)]
pub struct Analyze {
    /// An access log, or - for standard input; may be repeated
    #[arg(long = "log", value_name = "LOG", required = true)]
    logs: Vec<String>,
    /// The file with the configuration that the proxies run, for the weights
    #[arg(short, long = "filename", value_name = "FILE")]
    file: Option<String>,
    #[command(flatten)]
    choice: Choice,
    /// The weights of the variants instead, as in stable=90,canary=10; the first is the baseline
    #[arg(long, value_name = "WEIGHTS", value_parser = experiment_weights, requires = "rule")]
    weights: Option<Given>,
    /// The rule to analyze [default: every rule with a split that is not in shadow]
    #[arg(long)]
    rule: Option<String>,
    /// The variant to compare with [default: the guard's fallback, else the only variant that no ramp
    /// raises, else the first of --weights]
    #[arg(long, value_name = "VARIANT")]
    baseline: Option<String>,
    /// errors, latency, or conversion=REGEX; may be repeated [default: errors and latency]
    #[arg(long = "metric", value_name = "METRIC", value_parser = Metric::parse)]
    metrics: Vec<Metric>,
    /// The probability of "better" or "worse" where there is no difference
    #[arg(long, default_value_t = 0.05, value_parser = crate::watch::share)]
    alpha: f64,
    /// The output format
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// The weights of `--weights`: clap takes a list for several values.
#[derive(Clone)]
struct Given(Vec<(String, f64)>);

fn experiment_weights(text: &str) -> Result<Given, String> {
    weights(text).map(Given)
}

/// The rules that logs have, as messages name them.
const SHOWN: usize = 5;

impl Analyze {
    pub fn run(&self) -> Result<Answer> {
        let metrics = Metrics::new(&self.metrics)?;
        let checked = self.file.as_ref().map(|file| self.choice.read_one(file, when::now()));
        let checked = checked.transpose()?;
        let experiments = self.experiments(checked.as_ref())?;
        let generation = checked.as_ref().map(|checked| f64::from(checked.plan.generation()));
        let reader = Reader::new(&experiments, &metrics);
        let mut reading = Reading {
            tallies: experiments.into_iter().map(Tally::new).collect(),
            lines: Lines::default(),
            generation,
            is_by_file: generation.is_some(),
            others: Vec::new(),
        };
        let logs = Logs::open(&self.logs)?;
        logs.for_each(|line, time| reader.read(line, time), |read| reading.take(read))?;
        let names = self.logs.iter().map(|log| if log == "-" { "standard input" } else { log });
        reading.check(&names.collect::<Vec<_>>().join(", "))?;
        let rules = reading.tallies.iter().map(|tally| {
            let no_users = (!tally.has_users()).then(|| reading.why(tally));
            RuleReport { no_users, ..RuleReport::new(tally, &metrics, self.alpha) }
        });
        let analysis = Analysis { rules: rules.collect(), alpha: self.alpha, lines: reading.lines };
        let text = self.output.write(&analysis, || table::table(&analysis))?;
        Ok(Answer { text, good: analysis.rules.iter().all(RuleReport::is_good) })
    }

    fn experiments<'c>(&self, checked: Option<&'c Checked>) -> Result<Vec<Experiment<'c>>> {
        let wanted = self.baseline.as_deref();
        if let (Some(weights), Some(rule)) = (&self.weights, &self.rule) {
            return Ok(vec![Experiment::given(rule, &weights.0, wanted)?]);
        }
        let (Some(checked), Some(file)) = (checked, &self.file) else { return Ok(Vec::new()) };
        if let Some(variant) = checked.plan.held() {
            bail!("{file}: `hold: {}` sends everyone there: no split is in force", variant.name);
        }
        let chosen: Vec<&Rule> = match &self.rule {
            Some(name) => vec![rules::find(&checked.plan, name, file)?],
            None => {
                let rules = checked.plan.rules().iter();
                let is_one =
                    |rule: &&Rule| rule.is_split() && !rule.is_shadow() && !rule.is_by_route();
                rules.filter(is_one).collect()
            }
        };
        if chosen.is_empty() {
            bail!(
                "{file}: no rule has a split with weights of its own that is in force: there is nothing to \
                 compare; if a route has the weights, give --rule and --weights"
            );
        }
        chosen.into_iter().map(|rule| Experiment::of(checked, rule, wanted, file)).collect()
    }
}

/// The logs, as far as they are read.
struct Reading<'c> {
    tallies: Vec<Tally<'c>>,
    lines: Lines,
    /// The generation of the configuration, or of the first line that has one.
    generation: Option<f64>,
    /// Whether it is that of the configuration which has the weights.
    is_by_file: bool,
    /// Some of the other rules in the logs.
    others: Vec<String>,
}

impl Reading<'_> {
    fn take(&mut self, Read { name, number, time, what }: Read<'_, Event>) {
        self.lines.read += u64::from(!matches!(what, Event::Blank));
        match what {
            Event::Blank => {}
            Event::NoJson => self.lines.no_json += 1,
            Event::Broken => {
                self.lines.malformed += 1;
                self.lines.first_malformed.get_or_insert_with(|| format!("{name}:{number}"));
            }
            Event::Request(request) => self.count(request, time),
        }
    }

    fn count(&mut self, request: Request, time: &str) {
        let mut is_other = false;
        if let (OfRule::Known(_), Some(generation)) = (&request.rule, request.generation) {
            is_other = *self.generation.get_or_insert(generation) != generation;
            self.lines.other_generation += u64::from(is_other);
        }
        for (place, tally) in self.tallies.iter_mut().enumerate() {
            match (&request.rule, request.unit) {
                (OfRule::Known(own), _) if *own == place => {
                    tally.see(&request, time, is_other && self.is_by_file);
                }
                (_, Some(unit)) if request.converted > 0 => tally.convert(unit, request.converted),
                _ => {}
            }
        }
        match request.rule {
            OfRule::Known(_) => {}
            OfRule::None => self.lines.without_rule += 1,
            OfRule::Other(rule) => {
                if self.others.len() < SHOWN && !self.others.contains(&rule) {
                    self.others.push(rule);
                }
            }
        }
    }

    /// Says what is missing where no rule has a user.
    fn check(&self, logs: &str) -> Result<()> {
        let none = || match self.tallies.iter().find(|tally| tally.lines > 0) {
            Some(tally) => self.why(tally),
            None if self.others.is_empty() => {
                let Lines { read, no_json, malformed, .. } = self.lines;
                format!(
                    "no line has a rule, of {read}; {no_json} are no JSON, and {malformed} are broken: \
                     write the log in the JSON of manifests/envoy.yaml, with `metrics: full` in the \
                     filter's configuration"
                )
            }
            None => {
                let rules = self.tallies.iter().map(|tally| tally.experiment.rule.as_str());
                let (rules, others) =
                    (rules.collect::<Vec<_>>().join(", "), self.others.join(", "));
                format!("no line has the rule {rules}; there are: {others}")
            }
        };
        match self.tallies.iter().any(Tally::has_users) {
            true => Ok(()),
            false => bail!("{logs}: {}", none()),
        }
    }

    /// The reason why a rule has no users.
    fn why(&self, tally: &Tally<'_>) -> String {
        let rule = &tally.experiment.rule;
        match tally {
            Tally { lines: 0, .. } => format!("no line has the rule {rule}"),
            Tally { without_unit, unknown, .. } if without_unit > unknown => format!(
                "no line of {rule} has a unit, so there are no users to compare: write \
                 `unit: {{ env: SPLIT_UNIT_KEY }}` in the filter's configuration, log `unit`, and give the \
                 rule a key (`sticky`)"
            ),
            Tally { unknown: 1.., .. } => format!(
                "no line of {rule} has one of its variants: are these the weights of the log?"
            ),
            _ => format!(
                "no decision of {rule} counts: all were forced, held, a guard's, left out by a flag or in \
                 shadow"
            ),
        }
    }
}

#[cfg(test)]
mod tests;
