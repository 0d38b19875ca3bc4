//! Metrics. Names and tags are those that Istio's `extraStatTags` reads: the tag `rule` is
//! written as `rule=.=NAME;.;` before the metric's own name.

use std::sync::Arc;

use crate::config::MetricsLevel;
use crate::reason::Reason;
use crate::request::Ignored;

/// A metric to define before it is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its kind.
    pub kind: MetricKind,
    /// Its name with its tags.
    pub name: String,
}

/// Kinds of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Is set.
    Gauge,
    /// Milliseconds.
    Histogram,
}

/// A metric as it is kept: a configuration may have 200,000, which share most of their names.
#[derive(Debug)]
struct Defined {
    kind: MetricKind,
    /// The tags that all metrics of a variant of a rule have, as they are written.
    tags: Arc<str>,
    /// One more tag, with its value.
    tag: Option<(&'static str, &'static str)>,
    name: &'static str,
}

impl Defined {
    fn metric(&self) -> Metric {
        let tag = self.tag.map(|(tag, value)| written(tag, value)).unwrap_or_default();
        Metric { kind: self.kind, name: format!("{}{tag}{}", self.tags, self.name) }
    }
}

fn written(tag: &str, value: &str) -> String {
    format!("{tag}=.={value};.;")
}

/// Every metric of a plan. A metric is named by its index.
#[derive(Debug, Default)]
pub struct Metrics {
    defined: Vec<Defined>,
    /// `tsplit_unmatched_total`
    pub(crate) unmatched: MetricIndex,
    /// `tsplit_absent_total`, by [`Ignored`].
    ignored: [MetricIndex; Ignored::ALL.len()],
    /// `tsplit_config_generation`
    pub(crate) generation: MetricIndex,
    /// `tsplit_version`
    pub(crate) version: MetricIndex,
}

/// The value of `tsplit_version`: 1,002,003 is version 1.2.3. A number needs no tag that every mesh
/// would have to be told of.
pub(crate) const VERSION: u64 = part(env!("CARGO_PKG_VERSION_MAJOR")) * 1_000_000
    + part(env!("CARGO_PKG_VERSION_MINOR")) * 1_000
    + part(env!("CARGO_PKG_VERSION_PATCH"));

const fn part(digits: &str) -> u64 {
    match u64::from_str_radix(digits, 10) {
        Ok(number) => number,
        Err(_) => 0,
    }
}

/// The index of a metric in [`Metrics`]; `None` if it is not counted.
pub type MetricIndex = Option<u32>;

/// The class of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// 200 to 299, and 101.
    Success,
    /// 300 to 399.
    Redirect,
    /// 400 to 499.
    ClientError,
    /// 500 and above.
    ServerError,
    /// The response broke off: there was none, or not all of it, and not because the client left.
    Reset,
}

impl Class {
    /// Every class, in the order of their numbers.
    const ALL: [Class; 5] =
        [Class::Success, Class::Redirect, Class::ClientError, Class::ServerError, Class::Reset];

    /// The name of the class as the value of a metric's label.
    fn name(self) -> &'static str {
        match self {
            Class::Success => "2xx",
            Class::Redirect => "3xx",
            Class::ClientError => "4xx",
            Class::ServerError => "5xx",
            Class::Reset => "reset",
        }
    }

    /// The class of a complete response by its status, and by its `grpc-status` if it has one, which is
    /// mapped to HTTP as in Envoy's `source/common/grpc/status.cc`.
    ///
    /// ```
    /// use traffic_split::Class;
    ///
    /// assert_eq!(Class::of(204, None), Class::Success);
    /// assert_eq!(Class::of(200, Some(14)), Class::ServerError);
    /// ```
    pub fn of(status: u16, grpc_status: Option<u16>) -> Self {
        match (status, grpc_status) {
            (_, Some(2 | 4 | 12 | 13 | 14 | 15)) => Class::ServerError,
            (_, Some(1..)) => Class::ClientError,
            (300..=399, _) => Class::Redirect,
            (400..=499, _) => Class::ClientError,
            (500.., _) => Class::ServerError,
            _ => Class::Success,
        }
    }

    /// Whether a guard counts it as an error.
    pub fn is_error(self) -> bool {
        matches!(self, Class::ServerError | Class::Reset)
    }
}

/// The metrics of one variant of one rule.
#[derive(Debug, Default)]
pub(crate) struct TargetMetrics {
    /// `tsplit_requests_total`, by [`Reason`].
    requests: [MetricIndex; Reason::ALL.len()],
    /// `tsplit_responses_total`, by [`Class`].
    responses: [MetricIndex; Class::ALL.len()],
    /// `tsplit_aborted_total`
    pub(crate) aborted: MetricIndex,
    /// `tsplit_response_time_ms`
    pub(crate) latency: MetricIndex,
    /// `tsplit_shadow_changed_total`
    pub(crate) changed: MetricIndex,
    /// `tsplit_guard_tripped`
    pub(crate) tripped: MetricIndex,
    /// `tsplit_weight_ppm`
    pub(crate) weight: MetricIndex,
    /// `tsplit_assigned_total`
    pub(crate) assigned: MetricIndex,
}

impl TargetMetrics {
    /// The counter of requests that went to the target for this reason.
    pub(crate) fn request(&self, reason: Reason) -> MetricIndex {
        self.requests.get(reason as usize).copied()?
    }

    /// The counter of responses of this class.
    pub(crate) fn response(&self, class: Class) -> MetricIndex {
        self.responses.get(class as usize).copied()?
    }
}

/// The facts that the metrics of a target depend on.
pub(crate) struct Counted<'a> {
    pub(crate) rule: &'a str,
    /// `None` where the route chooses: no label could not be a variant's name.
    pub(crate) variant: Option<&'a str>,
    /// The reasons for which it can be chosen.
    pub(crate) reasons: &'a [Reason],
    pub(crate) watched: bool,
    /// Whether it is one of a split, and has a weight.
    pub(crate) weighed: bool,
    /// Whether its users are told apart from those of earlier requests.
    pub(crate) assigned: bool,
}

impl Metrics {
    pub(crate) fn new(level: MetricsLevel) -> Self {
        let mut metrics = Metrics::default();
        if level != MetricsLevel::Off {
            let (none, counter) = (&Arc::from(""), MetricKind::Counter);
            metrics.unmatched = metrics.define(counter, none, None, "tsplit_unmatched_total");
            metrics.ignored = Ignored::ALL.map(|what| {
                metrics.define(counter, none, Some(("what", what.name())), "tsplit_absent_total")
            });
            metrics.generation =
                metrics.define(MetricKind::Gauge, none, None, "tsplit_config_generation");
            metrics.version = metrics.define(MetricKind::Gauge, none, None, "tsplit_version");
        }
        metrics
    }

    /// The counter of requests of which such input was ignored.
    pub(crate) fn ignored(&self, what: Ignored) -> MetricIndex {
        self.ignored.get(what as usize).copied()?
    }

    /// Every metric, in the order of their indexes.
    ///
    /// ```
    /// use traffic_split::Plan;
    ///
    /// let config = br#"{ "variantHeader": "x-v", "metrics": "counts", "variants": { "canary": {} },
    ///                    "rules": [{ "name": "all", "to": "canary" }] }"#;
    /// let plan = Plan::compile(config, &|_| None).unwrap();
    /// let last = plan.metrics().iter().last().unwrap();
    /// let name = "rule=.=all;.;variant=.=canary;.;reason=.=pinned;.;tsplit_requests_total";
    /// assert_eq!(last.name, name);
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = Metric> {
        self.defined.iter().map(Defined::metric)
    }

    /// The number of metrics.
    pub fn count(&self) -> usize {
        self.defined.len()
    }

    pub(crate) fn target(&mut self, level: MetricsLevel, counted: &Counted<'_>) -> TargetMetrics {
        let Counted { rule, variant, reasons, watched, weighed, assigned } = counted;
        let mut metrics = TargetMetrics::default();
        if level == MetricsLevel::Off {
            return metrics;
        }
        let mut tags = written("rule", rule);
        tags.extend(variant.map(|name| written("variant", name)));
        let (tags, counter) = (&Arc::from(tags), MetricKind::Counter);
        if *watched {
            metrics.tripped = self.define(MetricKind::Gauge, tags, None, "tsplit_guard_tripped");
        }
        if *weighed {
            metrics.weight = self.define(MetricKind::Gauge, tags, None, "tsplit_weight_ppm");
        }
        if *assigned {
            metrics.assigned = self.define(counter, tags, None, "tsplit_assigned_total");
        }
        metrics.requests = Reason::ALL.map(|reason| {
            let tag = Some(("reason", reason.name())).filter(|_| reasons.contains(&reason));
            self.define(counter, tags, Some(tag?), "tsplit_requests_total")
        });
        if reasons.contains(&Reason::Shadow) {
            metrics.changed = self.define(counter, tags, None, "tsplit_shadow_changed_total");
        } else if level == MetricsLevel::Full && !reasons.contains(&Reason::Override) {
            metrics.responses = Class::ALL.map(|class| {
                self.define(counter, tags, Some(("class", class.name())), "tsplit_responses_total")
            });
            metrics.aborted = self.define(counter, tags, None, "tsplit_aborted_total");
            metrics.latency =
                self.define(MetricKind::Histogram, tags, None, "tsplit_response_time_ms");
        }
        metrics
    }

    fn define(
        &mut self,
        kind: MetricKind,
        tags: &Arc<str>,
        tag: Option<(&'static str, &'static str)>,
        name: &'static str,
    ) -> MetricIndex {
        let index = u32::try_from(self.defined.len()).ok();
        self.defined.push(Defined { kind, tags: Arc::clone(tags), tag, name });
        index
    }
}

#[cfg(test)]
mod tests;
