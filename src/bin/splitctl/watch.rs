//! `splitctl watch`: the variants of a rule compared by their metrics, and whether they differ.

mod access;
mod histogram;
mod look;
mod prometheus;
mod table;
mod verdict;

use std::io::{IsTerminal, stdout};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use traffic_split::config::parse_duration;
use traffic_split::{Rule, Snapshot};

use crate::check::Checked;
use crate::input::Choice;
use crate::output::{Answer, Format};
use crate::{baseline, output, rules, when};
use access::Access;
use look::{Look, Range, Watched};
use prometheus::Prometheus;
use verdict::{Test, Users};

/// Compare the variants of a rule by their metrics in Prometheus
///
/// Shows each variant's share beside the expected one, its success rate (neither 5xx nor a reset),
/// its p95, and a verdict against the baseline: better, worse, no difference, or too little data.
/// The filter's configuration needs `metrics: full`.
///
/// The verdict rests on two differences to the baseline: in the share of responses that fail, and
/// in the share that is slower than the bucket with the baseline's p95. Each is tested by a mixture
/// sequential probability ratio test (Johari and others, arXiv 1512.04922) at half of alpha, which the
/// variants of a rule share. The worse result of the two tests is the verdict; a variant is better if
/// one of them says so, and the other has a result. Below 100 responses on either side, there is too
/// little data.
///
/// "Worse" and "better" mean a difference that chance makes with a probability of less than alpha.
/// "No difference" means one that is smaller than the margin, with the same confidence. This holds
/// however often you look, as long as the data begin at one time: in one run without `--once`, whose
/// data begin where its window begins at the first look, and in repeated runs with the same `--since`.
/// It does not hold for repeated runs of `--once` with a `--window`, because the window of each begins
/// at another time: each is then wrong with a probability of alpha.
///
/// The tests assume that requests are independent. Requests of one user are not: give the number of
/// users by `--users`, and m requests of a user count as m / (1 + (m - 1) r) with `--correlation` r.
/// Where some users send far more than others, give the number of equal ones: the square of the sum of
/// their requests over the sum of the squares. `splitctl analyze` counts users, by the access log.
///
/// Each count is what Prometheus saw between the first and the last scrape of the window, and is not
/// extrapolated to its ends.
#[derive(Args)]
#[command(after_help = "Examples:
  splitctl watch --prometheus http://localhost:9090 -f traffic-split.yaml --baseline stable
  splitctl watch --prometheus http://localhost:9090 -f reviews.yaml --rule rollout --window 24h
  splitctl watch --prometheus http://localhost:9090 -f wasm-plugin.yaml -l 'namespace=\"shop\"' --once
  splitctl watch --prometheus http://localhost:9090 -f reviews.yaml --once -o json
  splitctl watch --prometheus https://prometheus.example --token-file token -f reviews.yaml --users 5000

Ctrl-C ends it. With --once, the exit code is 1 if a variant is worse.")]
pub struct Watch {
    #[command(flatten)]
    access: Access,
    /// A file, or - for standard input
    #[arg(short, long = "filename", value_name = "FILE")]
    file: String,
    #[command(flatten)]
    choice: Choice,
    /// The rule to watch [default: every rule with a split that is not in shadow]
    #[arg(long)]
    rule: Option<String>,
    /// The variant to compare with [default: the guard's fallback, else the only variant that no ramp
    /// raises]
    #[arg(long, value_name = "VARIANT")]
    baseline: Option<String>,
    /// The labels that metrics must have, as in 'namespace="shop",app="cart"'
    #[arg(short = 'l', long, value_name = "LABELS", default_value = "", hide_default_value = true)]
    selector: String,
    /// The time before the first look at which the data begin
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration)]
    window: Duration,
    /// The time at which the data begin, in UTC, as in 2026-12-01T09:00:00Z, instead of a window
    #[arg(long, value_name = "TIME", value_parser = when::time, conflicts_with = "window")]
    since: Option<u64>,
    /// The time between two looks
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    interval: Duration,
    /// Look once, and exit
    #[arg(long)]
    once: bool,
    /// The probability of "better" or "worse" where there is no difference
    #[arg(long, default_value_t = 0.05, value_parser = share)]
    alpha: f64,
    /// The largest difference of shares that does not matter
    #[arg(long, default_value_t = 0.01, value_parser = share)]
    margin: f64,
    /// The number of users who sent the requests, if each sent as many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    users: Option<u64>,
    /// The correlation of two responses of one user
    #[arg(long, value_name = "R", default_value_t = 0.05, value_parser = share, requires = "users")]
    correlation: f64,
    /// The output format; without --once, JSON has a line for each look
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

fn duration(text: &str) -> Result<Duration, String> {
    let seconds = parse_duration(text).filter(|seconds| (1..=400 * 86_400).contains(seconds));
    let seconds = seconds.ok_or("give it in d, h, m and s, as in 24h or 1h30m, up to 400d")?;
    Ok(Duration::from_secs(seconds))
}

/// Reads a probability or a share.
pub fn share(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|share| *share > 0.0 && *share < 1.0);
    number.ok_or_else(|| "give a number between 0 and 1, as in 0.01 for 1 %".into())
}

impl Watch {
    pub fn run(&self) -> Result<Answer> {
        let checked = self.choice.read_one(&self.file, when::now())?;
        let watched = self.watched(&checked)?;
        let prometheus = Prometheus::new(&self.access)?;
        let correlation = self.correlation;
        let users = self.users.map(|count| Users { count: count as f64, correlation });
        let started = Instant::now();
        let look = || {
            let snapshot = Snapshot::new(&checked.plan, when::now());
            let seconds = match self.since {
                Some(since) => when::now().saturating_sub(since).max(1),
                None => self.window.saturating_add(started.elapsed()).as_secs(),
            };
            // A verdict rests on two tests, which share alpha.
            let test = Test { alpha: self.alpha / 2.0, margin: self.margin, users };
            let range = Range { labels: self.labels(), seconds };
            Look::take(&prometheus, range, &watched, &snapshot, test)
        };
        let mut seen = look()?;
        if self.once {
            return Ok(Answer { text: self.text(&seen)?, good: !seen.any_worse() });
        }
        loop {
            let again = if self.output == Format::Table && stdout().is_terminal() {
                output::CLEAR
            } else {
                ""
            };
            let text = format!("{again}{}", self.text(&seen)?);
            if !Answer::good(text).reach()? {
                return Ok(Answer::good(String::new()));
            }
            seen = loop {
                thread::sleep(self.interval);
                match look() {
                    Ok(seen) => break seen,
                    // Prometheus may be back at the next look.
                    Err(error) => output::complain(&format!("{error:#}")),
                }
            };
        }
    }

    /// The chosen rules, each with its baseline.
    fn watched<'c>(&self, checked: &'c Checked) -> Result<Vec<Watched<'c>>> {
        let chosen: Vec<&Rule> = match &self.rule {
            Some(name) => vec![rules::find(&checked.plan, name, &self.file)?],
            None => {
                let rules = checked.plan.rules().iter();
                rules.filter(|rule| rule.is_split() && !rule.is_shadow()).collect()
            }
        };
        if chosen.is_empty() {
            bail!("{}: no rule has a split: there is nothing to compare", self.file);
        }
        chosen.into_iter().map(|rule| self.with_baseline(rule, checked)).collect()
    }

    fn with_baseline<'c>(&self, rule: &'c Rule, checked: &'c Checked) -> Result<Watched<'c>> {
        let name = rule.name();
        if !rule.is_split() {
            bail!("{}: rule {name} has one variant: there is nothing to compare", self.file);
        }
        if rule.is_shadow() {
            bail!("{}: rule {name} is in shadow: it has no responses to compare", self.file);
        }
        let weights = rule.weights(&checked.snapshot);
        let known: Vec<_> = weights.iter().map(|(variant, _)| variant.name.as_str()).collect();
        let (of, wanted) = ((self.file.as_str(), name), self.baseline.as_deref());
        let baseline = baseline::choose(&checked.config, of, &known, wanted)?;
        Ok(Watched { rule, baseline })
    }

    fn labels(&self) -> &str {
        self.selector.trim().trim_start_matches('{').trim_end_matches('}')
    }

    fn text(&self, look: &Look) -> Result<String> {
        Ok(match (self.output, self.once) {
            (Format::Json, true) => serde_json::to_string_pretty(look)?,
            (Format::Json, false) => serde_json::to_string(look)?,
            // Each look is a document of its own.
            (Format::Yaml, _) => format!("---\n{}", serde_saphyr::to_string(look)?),
            (Format::Table, _) => table::table(look),
        })
    }
}
