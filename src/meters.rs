//! What is counted. Names and tags are those that Istio's `extraStatTags` reads: the tag `rule` is
//! written as `rule=.=NAME;.;` before the metric's own name.

use crate::config::Metrics;

/// A metric to define before it is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meter {
    /// Its kind.
    pub kind: Kind,
    /// Its name with its tags.
    pub name: String,
}

/// Kinds of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Is set.
    Gauge,
    /// Milliseconds.
    Histogram,
}

/// Every metric of a plan. A metric is named by its place.
#[derive(Debug, Default)]
pub struct Meters {
    defined: Vec<Meter>,
    /// `tsplit_unmatched_total`
    pub(crate) unmatched: Place,
    /// `tsplit_absent_total`, by [`Absent`].
    absent: [Place; Absent::ALL.len()],
    /// `tsplit_config_generation`
    pub(crate) generation: Place,
}

/// The place of a metric in [`Meters`]; `None` if it is not counted.
pub type Place = Option<u32>;

/// Input that was treated as absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// A header's value is too long, or holds NUL, CR or LF.
    Value,
    /// Cookies beyond the limits.
    Cookies,
    /// A sticky key is too long.
    Key,
    /// An identity or assignment in a cookie does not verify.
    Seal,
}

impl Absent {
    pub(crate) const ALL: [Absent; 4] = [Absent::Value, Absent::Cookies, Absent::Key, Absent::Seal];

    fn name(self) -> &'static str {
        match self {
            Absent::Value => "value",
            Absent::Cookies => "cookies",
            Absent::Key => "key",
            Absent::Seal => "seal",
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
pub(crate) struct TargetMeters {
    requests: [Place; REASONS.len()],
    responses: [Place; Class::ALL.len()],
    /// `tsplit_response_time_ms`
    pub(crate) latency: Place,
    /// `tsplit_shadow_changed_total`
    pub(crate) changed: Place,
    /// `tsplit_guard_tripped`
    pub(crate) tripped: Place,
    /// `tsplit_weight_ppm`
    pub(crate) weight: Place,
}

/// Reasons that are counted, by [`crate::Reason::name`].
const REASONS: [&str; 6] = ["pinned", "sticky", "persisted", "random", "guard", "shadow"];

impl TargetMeters {
    pub(crate) fn request(&self, reason: &str) -> Place {
        let at = REASONS.iter().position(|known| *known == reason)?;
        self.requests.get(at).copied()?
    }

    pub(crate) fn response(&self, class: Class) -> Place {
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

impl Meters {
    pub(crate) fn new(level: Metrics) -> Self {
        let mut meters = Meters::default();
        if level != Metrics::Off {
            meters.unmatched = meters.define(Kind::Counter, &[], "tsplit_unmatched_total");
            meters.absent = Absent::ALL.map(|absent| {
                meters.define(Kind::Counter, &[("what", absent.name())], "tsplit_absent_total")
            });
            meters.generation = meters.define(Kind::Gauge, &[], "tsplit_config_generation");
        }
        meters
    }

    pub(crate) fn absent(&self, what: Absent) -> Place {
        let at = Absent::ALL.iter().position(|known| *known == what)?;
        self.absent.get(at).copied()?
    }

    /// Every metric, in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = &Meter> {
        self.defined.iter()
    }

    pub(crate) fn target(&mut self, level: Metrics, counted: &Counted<'_>) -> TargetMeters {
        let Counted { rule, variant, reasons, watched, weighed } = counted;
        let tags = [("rule", *rule), ("variant", *variant)];
        let mut meters = TargetMeters::default();
        if level == Metrics::Off {
            return meters;
        }
        if *watched {
            meters.tripped = self.define(Kind::Gauge, &tags, "tsplit_guard_tripped");
        }
        if *weighed {
            meters.weight = self.define(Kind::Gauge, &tags, "tsplit_weight_ppm");
        }
        meters.requests = REASONS.map(|reason| {
            let tags = [tags[0], tags[1], ("reason", reason)];
            reasons
                .contains(&reason)
                .then(|| self.define(Kind::Counter, &tags, "tsplit_requests_total"))?
        });
        if reasons.contains(&"shadow") {
            meters.changed = self.define(Kind::Counter, &tags, "tsplit_shadow_changed_total");
        } else if level == Metrics::Full {
            meters.responses = Class::ALL.map(|(_, class)| {
                let tags = [tags[0], tags[1], ("class", class)];
                self.define(Kind::Counter, &tags, "tsplit_responses_total")
            });
            meters.latency = self.define(Kind::Histogram, &tags, "tsplit_response_time_ms");
        }
        meters
    }

    fn define(&mut self, kind: Kind, tags: &[(&str, &str)], name: &str) -> Place {
        let place = u32::try_from(self.defined.len()).ok();
        let tags: String = tags.iter().map(|(tag, value)| format!("{tag}=.={value};.;")).collect();
        self.defined.push(Meter { kind, name: format!("{tags}{name}") });
        place
    }
}

#[cfg(test)]
mod tests;
