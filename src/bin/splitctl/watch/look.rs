//! One look at the metrics, with a verdict on each variant.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use serde::Serialize;
use traffic_split::{Rule, Snapshot};

use super::histogram::{Bucket, Histogram};
use super::prometheus::{Prometheus, Sample};
use super::verdict::{Difference, Proportion, Test, Verdict};
use crate::rules::rounded;

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

fn ask(prometheus: &Prometheus, range: Range<'_>) -> Result<All> {
    let Range { labels, seconds } = range;
    let mut all = All::new();
    let mut each = |by: &str, metric: &str, take: &dyn Fn(&mut Seen, &Sample)| {
        let series = format!("{metric}{{{labels}}}[{seconds}s]");
        let samples =
            prometheus.query(&format!("sum by (rule, variant{by}) (increase({series}))"))?;
        // Series without these labels come from proxies that do not extract them.
        let samples: Vec<_> =
            samples.iter().filter(|sample| !sample.label("rule").is_empty()).collect();
        for sample in &samples {
            let key = (sample.label("rule").to_owned(), sample.label("variant").to_owned());
            take(all.entry(key).or_default(), sample);
        }
        anyhow::Ok(!samples.is_empty())
    };
    if !each("", "tsplit_requests_total", &|seen, sample| seen.requests = sample.value)? {
        bail!(
            "Prometheus has no tsplit_requests_total{{{labels}}} with the label rule, twice within \
             {seconds} s: does it scrape /stats/prometheus of the proxies, and do they know the \
             labels (stats_config in manifests/envoy.yaml, extraStatTags in Istio)?"
        );
    }
    let responses = each(", class", "tsplit_responses_total", &|seen, sample| {
        seen.responses += sample.value;
        if matches!(sample.label("class"), "5xx" | "reset") {
            seen.errors += sample.value;
        }
    })?;
    if !responses {
        bail!(
            "Prometheus has no tsplit_responses_total{{{labels}}}: is `metrics: full` in the \
             configuration that the proxies run?"
        );
    }
    each(", le", "tsplit_response_time_ms_bucket", &|seen, sample| {
        let bound = sample.label("le").parse().ok();
        seen.buckets.extend(bound.map(|bound| Bucket { bound, count: sample.value }));
    })?;
    Ok(all)
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
    let requests: f64 = weights.iter().map(|(variant, _)| seen(&variant.name).requests).sum();
    let variant = |(variant, own): &(&traffic_split::Variant, f64)| {
        let seen = seen(&variant.name);
        let times = histogram(seen);
        let compared = variant.name != **baseline;
        let failed = base.filter(|_| compared);
        let failed = failed.and_then(|base| test.compare(seen.failed(), base.failed()));
        let slow = slow_ms
            .filter(|_| compared)
            .and_then(|bound| test.compare(times.above(bound)?, base_times.above(bound)?));
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
        variants: weights.iter().map(variant).collect(),
    }
}
