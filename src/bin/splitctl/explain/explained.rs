//! The explanation of a decision, as `-o json` prints it.

use serde::Serialize;
use traffic_split::config::{Mode, RuleSpec};
use traffic_split::{
    Decision, Explanation, HeaderChange, HeaderList, Outcome, Reason, ResponseHeader, Rule,
    Snapshot, explain,
};

use super::absent;
use super::bucket::Buckets;
use super::flips;
use crate::check::Checked;
use crate::curve;
use crate::describe;
use crate::given::Example;
use crate::output::Ordered;
use crate::routes::{Route, Routes};

/// The answer as `-o json` prints it.
#[derive(Serialize)]
pub struct Explained {
    pub rule: Option<String>,
    /// The variant; `None` if it depends on chance.
    pub variant: Option<String>,
    pub cluster: Option<String>,
    /// The point, as text: JSON numbers are not exact enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub point: Option<String>,
    /// The entry of the route that the point chooses, where a route with weights is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<Destination>,
    pub reason: &'static str,
    pub key: Option<Key>,
    /// The hash in sixteen hexadecimal digits, since JSON numbers are not exact enough.
    pub hash: Option<String>,
    /// The share of each variant, if the variant depends on chance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chances: Option<Ordered<f64>>,
    /// The request headers that are set, and with null the ones that are removed.
    pub headers: Ordered<Option<String>>,
    /// The names of the cookies that are set.
    pub cookies: Vec<String>,
    /// The names of the cookies that are ended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ended: Vec<String>,
    pub rules: Vec<Step>,
    /// The reasons for which the client may get another variant later.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flips: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The reason why a split draws.
    #[serde(skip)]
    pub draw: String,
    /// Whether no chance is in it.
    #[serde(skip)]
    pub is_certain: bool,
}

/// An entry of a route.
#[derive(Serialize)]
pub struct Destination {
    pub name: String,
    pub route: String,
    /// The point modulo the total of the weights.
    pub place: u64,
    pub total: u64,
}

impl Destination {
    fn new(point: u64, route: &Route) -> Option<Self> {
        let (name, total) = (route.entry(point)?.to_owned(), route.total());
        let place = point.checked_rem(total)?;
        Some(Destination { name, route: route.title.clone(), place, total })
    }
}

#[derive(Serialize)]
pub struct Key {
    pub source: String,
    /// The value; `None` if it is issued anew.
    pub value: Option<String>,
    pub issued: bool,
}

#[derive(Serialize)]
pub struct Step {
    pub rule: String,
    pub matched: Option<bool>,
    /// Whether it matches, but the client is outside its slice or left out by its engine.
    #[serde(skip)]
    pub outside: bool,
    /// Whether it is in shadow.
    pub shadow: bool,
    pub why: Vec<String>,
    /// The buckets of its flag engine, if the request was asked for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<Buckets>,
}

impl Explained {
    /// Decides a request as the filter does, and explains how.
    pub fn new(checked: &Checked, request: &HeaderList, routes: &Routes) -> Self {
        let explanation = explain(&checked.plan, &checked.snapshot, request, &mut example(checked));
        let decision = &explanation.decision;
        let last = explanation.steps.last().filter(|_| decision.rule().is_some());
        let key = last.and_then(|step| step.key.as_ref());
        let hash = decision.hash();
        let chance = decision.reason() == Reason::Random
            || hash.is_some() && key.is_some_and(|key| key.issued);
        let certain = !chance;
        let variant = decision.variant().filter(|_| certain);
        let point = decision.point().filter(|_| certain);
        // Without a route the answer ends at the point.
        let route = decision.rule().and_then(|rule| routes.only(rule).ok());
        let outcome = Outcome::of(&checked.plan, *decision, request, &mut example(checked));
        // The `cookie` header would hold the identity, which is drawn for a real client only.
        let routing = outcome.request_headers().filter(|change| change.name != "cookie");
        let headers = routing.filter(|_| certain).map(header).collect();
        let set_cookies = outcome.into_response().headers.into_iter();
        let set_cookies = set_cookies.filter(|header| header.name == "set-cookie");
        let ends = |header: &ResponseHeader| header.value.contains("; Max-Age=0;");
        let (ended, set_cookies): (Vec<_>, Vec<_>) = set_cookies.partition(ends);
        let name = |value: &str| value.split('=').next().unwrap_or_default().to_owned();
        Explained {
            rule: decision.rule().map(str::to_owned),
            variant: variant.map(|variant| variant.name.clone()),
            cluster: variant.and_then(|variant| variant.cluster.clone()),
            point: point.map(|point| point.to_string()),
            destination: point.and_then(|point| Destination::new(point, route?)),
            reason: decision.reason().name(),
            key: key.map(|key| Key {
                source: key.source.to_string(),
                value: (!key.issued).then(|| String::from_utf8_lossy(&key.value).into_owned()),
                issued: key.issued,
            }),
            hash: hash.filter(|_| certain).map(|hash| format!("{hash:016x}")),
            chances: last
                .filter(|_| chance)
                .map(|step| chances(step.rule, &checked.snapshot, route))
                .filter(|Ordered(chances)| !chances.is_empty()),
            headers: Ordered(headers),
            cookies: set_cookies.iter().map(|header| name(&header.value)).collect(),
            ended: ended.iter().map(|header| name(&header.value)).collect(),
            rules: steps(checked, request, &explanation),
            flips: flips::reasons(checked, &explanation, request),
            notes: notes(checked, decision, request),
            draw: draw(checked, decision.rule(), request),
            is_certain: certain,
        }
    }
}

pub fn example(checked: &Checked) -> Example {
    Example { now: checked.snapshot.now() }
}

fn header(change: HeaderChange<'_>) -> (String, Option<String>) {
    let value = change.value.map(|value| String::from_utf8_lossy(value).into_owned());
    (change.name.to_owned(), value)
}

fn chances(rule: &Rule, snapshot: &Snapshot, route: Option<&Route>) -> Ordered<f64> {
    if let Some(route) = route.filter(|_| rule.is_by_route()) {
        return Ordered(route.shares().map(|(name, share)| (name.to_owned(), share)).collect());
    }
    let weights = rule.weights(snapshot);
    let total: f64 = weights.iter().map(|(_, weight)| weight).sum();
    Ordered(weights.iter().map(|(v, weight)| (v.name.clone(), weight / total)).collect())
}

fn steps(checked: &Checked, request: &HeaderList, explanation: &Explanation<'_>) -> Vec<Step> {
    let reached = explanation.steps.iter().map(Some).chain(std::iter::repeat(None));
    let rules = checked.config.rules.iter().zip(reached);
    rules
        .map(|(rule, step)| {
            let decided = explanation.decision.rule() == Some(&rule.name);
            let mut why = match step {
                Some(step) if step.matches => describe::met(rule, step, request),
                Some(step) => describe::missed(rule, step, request),
                None => Vec::new(),
            };
            let layer = step.filter(|step| step.matches);
            let too_long =
                layer.filter(|step| step.key.is_none()).map(|_| absent::keys(rule, request));
            why.extend(layer.and_then(|step| describe::layer(rule, step)));
            why.extend(too_long.into_iter().flatten());
            let engine = layer.and_then(|step| Buckets::new(rule, step));
            why.extend(engine.iter().flat_map(Buckets::lines));
            let outside = !decided && layer.is_some();
            let matched = step.map(|_| decided);
            Step {
                rule: rule.name.clone(),
                matched,
                outside,
                shadow: rule.mode == Mode::Shadow,
                why,
                engine,
            }
        })
        .collect()
}

/// The rule that decided, as written.
fn decided<'c>(checked: &'c Checked, rule: Option<&str>) -> Option<&'c RuleSpec> {
    checked.config.rule(rule?)
}

fn draw(checked: &Checked, rule: Option<&str>, request: &HeaderList) -> String {
    match decided(checked, rule).filter(|rule| rule.sticky.is_some()) {
        Some(rule) => {
            let too_long = absent::keys(rule, request);
            let why =
                if too_long.is_empty() { describe::sources(rule) } else { too_long.join(", ") };
            format!("drawn for this request, which has no key: {why}")
        }
        None => "drawn for each request: the split is not sticky".to_owned(),
    }
}

fn notes(checked: &Checked, decision: &Decision<'_>, request: &HeaderList) -> Vec<String> {
    let unset = checked.unset().filter(|(_, signs)| *signs).map(|(name, _)| {
        format!("{name} is not set here, so no cookie and no link signed with its keys is believed")
    });
    let shadow = (checked.config.mode == Mode::Shadow)
        .then(|| "mode: shadow: this is counted, and nothing is written into the request".into());
    let ramp = decision.rule().and_then(|rule| curve::ramp(&checked.config, rule));
    let ramped = ramp.and(checked.at()).map(|at| format!("the ramp is taken as it stands at {at}"));
    // A draw says why there is no key.
    let drawn = decision.reason() == Reason::Random;
    let rules = checked.config.rules.iter().filter(|_| !drawn);
    let mut keys: Vec<_> = rules.flat_map(|rule| absent::keys(rule, request)).collect();
    keys.dedup();
    let unforced =
        decided(checked, decision.rule()).filter(|_| decision.reason() != Reason::Override);
    let unforced =
        unforced.map(|rule| absent::choices(&checked.config, rule, request)).unwrap_or_default();
    let absent = absent::notes(&checked.config, request).into_iter().chain(keys).chain(unforced);
    unset.chain(shadow).chain(ramped).chain(absent).collect()
}
