//! Warnings about routes whose weights a rule relies on.

use traffic_split::config::{ActionSpec, Config};

use super::{Route, Routes};
use crate::lint::{Lint, Warning};

/// The warnings about routes for a configuration with `split: route`; none for any other.
pub fn warnings(config: &Config, routes: &Routes) -> Vec<Warning> {
    let by_route = config.rules.iter().any(|r| matches!(r.action, Some(ActionSpec::Route(_))));
    let Some(header) = config.point_header.as_ref().filter(|_| by_route) else { return Vec::new() };
    let mut warnings = Vec::new();
    let mut warn = |lint: Lint, route: &Route, message: String| {
        let message = format!("{}: {message}", route.title);
        warnings.push(Warning::new(lint, &route.file, route.line, message));
    };
    let weighted = || routes.all.iter().filter(|route| route.is_weighted);
    if let (None, Some(route)) = (weighted().next(), routes.all.first()) {
        warn(
            Lint::RandomRoute,
            route,
            "it has no weights, and no other route has: `split: route` changes nothing".into(),
        );
    }
    for route in weighted() {
        if route.is_envoys && route.header.as_ref() != Some(header) {
            warn(
                Lint::RandomRoute,
                route,
                format!("it splits at random: give `header_name: {header}` beside clusters"),
            );
        }
        if !route.is_envoys && !routes.headers.contains(header) {
            let remedy = format!(
                "it splits at random: nothing here sets weighted_clusters.header_name to {header}"
            );
            warn(Lint::RandomRoute, route, remedy);
        }
    }
    for (place, route) in routes.all.iter().enumerate() {
        let same = |other: &&Route| other.title == route.title && other.file != route.file;
        let earlier = routes.all.iter().take(place).find(same);
        for change in earlier.map(|earlier| changes(earlier, route)).unwrap_or_default() {
            warn(Lint::MovedByRoute, route, change);
        }
    }
    warnings
}

/// The changes between two states of a route that move clients without need.
pub fn changes(before: &Route, after: &Route) -> Vec<String> {
    let mut changes = Vec::new();
    let (old, new) = (before.total(), after.total());
    if old != new {
        changes.push(format!(
            "the weights add up to {new}, and to {old} in {}: clients move without need, since Envoy \
             takes a point modulo the total; keep the total",
            before.file
        ));
    }
    let names = |route: &'_ Route, other: &'_ Route| -> Vec<String> {
        let known = |name: &str| other.entries.iter().any(|entry| entry.name == name);
        let names = route.entries.iter().map(|entry| entry.name.clone());
        names.filter(|name| known(name)).collect()
    };
    if names(before, after) != names(after, before) {
        changes.push(format!(
            "the order is not that in {}: clients move without need; keep the order",
            before.file
        ));
    }
    changes
}
