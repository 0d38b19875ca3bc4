//! One of the two configurations, and the places to which it sends clients.

use anyhow::{Result, anyhow};
use serde_json::Value;
use traffic_split::config::Mode;
use traffic_split::{HeaderList, Plan, Snapshot, decide};

use super::client::Chance;
use crate::check::Checked;
use crate::routes::{Route, Routes};

/// A configuration that is ready to be asked. Its cookies are unsigned here: a signature says who may
/// choose an identity or a variant, and not which one it is.
pub struct Side<'a> {
    pub checked: &'a Checked,
    /// The route that has the weights of a rule with `split: route`.
    pub route: Option<&'a Route>,
    json: Value,
    plan: Plan,
    snapshot: Snapshot,
    by_cluster: bool,
}

/// The rule and the variant that a client gets, and the place where it then is.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub rule: Option<&'a str>,
    pub variant: Option<&'a str>,
    pub at: At<'a>,
    /// The client's point, where the route has the weights.
    pub point: Option<u64>,
}

/// A place where a client is. Two configurations send it to the same one if these are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At<'a> {
    Cluster(&'a str),
    Variant(&'a str),
    /// An entry of the route that has the weights.
    Entry(&'a str),
    /// The place of a point in a route that is not given.
    Point(u64),
    /// A place that Envoy draws by the route's weights.
    Drawn,
    /// The place to which Envoy's own route leads.
    Own,
}

impl<'a> Side<'a> {
    /// The configuration at the time of its snapshot. `by_cluster` tells its places by clusters.
    pub fn new(checked: &'a Checked, routes: &'a Routes, by_cluster: bool) -> Result<Self> {
        let mut json = serde_json::to_value(&checked.tree)?;
        unsign(&mut json);
        Side::compiled(checked, routes.only("").ok(), by_cluster, json)
    }

    /// The same with a change of its JSON.
    pub fn edited(&self, edit: impl FnOnce(&mut Value)) -> Result<Self> {
        let mut json = self.json.clone();
        edit(&mut json);
        Side::compiled(self.checked, self.route, self.by_cluster, json)
    }

    fn compiled(
        checked: &'a Checked,
        route: Option<&'a Route>,
        by_cluster: bool,
        json: Value,
    ) -> Result<Self> {
        let plan = Plan::compile(json.to_string().as_bytes(), &|_| None);
        let plan = plan.map_err(|errors| anyhow!("{errors}"))?;
        let snapshot = Snapshot::new(&plan, checked.snapshot.now());
        Ok(Side { checked, route, json, plan, snapshot, by_cluster })
    }

    /// The place of a client.
    pub fn place(&self, request: &HeaderList, chance: &mut Chance<'_>) -> Place<'_> {
        let decision = decide(&self.plan, &self.snapshot, request, chance);
        let variant = decision.variant();
        let entry = |point: u64| match self.route {
            Some(route) => route.entry(point).map_or(At::Point(point), At::Entry),
            None => At::Point(point),
        };
        let cluster = variant.filter(|_| self.by_cluster).and_then(|it| it.cluster.as_deref());
        let at = match (cluster, variant, decision.point()) {
            _ if decision.rule().is_none() || self.is_in_shadow() => At::Own,
            (Some(cluster), ..) => At::Cluster(cluster),
            (_, Some(_), Some(point)) if self.route.is_some() => entry(point),
            (_, Some(variant), _) => At::Variant(&variant.name),
            (_, None, Some(point)) => entry(point),
            (_, None, None) => At::Drawn,
        };
        Place {
            rule: decision.rule(),
            variant: variant.map(|variant| variant.name.as_str()),
            at,
            point: decision.point(),
        }
    }

    /// A place of an edited side in the words of this one.
    pub fn own(&self, place: Place<'_>) -> Place<'_> {
        let config = &self.checked.config;
        let variants = || config.variants.iter();
        let entries = || self.route.iter().flat_map(|route| &route.entries);
        let variant = |name| named(variants().map(|it| it.name.as_str()), name);
        Place {
            rule: place
                .rule
                .map(|name| named(config.rules.iter().map(|it| it.name.as_str()), name)),
            variant: place.variant.map(variant),
            at: match place.at {
                At::Cluster(name) => {
                    At::Cluster(named(variants().filter_map(|it| it.cluster.as_deref()), name))
                }
                At::Variant(name) => At::Variant(variant(name)),
                At::Entry(name) => At::Entry(named(entries().map(|it| it.name.as_str()), name)),
                At::Point(point) => At::Point(point),
                At::Drawn => At::Drawn,
                At::Own => At::Own,
            },
            point: place.point,
        }
    }

    /// Whether nothing is carried out. A hold has everyone decided.
    fn is_in_shadow(&self) -> bool {
        self.checked.config.mode == Mode::Shadow && self.checked.config.hold.is_none()
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Seconds since 1970.
    pub fn now(&self) -> u64 {
        self.snapshot.now()
    }
}

/// The name among these that is the same text.
fn named<'n>(mut names: impl Iterator<Item = &'n str>, name: &str) -> &'n str {
    names.find(|known| *known == name).unwrap_or_default()
}

/// Leaves out what needs keys and decides nothing: the signing of cookies, and units.
fn unsign(json: &mut Value) {
    json.as_object_mut().map(|fields| fields.remove("unit"));
    let rules = json.get_mut("rules").and_then(Value::as_array_mut);
    for rule in rules.into_iter().flatten() {
        for path in ["/sticky/issue", "/persist", "/override"] {
            let cookie = rule.pointer_mut(path).and_then(Value::as_object_mut);
            cookie.map(|cookie| cookie.remove("signing"));
        }
    }
}
