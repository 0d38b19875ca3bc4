//! A configuration that has been checked as a whole and made ready: from here on nothing can fail.

use std::fmt;
use std::sync::Arc;

use crate::caching::Caching;
use crate::config::{MetricsLevel, Mode};
use crate::guard::Guard;
use crate::identity::Issue;
use crate::index::Index;
use crate::metrics::Metrics;
use crate::ramp::Ramp;
use crate::request::{BAGGAGE, Request};
use crate::rule::Rule;
use crate::unit::UnitKey;
use crate::variant::{Target, Variant};

/// A configuration that is ready to decide. It never changes.
#[derive(Debug)]
pub struct Plan {
    pub(crate) cluster_header: Option<String>,
    pub(crate) variant_header: Option<String>,
    pub(crate) point_header: Option<String>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) index: Option<Index>,
    /// The variant for every request that a rule matches, where there is a hold.
    pub(crate) hold: Option<Arc<Variant>>,
    /// Every cookie that issues identities, once.
    pub(crate) issues: Vec<Arc<Issue>>,
    /// The `Set-Cookie` fields that end forced variants, in the order of the bits of their cookies.
    pub(crate) endings: Vec<String>,
    pub(crate) ramps: Vec<Ramp>,
    pub(crate) guards: Vec<Guard>,
    /// Whether any rule is in shadow.
    pub(crate) shadows: bool,
    /// Whether a later run of a request has to be told of the first, see [`crate::rerun`].
    pub(crate) reruns_matter: bool,
    /// Whether decisions are carried out.
    pub(crate) mode: Mode,
    pub(crate) metrics_level: MetricsLevel,
    pub(crate) metrics: Metrics,
    /// A number that stands for the configuration: proxies that run the same have the same.
    pub(crate) generation: u32,
    pub(crate) generation_text: String,
    /// The key of units; `None` where access logs have none.
    pub(crate) unit: Option<UnitKey>,
    /// Whether the request's `baggage` tells the decision.
    pub(crate) baggage: bool,
    pub(crate) debug_header: Option<String>,
    /// The response header with the variant's name.
    pub(crate) response_header: Option<String>,
    /// Whether `Server-Timing` tells rule and variant.
    pub(crate) server_timing: bool,
    pub(crate) caching: Caching,
}

impl Plan {
    /// Whether anything of it changes after a time, in Unix seconds: a ramp that is not at its end,
    /// or what a guard may do.
    pub fn changes(&self, now: u64) -> bool {
        !self.guards.is_empty() || self.ramps.iter().any(|ramp| now < ramp.end())
    }

    /// The names of the request headers that route, in lower case.
    pub(crate) fn routing_headers(&self) -> impl Iterator<Item = &str> {
        let headers = [&self.cluster_header, &self.variant_header, &self.point_header];
        headers.into_iter().flatten().map(String::as_str)
    }

    /// A number that stands for the configuration: proxies that run the same have the same. The metric
    /// `tsplit_config_generation` shows it.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// The variant at which everyone is held, whatever the rules say.
    ///
    /// ```
    /// use traffic_split::Plan;
    ///
    /// let config = br#"{ "variantHeader": "x-v", "hold": "stable", "rules": [],
    ///                    "variants": { "stable": {}, "canary": {} } }"#;
    /// let plan = Plan::compile(config, &|_| None).unwrap();
    /// assert_eq!(plan.held().unwrap().name, "stable");
    /// ```
    pub fn held(&self) -> Option<&Variant> {
        self.hold.as_deref()
    }

    /// Whether responses tell of decisions.
    pub(crate) fn tells(&self) -> bool {
        self.debug_header.is_some() || self.response_header.is_some() || self.server_timing
    }

    /// The rule that a variant was chosen by.
    pub(crate) fn rule_of(&self, target: &Target) -> Option<&Rule> {
        self.rules.iter().find(|rule| Arc::ptr_eq(&rule.name, &target.rule))
    }

    /// The metrics to define before it is put to work.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The request headers that the filter writes.
    pub(crate) fn own_headers(&self) -> [&str; 5] {
        // No header has an empty name.
        let [cluster, variant, point] =
            [&self.cluster_header, &self.variant_header, &self.point_header]
                .map(|name| name.as_deref().unwrap_or_default());
        let baggage = if self.baggage { BAGGAGE } else { "" };
        [cluster, variant, point, "cookie", baggage]
    }

    /// The fields that end the cookies of these bits.
    #[inline(never)]
    pub(crate) fn ended(&self, bits: u8) -> impl Iterator<Item = &String> {
        let bit = |place| 1_u8.checked_shl(place).unwrap_or(0);
        let endings = (0..).zip(&self.endings);
        endings.filter(move |(place, _)| bits & bit(*place) != 0).map(|(_, ending)| ending)
    }

    /// Calls `find` on each rule that may match a request, in order, and returns its first answer. All
    /// rules that do match are among them.
    pub(crate) fn find_rule<'p, T>(
        &'p self,
        request: &impl Request,
        find: impl FnMut(&'p Rule) -> Option<T>,
    ) -> Option<T> {
        match &self.index {
            None => self.rules.iter().find_map(find),
            Some(index) => {
                let candidates = index.candidates(request);
                candidates.iter().filter_map(|rule| self.rules.get(rule)).find_map(find)
            }
        }
    }
}

/// The response header that scripts read without asking for anything (W3C, Server Timing).
pub(crate) const SERVER_TIMING: &str = "server-timing";

/// Rules named in the line that tells of a plan.
const NAMED: usize = 16;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(variant) = &self.hold {
            write!(f, "hold {}, ", variant.name)?;
        }
        let names: Vec<_> = self.rules.iter().take(NAMED).map(|rule| &*rule.name).collect();
        match names.as_slice() {
            [] => write!(f, "no rules")?,
            names => write!(f, "rules {}", names.join(", "))?,
        }
        match self.rules.len().saturating_sub(NAMED) {
            0 => {}
            more => write!(f, " and {more} more")?,
        }
        write!(f, "; generation {}", self.generation)
    }
}
