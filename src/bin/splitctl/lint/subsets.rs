//! The subsets of DestinationRules, and those that nobody has defined: Envoy answers 503 for them.

use std::collections::BTreeSet;

use traffic_split::config::VariantSpec;

use super::workload::Placed;
use super::{Lint, Warning};
use crate::document::Node;

/// A route to a subset.
struct Destination<'n> {
    file: &'n str,
    line: usize,
    title: String,
    host: &'n str,
    subset: &'n str,
}

/// The subsets in the same input as some plugins, and the routes to them.
#[derive(Default)]
pub struct Subsets<'n> {
    /// The hosts of DestinationRules with their subsets.
    known: Vec<(&'n str, Vec<&'n str>)>,
    destinations: Vec<Destination<'n>>,
}

impl<'n> Subsets<'n> {
    /// Adds a DestinationRule.
    pub fn add(&mut self, resource: &'n Node) {
        let subsets = resource.at(&["spec", "subsets"]).map_or(&[][..], Node::elements).iter();
        let names = subsets.filter_map(|subset| subset.get("name")?.text()).collect();
        let host = resource.at(&["spec", "host"]).and_then(Node::text);
        self.known.extend(host.map(|host| (host, names)));
    }

    /// Adds the destinations of a route.
    pub fn add_route(&mut self, file: &'n str, title: &str, route: &'n Node) {
        let destinations = route.get("route").map_or(&[][..], Node::elements).iter();
        self.destinations.extend(destinations.filter_map(|it| {
            let subset = it.at(&["destination", "subset"])?;
            Some(Destination {
                file,
                line: subset.line,
                title: title.to_owned(),
                host: it.at(&["destination", "host"])?.text()?,
                subset: subset.text()?,
            })
        }));
    }

    /// Whether there are subsets of a host, and this one is none of them.
    fn lacks(&self, host: &str, subset: &str) -> bool {
        let short = |host: &str| host.split('.').next().map(str::to_owned);
        let is_it = |it: &str| {
            it == host || (it.contains('.') != host.contains('.')) && short(it) == short(host)
        };
        let mut known = self.known.iter().filter(|(it, _)| is_it(it)).peekable();
        known.peek().is_some() && known.all(|(_, names)| !names.contains(&subset))
    }

    /// The warnings about the variants whose cluster is a subset that is not there.
    pub fn of_variants(&self, plugin: &Placed<'_>) -> Vec<Warning> {
        let variants = plugin.checked.config.variants.iter().filter_map(|variant| {
            let mut parts = variant.cluster.as_deref()?.split('|');
            let (_, _, subset, host) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
            (!subset.is_empty() && self.lacks(host, subset)).then_some((variant, subset, host))
        });
        let warning = |(variant, subset, host): (&VariantSpec, &str, &str)| {
            let path = format!("variants.{}.cluster", variant.name);
            plugin.warning(Lint::UnknownCluster, &path, missing(subset, host))
        };
        variants.map(warning).collect()
    }

    /// The warnings about the routes of these resources to a subset that is not there.
    pub fn of_routes(&self, titles: &BTreeSet<&str>) -> Vec<Warning> {
        let routes = self.destinations.iter().filter(|it| titles.contains(it.title.as_str()));
        let warning = |Destination { file, line, title, host, subset }: &Destination<'_>| {
            let message = format!("{title}: {}", missing(subset, host));
            Warning::new(Lint::UnknownCluster, file, *line, message)
        };
        routes.filter(|it| self.lacks(it.host, it.subset)).map(warning).collect()
    }
}

fn missing(subset: &str, host: &str) -> String {
    format!("no DestinationRule has the subset {subset} of {host}")
}
