//! A split whose weights the route has: the filter gives each client its place among them.

use super::error::Errors;
use super::field::{Field, Object};
use super::given::Given;
use super::guard::{self, GuardSpec};
use super::rule::ActionSpec;
use super::sticky::{self, PersistSpec};

/// The word that stands for the weights.
const ROUTE: &str = "route";

/// A split whose weights the route has, as written.
///
/// ```
/// use traffic_split::config::{ActionSpec, Config};
///
/// let config = br#"{ "pointHeader": "X-Split-Point", "rules": [
///     { "name": "rollout", "split": "route", "sticky": { "key": [ { "cookie": "uid" } ] } } ] }"#;
/// let config = Config::parse(config).unwrap();
/// assert_eq!(config.point_header.as_deref(), Some("x-split-point"));
/// let Some(ActionSpec::Route(route)) = &config.rules[0].action else { panic!() };
/// assert!(route.guard.is_none() && route.persist.is_none());
/// ```
#[derive(Clone, Debug)]
pub struct RouteSpec {
    /// The guard that sends all clients to the first entry of the route while a variant fails.
    pub guard: Option<GuardSpec>,
    /// The cookie that keeps a client's point.
    pub persist: Option<PersistSpec>,
}

/// Reads the fields of a split whose weights are given by a word.
pub(super) fn read(object: &mut Object<'_>, errors: &mut Errors) -> Given<ActionSpec> {
    let word = object.given("split", word, errors);
    for (name, remedy) in [
        ("history", "the route has the weights; for a `history`, give them in `split` here"),
        ("otherwise", "the route has the weights, and a place for every client"),
        ("ramp", "the route has the weights: raise them there, or give them in `split` here"),
    ] {
        if let Some(field) = object.optional(name) {
            errors.forbidden(&field.path, remedy);
        }
    }
    let guard = object.given("guard", guard::read, errors).value();
    let persist = object.given("persist", persist, errors).value();
    match word.value() {
        Some(()) => Given::Value(ActionSpec::Route(Box::new(RouteSpec { guard, persist }))),
        None => Given::Wrong,
    }
}

fn word(field: &Field<'_>, errors: &mut Errors) -> Option<()> {
    match field.word() {
        Some(ROUTE) => Some(()),
        _ => field.wrong("must be variants with weights, or the word route", errors),
    }
}

/// Reads the cookie that keeps a point. Whether an entry drains is for the route to say.
fn persist(field: &Field<'_>, errors: &mut Errors) -> Option<PersistSpec> {
    let mut object = if field.is_object() { field.object(errors) } else { None };
    let drain = object.as_mut().and_then(|object| object.optional("drain"));
    if let Some(drain) = drain {
        errors.forbidden(
            &drain.path,
            "the route has the weights: Envoy sends nobody to an entry of 0",
        );
    }
    sticky::persist(field, errors)
}
