//! A rule: the requests that it matches, and the variant that they go to.

use std::ops::Range;

use super::condition::{self, Condition};
use super::cookie::CookieSpec;
use super::error::Errors;
use super::field::{Field, Object};
use super::form::Form;
use super::given::Given;
use super::mode::{self, Mode};
use super::overrides::{self, OverrideSpec};
use super::route::RouteSpec;
use super::split::{self, SplitSpec};
use super::sticky::{self, PersistSpec, StickySpec};
use crate::engine::SplitContext;
use crate::limits;

/// A rule as written.
///
/// ```
/// use traffic_split::config::{ActionSpec, Config};
///
/// let config = br#"{ "variantHeader": "x-variant", "variants": { "v2": {} }, "rules": [
///     { "name": "testers", "match": [ { "headers": { "x-user": { "exact": "ann" } } } ],
///       "to": "v2" } ] }"#;
/// let rule = &Config::parse(config).unwrap().rules[0];
/// assert_eq!(rule.path, "rules[0]");
/// assert_eq!(rule.entries.as_ref().unwrap().len(), 1);
/// assert!(matches!(&rule.action, Some(ActionSpec::To(variant)) if variant == "v2"));
/// ```
#[derive(Clone, Debug)]
pub struct RuleSpec {
    /// Its path in the configuration, as in `rules[1]`.
    pub path: String,
    /// Its name, unique among the rules: 1 to [`limits::NAME_BYTES`] letters, digits, `-`, `_` or
    /// `.`. Empty if it could not be read.
    pub name: String,
    /// The entries of `match`, any of which is enough (OR), each with conditions that all have to
    /// hold (AND). `None` matches every request.
    pub entries: Option<Vec<Vec<Condition>>>,
    /// The slice of a layer that the rule is limited to; `None` for all clients.
    pub layer: Option<LayerSpec>,
    /// The stickiness. Without it, a split draws anew for every request.
    pub sticky: Option<StickySpec>,
    /// The variants that clients may force.
    pub overrides: Option<OverrideSpec>,
    /// Whether its decisions are carried out. In [`Mode::Shadow`] the next rule decides.
    pub mode: Mode,
    /// The variant or the split that matching requests go to; `None` if it could not be read.
    pub action: Option<ActionSpec>,
}

/// The variant or the split to which a rule sends the requests that it matches.
///
/// ```
/// use traffic_split::config::{ActionSpec, Config};
///
/// let config = br#"{ "variantHeader": "x-variant", "variants": { "v1": {}, "v2": {} },
///                    "rules": [ { "name": "rollout", "split": { "v1": 90, "v2": 10 } } ] }"#;
/// let rules = Config::parse(config).unwrap().rules;
/// assert!(matches!(&rules[0].action, Some(ActionSpec::Split(split)) if split.weights.len() == 2));
/// ```
#[derive(Clone, Debug)]
pub enum ActionSpec {
    /// All of them go to the variant of this name.
    To(String),
    /// Each of them goes to one variant of a split.
    Split(Box<SplitSpec>),
    /// Each of them gets a place among the weights that the route has.
    Route(Box<RouteSpec>),
}

/// A slice of a layer. Rules with disjoint slices of one layer never take the same client.
///
/// ```
/// use traffic_split::config::Config;
///
/// let config = br#"{ "variantHeader": "x-variant", "variants": { "v2": {} }, "rules": [
///     { "name": "holdout", "layer": "search", "slice": [0, 5], "to": "v2",
///       "sticky": { "key": [ { "cookie": "uid" } ] } } ] }"#;
/// let rules = Config::parse(config).unwrap().rules;
/// let layer = rules[0].layer.as_ref().unwrap();
/// assert_eq!((layer.name.as_str(), layer.start, layer.end), ("search", 0.0, 5.0));
/// ```
#[derive(Clone, Debug)]
pub struct LayerSpec {
    /// The layer's name.
    pub name: String,
    /// The start of the slice, in percent of all clients: from 0, and less than `end`.
    pub start: f64,
    /// The end of the slice, which is excluded, in percent of all clients: at most 100.
    pub end: f64,
}

impl RuleSpec {
    /// The cookie that keeps its assignments.
    pub fn persist(&self) -> Option<&PersistSpec> {
        match &self.action {
            Some(ActionSpec::Split(split)) => split.persist.as_ref(),
            Some(ActionSpec::Route(route)) => route.persist.as_ref(),
            Some(ActionSpec::To(_)) | None => None,
        }
    }

    /// Every cookie that it sets: the one with identities, with assignments, and with forced variants.
    ///
    /// ```
    /// use traffic_split::config::Config;
    ///
    /// let config = br#"{ "variantHeader": "x-variant", "variants": { "v1": {} }, "rules": [
    ///     { "name": "rollout", "split": { "v1": 1 },
    ///       "sticky": { "issue": { "cookie": "id", "maxAge": "1d" } },
    ///       "persist": { "cookie": "kept", "maxAge": "1h" } } ] }"#;
    /// let rule = &Config::parse(config).unwrap().rules[0];
    /// let names: Vec<_> = rule.cookies().map(|cookie| cookie.name.as_str()).collect();
    /// assert_eq!(names, ["id", "kept"]);
    /// assert_eq!(rule.persist().unwrap().cookie.name, "kept");
    /// assert_eq!(rule.salt(), "rollout");
    /// ```
    pub fn cookies(&self) -> impl Iterator<Item = &CookieSpec> {
        let issue = self.sticky.as_ref().and_then(|sticky| sticky.issue.as_ref());
        let persist = self.persist().map(|persist| &persist.cookie);
        let forced = self.overrides.as_ref().map(|overrides| &overrides.cookie);
        issue.into_iter().chain(persist).chain(forced)
    }

    /// The text that is hashed together with a key: its name, if no other salt is given.
    pub fn salt(&self) -> &str {
        self.sticky.as_ref().and_then(|sticky| sticky.salt.as_deref()).unwrap_or(&self.name)
    }
}

const RULE: Form = Form::fixed("{ name: all, to: stable }");

pub(super) fn read(field: &Field<'_>, errors: &mut Errors) -> Option<RuleSpec> {
    let mut object = field.object_as(RULE, errors)?;
    let remedy = "name the rule: logs, metrics and the default salt use it";
    let name = object.required("name", remedy).and_then(|field| field.name(errors));
    let entries = object.optional("match").map(|field| entries(field, errors));
    let layer = layer(&mut object, errors);
    let mode = mode::read(&mut object, errors);
    let action = action(&mut object, errors);
    let path = object.path.clone();
    let split = match &action {
        Some(ActionSpec::To(_) | ActionSpec::Route(_)) => None,
        Some(ActionSpec::Split(split)) => Some(Some(&**split)),
        None => Some(None),
    };
    let context = split.map(|split| SplitContext { rule: &path, split });
    let sticky = object.given(
        "sticky",
        |field, errors| sticky::read(field, context.as_ref(), errors),
        errors,
    );
    let overrides = object.given("override", overrides::read, errors).value();
    let sticks = sticky.is_given();
    let is_layered = ["layer", "slice"].iter().any(|name| object.optional(name).is_some());
    match &action {
        Some(ActionSpec::To(_)) if sticks && !is_layered => {
            let remedy = "only a `split` can be sticky, or a rule with a `layer`";
            errors.forbidden(&format!("{path}.sticky"), remedy);
        }
        Some(ActionSpec::Split(split)) if !split.history.is_empty() && !sticks => {
            object.miss("sticky", "`history` is for sticky splits");
        }
        Some(ActionSpec::Route(route)) if route.persist.is_none() && !sticks => {
            let remedy = "`split: route` gives each client its place by a key";
            object.miss("sticky", remedy);
        }
        _ => {}
    }
    if let Some(context) = context.filter(|_| !sticks) {
        context.check(false, errors);
    }
    if layer.is_some() && !sticks {
        object.miss("sticky", "a `layer` tells clients apart by `sticky`");
    }
    object.finish(errors);
    let (name, sticky) = (name.unwrap_or_default(), sticky.value());
    Some(RuleSpec { path, name, entries, layer, sticky, overrides, mode, action })
}

fn entries(field: &Field<'_>, errors: &mut Errors) -> Vec<Vec<Condition>> {
    let form = Form::fixed("[ { path: { prefix: /shop } } ]");
    let fields = field.list_as(limits::MATCH_ENTRIES, form, errors).unwrap_or_default();
    if fields.is_empty() && field.is_list() {
        field.wrong::<()>("must have an entry; leave it out to match every request", errors);
    }
    fields.iter().map(|field| condition::read(field, errors)).collect()
}

fn layer(object: &mut Object<'_>, errors: &mut Errors) -> Option<LayerSpec> {
    let name = object.given("layer", Field::name, errors);
    let slice = object.given("slice", slice, errors);
    let (missing, remedy) = match (name.is_given(), slice.is_given()) {
        (true, false) => ("slice", "give the percent of the layer that the rule takes: [0, 30]"),
        (false, true) => ("layer", "name the layer that the slice is of"),
        _ => {
            let Range { start, end } = slice.value()?;
            return Some(LayerSpec { name: name.value()?, start, end });
        }
    };
    object.miss(missing, remedy);
    None
}

fn slice(field: &Field<'_>, errors: &mut Errors) -> Option<Range<f64>> {
    let bounds = field.list_as(limits::LIST, Form::fixed("[0, 30]"), errors)?;
    let numbers: Vec<f64> = bounds.iter().filter_map(|field| field.number(errors)).collect();
    match numbers.as_slice() {
        [start, end] if 0.0 <= *start && start < end && *end <= 100.0 => Some(*start..*end),
        numbers if numbers.len() < bounds.len() => None,
        _ => field.wrong("must be two numbers from 0 to 100, the smaller one first", errors),
    }
}

fn action(object: &mut Object<'_>, errors: &mut Errors) -> Option<ActionSpec> {
    let to = object.given("to", Field::name, errors);
    let split = split::read(object, errors);
    match (to, split) {
        (Given::Absent, Given::Absent) => {
            let remedy = "give `to: VARIANT`, `split: {VARIANT: WEIGHT, ...}` or `split: route`";
            object.miss("", remedy);
            None
        }
        (to, Given::Absent) => to.value().map(ActionSpec::To),
        (Given::Absent, split) => split.value(),
        _ => {
            errors.forbidden(&format!("{}.split", object.path), "`to` is given as well; keep one");
            None
        }
    }
}
