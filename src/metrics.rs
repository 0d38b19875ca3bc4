//! What is counted. Names and tags are those that Istio's `extraStatTags` reads: the tag `rule` is
//! written as `rule=.=NAME;.;` before the metric's own name.

use crate::config::MetricsLevel;

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

/// Every metric of a plan. A metric is named by its place.
#[derive(Debug, Default)]
pub struct Metrics {
    defined: Vec<Metric>,
    /// `tsplit_unmatched_total`
    pub(crate) unmatched: MetricIndex,
    /// `tsplit_absent_total`, by [`Ignored`].
    absent: [MetricIndex; Ignored::ALL.len()],
    /// `tsplit_config_generation`
    pub(crate) generation: MetricIndex,
}

/// The place of a metric in [`Metrics`]; `None` if it is not counted.
pub type MetricIndex = Option<u32>;

/// Input that was treated as absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// A header's value is too long, or holds NUL, CR or LF.
    Value,
    /// Cookies beyond the limits.
    Cookies,
    /// A sticky key is too long.
    Key,
    /// An identity or assignment in a cookie does not verify.
    Signature,
}

impl Ignored {
    pub(crate) const ALL: [Ignored; 4] =
        [Ignored::Value, Ignored::Cookies, Ignored::Key, Ignored::Signature];

    fn name(self) -> &'static str {
        match self {
            Ignored::Value => "value",
            Ignored::Cookies => "cookies",
            Ignored::Key => "key",
            Ignored::Signature => "seal",
        }
    }
}

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
    /// The stream ended before the response's headers.
    Reset,
}

impl Class {
    const ALL: [(Class, &'static str); 5] = [
        (Class::Success, "2xx"),
        (Class::Redirect, "3xx"),
        (Class::ClientError, "4xx"),
        (Class::ServerError, "5xx"),
        (Class::Reset, "reset"),
    ];

    /// Of a `:status`, and of the `grpc-status` of a response that is an error from its headers on
    /// (mapped to HTTP as in Envoy's `source/common/grpc/status.cc`).
    pub fn of(status: Option<&[u8]>, grpc_status: Option<&[u8]>) -> Self {
        let number = |text: Option<&[u8]>| std::str::from_utf8(text?).ok()?.parse::<u16>().ok();
        match (number(status), number(grpc_status)) {
            (_, Some(2 | 4 | 12 | 13 | 14 | 15)) => Class::ServerError,
            (_, Some(1..)) => Class::ClientError,
            (Some(300..=399), _) => Class::Redirect,
            (Some(400..=499), _) => Class::ClientError,
            (Some(500..) | None, _) => Class::ServerError,
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
    requests: [MetricIndex; REASONS.len()],
    responses: [MetricIndex; Class::ALL.len()],
    /// `tsplit_response_time_ms`
    pub(crate) latency: MetricIndex,
    /// `tsplit_shadow_changed_total`
    pub(crate) changed: MetricIndex,
    /// `tsplit_guard_tripped`
    pub(crate) tripped: MetricIndex,
    /// `tsplit_weight_ppm`
    pub(crate) weight: MetricIndex,
}

/// Reasons that are counted, by [`crate::Reason::name`].
const REASONS: [&str; 6] = ["pinned", "sticky", "persisted", "random", "guard", "shadow"];

impl TargetMetrics {
    pub(crate) fn request(&self, reason: &str) -> MetricIndex {
        let at = REASONS.iter().position(|known| *known == reason)?;
        self.requests.get(at).copied()?
    }

    pub(crate) fn response(&self, class: Class) -> MetricIndex {
        let at = Class::ALL.iter().position(|(known, _)| *known == class)?;
        self.responses.get(at).copied()?
    }
}

/// What the metrics of a target depend on.
pub(crate) struct Counted<'a> {
    pub(crate) rule: &'a str,
    pub(crate) variant: &'a str,
    pub(crate) reasons: &'a [&'static str],
    pub(crate) watched: bool,
    /// Whether it is one of a split, and has a weight.
    pub(crate) weighed: bool,
}

impl Metrics {
    pub(crate) fn new(level: MetricsLevel) -> Self {
        let mut metrics = Metrics::default();
        if level != MetricsLevel::Off {
            metrics.unmatched = metrics.define(MetricKind::Counter, &[], "tsplit_unmatched_total");
            metrics.absent = Ignored::ALL.map(|absent| {
                metrics.define(
                    MetricKind::Counter,
                    &[("what", absent.name())],
                    "tsplit_absent_total",
                )
            });
            metrics.generation = metrics.define(MetricKind::Gauge, &[], "tsplit_config_generation");
        }
        metrics
    }

    pub(crate) fn absent(&self, what: Ignored) -> MetricIndex {
        let at = Ignored::ALL.iter().position(|known| *known == what)?;
        self.absent.get(at).copied()?
    }

    /// Every metric, in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = &Metric> {
        self.defined.iter()
    }

    pub(crate) fn target(&mut self, level: MetricsLevel, counted: &Counted<'_>) -> TargetMetrics {
        let Counted { rule, variant, reasons, watched, weighed } = counted;
        let tags = [("rule", *rule), ("variant", *variant)];
        let mut metrics = TargetMetrics::default();
        if level == MetricsLevel::Off {
            return metrics;
        }
        if *watched {
            metrics.tripped = self.define(MetricKind::Gauge, &tags, "tsplit_guard_tripped");
        }
        if *weighed {
            metrics.weight = self.define(MetricKind::Gauge, &tags, "tsplit_weight_ppm");
        }
        metrics.requests = REASONS.map(|reason| {
            let tags = [tags[0], tags[1], ("reason", reason)];
            reasons
                .contains(&reason)
                .then(|| self.define(MetricKind::Counter, &tags, "tsplit_requests_total"))?
        });
        if reasons.contains(&"shadow") {
            metrics.changed =
                self.define(MetricKind::Counter, &tags, "tsplit_shadow_changed_total");
        } else if level == MetricsLevel::Full {
            metrics.responses = Class::ALL.map(|(_, class)| {
                let tags = [tags[0], tags[1], ("class", class)];
                self.define(MetricKind::Counter, &tags, "tsplit_responses_total")
            });
            metrics.latency = self.define(MetricKind::Histogram, &tags, "tsplit_response_time_ms");
        }
        metrics
    }

    fn define(&mut self, kind: MetricKind, tags: &[(&str, &str)], name: &str) -> MetricIndex {
        let place = u32::try_from(self.defined.len()).ok();
        let tags: String = tags.iter().map(|(tag, value)| format!("{tag}=.={value};.;")).collect();
        self.defined.push(Metric { kind, name: format!("{tags}{name}") });
        place
    }
}

#[cfg(test)]
mod tests;
