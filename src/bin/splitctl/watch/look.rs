//! One look at the metrics, with a verdict on each variant.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow, bail};
use serde::Serialize;
use traffic_split::{Rule, Snapshot};

use super::histogram::{Bucket, Histogram};
use super::prometheus::{Prometheus, Sample, Unreadable};
use super::verdict::{Difference, Proportion, Test};
use crate::rules::rounded;
use crate::sequential::Verdict;

/// A rule, and the variant with which its others are compared.
pub struct Watched<'c> {
    pub rule: &'c Rule,
    pub baseline: &'c str,
}

/// The part of a range vector selector of PromQL that follows the metric: `{labels}[seconds]`.
#[derive(Clone, Copy)]
pub struct Range<'a> {
    pub labels: &'a str,
    pub seconds: u64,
}

/// The answer as `-o json` prints it.
#[derive(Serialize)]
pub struct Look {
    /// The seconds that it goes back.
    pub seconds: u64,
    pub alpha: f64,
    pub margin: f64,
    pub rules: Vec<RuleLook>,
}

/// The variants of a rule at one look.
#[derive(Serialize)]
pub struct RuleLook {
    pub rule: String,
    pub baseline: String,
    /// The milliseconds above which a response is slow: the bound of the bucket with the baseline's
    /// p95.
    pub slow_ms: Option<f64>,
    /// The number of responses that tell as much as one of a user of its own; 1 without `--users`.
    pub design_effect: f64,
    pub variants: Vec<VariantLook>,
}

/// A variant at one look.
#[derive(Serialize)]
pub struct VariantLook {
    pub variant: String,
    pub requests: u64,
    /// Its share of the rule's requests.
    pub share: Option<f64>,
    /// Its expected share by the present weights.
    pub configured: f64,
    pub responses: u64,
    pub success: Option<f64>,
    pub p50_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    /// The difference in the share of failed responses; `None` for the baseline.
    pub failed: Option<Difference>,
    /// The difference in the share of slow responses; `None` for the baseline.
    pub slow: Option<Difference>,
    pub verdict: Option<Verdict>,
}

/// The counts of a variant in Prometheus.
#[derive(Default)]
struct Seen {
    requests: f64,
    responses: f64,
    errors: f64,
    buckets: Vec<Bucket>,
}

/// The counts by the names of rule and variant.
type All = BTreeMap<(String, String), Seen>;

impl Seen {
    fn failed(&self) -> Proportion {
        Proportion { hits: self.errors.round(), of: self.responses.round() }
    }
}

impl Look {
    pub fn take(
        prometheus: &Prometheus,
        range: Range<'_>,
        watched: &[Watched<'_>],
        snapshot: &Snapshot,
        test: Test,
    ) -> Result<Look> {
        let all = ask(prometheus, range)?;
        let rules = watched.iter().map(|watched| side(watched, snapshot, &all, test)).collect();
        Ok(Look { seconds: range.seconds, alpha: test.alpha * 2.0, margin: test.margin, rules })
    }

    pub fn any_worse(&self) -> bool {
        let variants = self.rules.iter().flat_map(|side| &side.variants);
        variants.into_iter().any(|variant| variant.verdict == Some(Verdict::Worse))
    }
}

/// The expression that counts the events of a metric, with comments for the reader.
const COUNT: &str = include_str!("count.promql");

impl Range<'_> {
    /// The expression with the events of a metric in this range, summed up by the labels `by`.
    fn count(self, metric: &str, by: &str) -> String {
        let Range { labels, seconds } = self;
        let lines = COUNT.lines().filter(|line| !line.starts_with('#'));
        let count = lines.collect::<Vec<_>>().join("\n").replace("BY", by);
        count.replace("SERIES", &format!("{metric}{{{labels}}}[{seconds}s]"))
    }
}

fn ask(prometheus: &Prometheus, range: Range<'_>) -> Result<All> {
    let mut all = All::new();
    let mut each = |of: Range<'_>, by: &str, metric: &str, take: &dyn Fn(&mut Seen, &Sample)| {
        let samples = prometheus.query(&of.count(metric, by));
        let samples = samples.map_err(|error| match error.downcast::<Unreadable>() {
            Ok(unreadable) => range.unreadable(&unreadable),
            Err(error) => error,
        })?;
        // Series without these labels come from proxies that do not extract them.
        let samples: Vec<_> =
            samples.iter().filter(|sample| !sample.label("rule").is_empty()).collect();
        for sample in &samples {
            let key = (sample.label("rule").to_owned(), sample.label("variant").to_owned());
            take(all.entry(key).or_default(), sample);
        }
        anyhow::Ok(!samples.is_empty())
    };
    // Nobody drew the variants that clients force. Their responses are counted nowhere.
    let chosen = format!("reason!=\"override\",{}", range.labels);
    let of_requests = Range { labels: &chosen, ..range };
    if !each(of_requests, "rule, variant", "tsplit_requests_total", &|seen, sample| {
        seen.requests = sample.value
    })? {
        return Err(without_requests(prometheus, range));
    }
    let responses =
        each(range, "rule, variant, class", "tsplit_responses_total", &|seen, sample| {
            seen.responses += sample.value;
            if matches!(sample.label("class"), "5xx" | "reset") {
                seen.errors += sample.value;
            }
        })?;
    if !responses {
        bail!(
            "Prometheus has no tsplit_responses_total{{{}}}: is `metrics: full` in the \
             configuration that the proxies run?",
            range.labels
        );
    }
    each(range, "rule, variant, le", "tsplit_response_time_ms_bucket", &|seen, sample| {
        let bound = sample.label("le").parse().ok();
        seen.buckets.extend(bound.map(|bound| Bucket { bound, count: sample.value }));
    })?;
    Ok(all)
}

impl Range<'_> {
    /// Everything else of the expressions can be read, so it is the labels that cannot.
    fn unreadable(self, prometheus: &Unreadable) -> anyhow::Error {
        anyhow!(
            "--selector {:?} is no list of labels: give it as in 'namespace=\"shop\",app=\"cart\"', \
             with double quotes around each value ({prometheus})",
            self.labels
        )
    }
}

/// The reason why there are no requests: the labels exclude all of them, or there are none.
fn without_requests(prometheus: &Prometheus, range: Range<'_>) -> anyhow::Error {
    let Range { labels, seconds } = range;
    let groups = "count by (namespace, app) (tsplit_requests_total{rule!=\"\"})";
    let others = prometheus.query(groups).unwrap_or_default();
    if !labels.is_empty() && !others.is_empty() {
        const SHOWN: usize = 5;
        let known: Vec<_> = others.iter().take(SHOWN).map(Sample::selector).collect();
        return anyhow!(
            "--selector {labels:?} fits no series of tsplit_requests_total within {seconds} s; \
             there are others, with {}",
            known.join(", ")
        );
    }
    anyhow!(
        "Prometheus has no tsplit_requests_total{{{labels}}} with the label rule within {seconds} s: \
         does it scrape /stats/prometheus of the proxies, and do they know the labels (stats_config \
         in manifests/envoy.yaml, extraStatTags in Istio)?"
    )
}

fn side(watched: &Watched<'_>, snapshot: &Snapshot, all: &All, test: Test) -> RuleLook {
    let Watched { rule, baseline } = watched;
    let of = |name: &str| all.get(&(rule.name().to_owned(), name.to_owned()));
    let histogram = |seen: &Seen| Histogram::new(seen.buckets.clone());
    let base = of(baseline);
    let base_times = base.map(histogram).unwrap_or_default();
    let slow_ms = base_times.bound(0.95);
    let weights = rule.weights(snapshot);
    let test = test.among(weights.len().saturating_sub(1));
    let weight: f64 = weights.iter().map(|(_, weight)| weight).sum();
    let none = Seen::default();
    let seen = |name: &str| of(name).unwrap_or(&none);
    let sum = |of: fn(&Seen) -> f64| -> f64 {
        weights.iter().map(|(variant, _)| of(seen(&variant.name))).sum()
    };
    let requests = sum(|seen| seen.requests);
    let design_effect = test.users.map_or(1.0, |it| it.design_effect(sum(|seen| seen.responses)));
    let compare = |own: Proportion, base: Proportion| {
        test.compare(own.thinned(design_effect), base.thinned(design_effect))
    };
    let variant = |(variant, own): &(&traffic_split::Variant, f64)| {
        let seen = seen(&variant.name);
        let times = histogram(seen);
        let compared = variant.name != **baseline;
        let failed = base.filter(|_| compared);
        let failed = failed.and_then(|base| compare(seen.failed(), base.failed()));
        let slow = slow_ms
            .filter(|_| compared)
            .and_then(|bound| compare(times.above(bound)?, base_times.above(bound)?));
        let verdict = test.verdict(failed).max(test.verdict(slow));
        VariantLook {
            variant: variant.name.clone(),
            requests: seen.requests.round() as u64,
            share: (requests > 0.0).then(|| rounded(seen.requests / requests)),
            configured: rounded(own / weight),
            responses: seen.responses.round() as u64,
            success: seen.failed().ratio().map(|failed| rounded(1.0 - failed)),
            p50_ms: times.quantile(0.5),
            p95_ms: times.quantile(0.95),
            p99_ms: times.quantile(0.99),
            failed,
            slow,
            verdict: compared.then_some(verdict),
        }
    };
    RuleLook {
        rule: rule.name().to_owned(),
        baseline: (*baseline).to_owned(),
        slow_ms,
        design_effect: rounded(design_effect),
        variants: weights.iter().map(variant).collect(),
    }
}
