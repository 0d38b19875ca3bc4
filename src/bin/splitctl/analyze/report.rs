//! The answer of an analysis.

use std::collections::BTreeMap;

use serde::Serialize;

use super::effect::{Effect, Sums};
use super::line::LEFT_OUT;
use super::metric::{Metric, Metrics};
use super::ratio::{self, Ratio};
use super::sample::UNCHECKED;
use super::tally::Tally;
use crate::rules::rounded;
use crate::sequential::Verdict;

/// The answer as `-o json` prints it.
#[derive(Serialize)]
pub struct Analysis {
    pub lines: Lines,
    /// The probability that any verdict on a rule is wrong, at whatever look, if its variants are alike.
    pub alpha: f64,
    pub rules: Vec<RuleReport>,
}

/// The lines of the logs.
#[derive(Default, Serialize)]
pub struct Lines {
    pub read: u64,
    /// The lines that do not begin as JSON: what the proxy logs of itself.
    pub no_json: u64,
    /// The lines that begin as JSON and are not.
    pub malformed: u64,
    /// The first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_malformed: Option<String>,
    /// The lines without a rule: none has matched, or they are from elsewhere.
    pub without_rule: u64,
    /// The lines that a configuration of another generation has decided.
    pub other_generation: u64,
}

/// An experiment.
#[derive(Serialize)]
pub struct RuleReport {
    pub rule: String,
    pub baseline: String,
    pub lines: u64,
    pub users: u64,
    /// The reason why there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_users: Option<String>,
    pub sample_ratio: Ratio,
    pub variants: Vec<VariantReport>,
    pub metrics: Vec<MetricReport>,
    pub mixed_users: u64,
    /// The users who are not in the sample-ratio check, by the reason.
    pub unchecked_users: BTreeMap<&'static str, u64>,
    pub lines_without_unit: u64,
    pub lines_of_unknown_variants: u64,
    pub lines_left_out: BTreeMap<&'static str, u64>,
    pub ramped: bool,
}

/// The users of a variant.
#[derive(Serialize)]
pub struct VariantReport {
    pub variant: String,
    pub users: u64,
    /// The users of the sample-ratio check: those who were assigned within the logs, by the weights.
    pub new_users: u64,
    /// The number expected of them.
    pub expected: f64,
}

/// A metric by variant.
#[derive(Serialize)]
pub struct MetricReport {
    pub metric: String,
    pub variants: Vec<ValueReport>,
}

#[derive(Serialize)]
pub struct ValueReport {
    pub variant: String,
    /// A share, or milliseconds; `None` without requests.
    pub value: Option<f64>,
    /// `None` for the baseline.
    pub effect: Option<Effect>,
    /// `None` for the baseline, and where the sample ratio is broken.
    pub verdict: Option<Verdict>,
}

impl RuleReport {
    pub fn new(tally: &Tally<'_>, metrics: &Metrics, alpha: f64) -> RuleReport {
        let experiment = &tally.experiment;
        let (names, baseline) = (&experiment.variants, experiment.baseline);
        let mut users = vec![0; names.len()];
        for user in tally.users() {
            users.get_mut(usize::from(user.variant)).into_iter().for_each(|users| *users += 1);
        }
        let sample = &tally.sample;
        let expected = sample.expected(experiment);
        let sample_ratio = Ratio::new(&sample.fresh, &expected);
        let is_broken = sample_ratio.verdict == ratio::Verdict::Broken;
        let comparisons = (names.len() - 1) * metrics.iter().count();
        let alpha = alpha / comparisons.max(1) as f64;
        let sums = metrics.sums(tally.users(), names.len());
        let metric = |(metric, sums): (&Metric, &Vec<Sums>)| {
            let value = |(place, (name, own)): (usize, (&String, &Sums))| {
                let compared = sums.get(baseline).filter(|_| place != baseline);
                let effect = compared.and_then(|baseline| Effect::new(own, baseline, alpha));
                let verdict =
                    effect.map_or(Verdict::TooLittleData, |effect| effect.verdict(metric.rises()));
                ValueReport {
                    variant: name.clone(),
                    value: own.ratio().map(rounded),
                    effect,
                    verdict: Some(verdict).filter(|_| compared.is_some() && !is_broken),
                }
            };
            let values = names.iter().zip(sums).enumerate().map(value);
            MetricReport { metric: metric.name(), variants: values.collect() }
        };
        let counts = users.iter().zip(&sample.fresh).zip(&expected);
        let variant = |(name, ((users, fresh), expected)): (&String, ((&u64, &u64), &f64))| {
            let expected = rounded(*expected);
            VariantReport { variant: name.clone(), users: *users, new_users: *fresh, expected }
        };
        RuleReport {
            rule: experiment.rule.clone(),
            baseline: names.get(baseline).cloned().unwrap_or_default(),
            lines: tally.lines,
            users: users.iter().sum(),
            no_users: None,
            sample_ratio,
            variants: names.iter().zip(counts).map(variant).collect(),
            metrics: metrics.iter().zip(&sums).map(metric).collect(),
            mixed_users: tally.mixed,
            unchecked_users: named(&UNCHECKED, &sample.unchecked),
            lines_without_unit: tally.without_unit,
            lines_of_unknown_variants: tally.unknown,
            lines_left_out: named(&LEFT_OUT, &tally.left_out),
            ramped: experiment.weights.fixed().is_none(),
        }
    }

    /// Whether its split is sound so far, and no variant is worse.
    pub fn is_good(&self) -> bool {
        let mut values = self.metrics.iter().flat_map(|metric| &metric.variants);
        self.sample_ratio.verdict != ratio::Verdict::Broken
            && !values.any(|value| value.verdict == Some(Verdict::Worse))
    }
}

/// The counts that are not 0, by their names.
fn named(names: &[(&'static str, &str)], counts: &[u64]) -> BTreeMap<&'static str, u64> {
    let counts = names.iter().zip(counts).filter(|(_, count)| **count > 0);
    counts.map(|((name, _), count)| (*name, *count)).collect()
}
