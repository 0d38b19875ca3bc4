//! The effects of a decision, as data: the adapter carries them out, and `splitctl` shows them.
//!
//! A new effect on the request is one more change in [`Outcome::request_headers`]; a new effect on
//! the response is one more header or field of [`ResponseEffects`].

mod cookies;
mod state;

use std::sync::Arc;

use crate::baggage::{self, Written};
use crate::config::{MetricsLevel, Mode};
use crate::decide::{decide_read, shadows};
use crate::decision::Decision;
use crate::earlier::Earlier;
use crate::environment::Environment;
use crate::metrics::MetricIndex;
use crate::plan::{Plan, SERVER_TIMING};
use crate::point;
use crate::reason::Reason;
use crate::request::{BAGGAGE, IgnoredSet, Reader, Request};
use crate::snapshot::Snapshot;
use crate::variant::Target;
use cookies::{Cookies, cookies};

/// A decision with its effects.
#[derive(Debug)]
pub struct Outcome<'p> {
    plan: &'p Plan,
    decision: Decision<'p>,
    /// The decisions of the rules in shadow.
    shadows: Vec<Decision<'p>>,
    reason: Reason,
    /// The input that was treated as absent for the decision and its cookies.
    ignored: IgnoredSet,
    /// The point as the header carries it; `None` where the configuration names no header.
    point: Option<point::Text>,
    /// The cookies handed out; `None` where the whole plan is in shadow, which writes nothing.
    cookies: Option<Cookies>,
    /// The routing headers that stay; none where this decision is carried out.
    earlier: Option<Box<Earlier<'p>>>,
    /// The words about it for others, where the configuration asks for any.
    told: Option<Box<Told>>,
}

/// The words about a decision beside its routing headers.
#[derive(Debug)]
struct Told {
    /// The client's unit, for access logs.
    unit: Option<String>,
    /// The change of the request's `baggage`.
    baggage: Option<Written>,
}

/// The time at which a counter is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// With the request.
    Now,
    /// Once it is known that no later filter in the chain has decided otherwise.
    OnceItStands,
}

/// A change of one request header, which replaces all its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderChange<'o> {
    /// The name of the header, in lower case.
    pub name: &'o str,
    /// The only value from now on; `None` removes the header.
    pub value: Option<&'o [u8]>,
}

/// The effects on the response.
#[derive(Clone, Debug, Default)]
pub struct ResponseEffects {
    /// Headers to add beside those of the same name; the one with the variant's name replaces them.
    pub headers: Vec<ResponseHeader>,
    /// Whether caches are told of it: of a cookie in it, or of what it depends on.
    pub(crate) caching: bool,
    /// The variant whose response is counted, if it is.
    pub(crate) observed: Option<Arc<Target>>,
}

/// A header to add to the response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHeader {
    /// The name of the header, in lower case.
    pub name: String,
    /// Its value.
    pub value: String,
    pub(crate) kind: HeaderKind,
}

/// The purpose of a response header, by which it depends on the other filters of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderKind {
    /// It sets a cookie.
    Cookie,
    /// It explains the decision: the debug header.
    Explanation,
    /// It names the variant, and the upstream's own values go: a client would take an echo of a request's
    /// header for the filter's.
    Variant,
    /// It names the variant beside what others measure.
    Timing,
}

impl<'p> Outcome<'p> {
    /// Decides about a request.
    ///
    /// ```
    /// use traffic_split::testing::FixedEnvironment;
    /// use traffic_split::{HeaderList, Outcome, Plan, Snapshot};
    ///
    /// let config = br#"{ "variantHeader": "x-v", "variants": { "canary": {} },
    ///                    "rules": [{ "name": "all", "to": "canary" }] }"#;
    /// let plan = Plan::compile(config, &|_| None).unwrap();
    /// let snapshot = Snapshot::new(&plan, 0);
    /// let request = HeaderList::new([("x-v", "stable")]);
    /// let environment = &mut FixedEnvironment::default();
    /// let outcome = Outcome::decide(&plan, &snapshot, &request, environment);
    /// let changes: Vec<_> = outcome.request_headers().map(|c| (c.name, c.value)).collect();
    /// assert_eq!(changes, [("x-v", Some(&b"canary"[..]))]);
    /// ```
    pub fn decide(
        plan: &'p Plan,
        snapshot: &'p Snapshot,
        request: &impl Request,
        environment: &mut impl Environment,
    ) -> Self {
        let request = &Reader::new(request);
        let decision = decide_read(plan, snapshot, request, environment);
        let mut outcome = Outcome::of(plan, decision, request, environment);
        // After `of`: input that is ignored for a rule in shadow alone counts nowhere.
        outcome.shadows = shadows(plan, snapshot, request, environment);
        outcome
    }

    /// The effects of a decision, without the decisions of rules in shadow.
    pub fn of(
        plan: &'p Plan,
        decision: Decision<'p>,
        request: &impl Request,
        environment: &mut impl Environment,
    ) -> Self {
        let (reason, cookies) = match plan.mode {
            Mode::Enforce => {
                (decision.reason(), Some(cookies(plan, &decision, request, environment)))
            }
            Mode::Shadow if decision.target.is_some() => (Reason::Shadow, None),
            Mode::Shadow => (decision.reason(), None),
        };
        let ignored = request.ignored().clone();
        let point = plan.point_header.as_ref().and_then(|_| decision.point());
        let point = point.map(point::Text::new);
        let carried_out = decision.target.is_some() && cookies.is_some();
        let earlier = if carried_out { None } else { Earlier::find(plan, request).map(Box::new) };
        let tells = plan.baggage || plan.unit.is_some();
        let told = tells.then(|| Told::new(plan, &decision, carried_out, request, environment));
        let shadows = Vec::new();
        Outcome { plan, decision, shadows, reason, ignored, point, cookies, earlier, told }
    }

    /// Whether a rule has decided, and its decision is carried out.
    pub fn is_carried_out(&self) -> bool {
        self.decision.target.is_some() && self.cookies.is_some()
    }

    /// The decision.
    pub fn decision(&self) -> &Decision<'p> {
        &self.decision
    }

    /// The changes of request headers but `baggage`, in order. Each routing header is written or removed,
    /// whatever a client sent in it. Where no decision is carried out, one that an earlier filter in
    /// the chain wrote stays.
    pub fn request_headers(&self) -> impl Iterator<Item = HeaderChange<'_>> {
        let variant = self.decision.variant().filter(|_| self.is_carried_out());
        let cluster = variant.and_then(|variant| Some(variant.cluster.as_ref()?.as_bytes()));
        let name = variant.map(|variant| variant.name.as_bytes());
        let stays = |name| self.earlier.as_ref().is_some_and(|earlier| earlier.wrote(name));
        let routing = |header: &'p Option<String>, value: Option<_>| {
            let name = header.as_deref().filter(|name| value.is_some() || !stays(name))?;
            Some(HeaderChange { name, value })
        };
        let cookie = self.cookies.as_ref().and_then(|cookies| cookies.request.as_deref());
        [
            routing(&self.plan.cluster_header, cluster),
            routing(&self.plan.variant_header, name),
            routing(&self.plan.point_header, self.point_text().filter(|_| self.is_carried_out())),
            cookie.map(|value| HeaderChange { name: "cookie", value: Some(value) }),
        ]
        .into_iter()
        .flatten()
    }

    /// The change of the request's `baggage`, which few configurations ask for.
    pub fn baggage_change(&self) -> Option<HeaderChange<'_>> {
        let value = Some(&*self.baggage()?.value).filter(|value| !value.is_empty());
        Some(HeaderChange { name: BAGGAGE, value })
    }

    fn baggage(&self) -> Option<&Written> {
        self.told.as_ref()?.baggage.as_ref()
    }

    /// The names by which a later filter in the chain knows that `baggage` has a member of this one, and
    /// which; none where it has none.
    pub fn written_in_baggage(&self) -> impl Iterator<Item = &str> {
        let key = self.baggage().and_then(|written| written.key.as_deref());
        key.into_iter().flat_map(|key| [BAGGAGE, key])
    }

    /// Whether the response sets a cookie of the filter.
    pub fn sets_cookies(&self) -> bool {
        self.cookies.as_ref().is_some_and(|cookies| !cookies.response.is_empty())
    }

    fn point_text(&self) -> Option<&[u8]> {
        self.point.as_ref().map(point::Text::as_bytes)
    }

    /// Calls `increment` with the index in [`crate::Metrics`] of each counter that the request adds
    /// one to, and with the time at which it does.
    pub fn count(&self, mut increment: impl FnMut(u32, Due)) {
        if self.plan.metrics_level != MetricsLevel::Off {
            self.count_all(&mut increment);
        }
    }

    #[inline(never)] // The module would have this for each way to count.
    fn count_all(&self, increment: &mut dyn FnMut(u32, Due)) {
        let metrics = &self.plan.metrics;
        // A decision that is not carried out sends the request nowhere: no later filter undoes it.
        let stands = if self.is_carried_out() { Due::OnceItStands } else { Due::Now };
        let mut add = |index: MetricIndex, due| index.into_iter().for_each(|i| increment(i, due));
        self.ignored.iter().for_each(|what| add(metrics.ignored(what), Due::Now));
        match self.decision.target {
            Some(target) => {
                add(target.metrics.request(self.reason), stands);
                if self.is_first() && matches!(self.reason, Reason::Sticky | Reason::Random) {
                    add(target.metrics.assigned, stands);
                }
                // In shadow, an earlier filter or Envoy's own route decides where the request goes.
                if !self.earlier_agrees(&self.decision) {
                    add(target.metrics.changed, stands);
                }
            }
            None => add(metrics.unmatched, Due::Now),
        }
        for shadow in &self.shadows {
            if let Some(target) = shadow.target {
                add(target.metrics.request(Reason::Shadow), Due::Now);
                let goes_to = |decision: &Decision<'p>| (decision.variant(), decision.point());
                let alike = match self.decision.target {
                    Some(_) => goes_to(shadow) == goes_to(&self.decision),
                    None => self.earlier_agrees(shadow),
                };
                if !alike {
                    add(target.metrics.changed, stands);
                }
            }
        }
    }

    /// Whether an earlier filter sends the request where this decision would.
    fn earlier_agrees(&self, decision: &Decision<'p>) -> bool {
        self.earlier.as_ref().is_some_and(|earlier| earlier.agrees(self.plan, decision))
    }

    /// The effects on the response; most often there are none.
    pub fn into_response(self) -> ResponseEffects {
        let mut headers = Vec::new();
        let mut observed = None;
        let told = self.plan.tells().then(|| self.told());
        if let Some(cookies) = self.cookies {
            let kind = HeaderKind::Cookie;
            let set = |value| ResponseHeader { name: "set-cookie".to_owned(), value, kind };
            headers.extend(cookies.response.into_iter().map(set));
            let counts = self.plan.metrics_level == MetricsLevel::Full;
            let observes = |target: &&Arc<Target>| counts || target.guard.is_some();
            // What a client forces says nothing of its variant to those who compare.
            let chosen = self.decision.target.filter(|_| self.reason != Reason::Override);
            observed = chosen.filter(observes);
        }
        let caching = &self.plan.caching;
        let caching = !caching.vary.is_empty() || caching.private && !headers.is_empty();
        if let Some(mut told) = told {
            headers.append(&mut told);
        }
        ResponseEffects { headers, caching, observed: observed.cloned() }
    }

    /// The headers that tell of the decision: the debug header, and for scripts and caches the variant
    /// by itself, and as a metric of the server with the rule in its name.
    #[cold]
    fn told(&self) -> Vec<ResponseHeader> {
        let mut told = Vec::new();
        let mut tell = |kind, name: &str, value| {
            told.push(ResponseHeader { name: name.into(), value, kind });
        };
        if let Some(name) = &self.plan.debug_header {
            tell(HeaderKind::Explanation, name, self.explained());
        }
        let [rule, variant] = self.names();
        if self.decision.variant().is_some() && self.is_carried_out() {
            if let Some(name) = &self.plan.response_header {
                tell(HeaderKind::Variant, name, variant.to_owned());
            }
            if self.plan.server_timing {
                // Names are tokens, so they need no escape.
                let value = format!("split.{rule};desc=\"{variant}\"");
                tell(HeaderKind::Timing, SERVER_TIMING, value);
            }
        }
        told
    }

    /// The decision in the words of the debug header.
    fn explained(&self) -> String {
        let ([rule, variant], reason) = (self.names(), self.reason.name());
        let point = self.decision.point().map(|point| format!("; point={point}"));
        let point = point.unwrap_or_default();
        let mut text = format!("rule={rule}; variant={variant}; reason={reason}{point}");
        let mut before = "; absent=";
        for what in self.ignored.iter() {
            text.push_str(before);
            text.push_str(what.name());
            before = ",";
        }
        text
    }

    /// The names of the rule and the variant, `-` where there is none.
    fn names(&self) -> [&str; 2] {
        let variant = self.decision.variant().map(|variant| variant.name.as_str());
        [self.decision.rule(), variant].map(|name| name.unwrap_or("-"))
    }
}

impl Told {
    #[inline(never)] // Whoever asks for none of it is not to pay for its code.
    fn new<'p>(
        plan: &'p Plan,
        decision: &Decision<'p>,
        carried_out: bool,
        request: &impl Request,
        environment: &mut impl Environment,
    ) -> Box<Self> {
        let unit = plan.unit.as_ref();
        let unit = unit.and_then(|key| state::unit(plan, key, decision, request, environment));
        let decided = decision.target.filter(|_| carried_out).map(|target| &**target);
        let baggage = plan.baggage.then(|| baggage::change(plan, decided, request)).flatten();
        Box::new(Told { unit, baggage })
    }
}

impl ResponseEffects {
    /// Whether nothing is left to do.
    pub fn is_empty(&self) -> bool {
        self.headers.is_empty() && !self.caching && self.observed.is_none()
    }
}

#[cfg(test)]
mod tests;
