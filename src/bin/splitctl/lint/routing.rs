//! Variants without a route, and routes without a variant.

use std::collections::BTreeSet;

use traffic_split::config::{ActionSpec, Config, Mode};

use super::subsets::Subsets;
use super::workload::Placed;
use super::{Lint, Warning};
use crate::document::Node;

/// A route that looks at a request header.
struct HeaderRoute<'n> {
    file: &'n str,
    line: usize,
    title: String,
    namespace: Option<&'n str>,
    header: String,
    /// The value that it asks for; `None` if it asks for several.
    value: Option<&'n str>,
}

/// The routes in the same input as some plugins.
#[derive(Default)]
pub struct Routing<'n> {
    by_header: Vec<HeaderRoute<'n>>,
    /// The subsets that routes without a header lead to, by resource.
    defaults: Vec<(String, &'n str)>,
    subsets: Subsets<'n>,
}

impl<'n> Routing<'n> {
    /// Adds a resource.
    pub fn add(&mut self, file: &'n str, resource: &'n Node) {
        let text = |path: &[&str]| resource.at(path).and_then(Node::text);
        let (kind, name) =
            (text(&["kind"]).unwrap_or("-"), text(&["metadata", "name"]).unwrap_or("-"));
        let title = format!("{kind} {name}");
        let routes = match kind {
            "VirtualService" => resource.at(&["spec", "http"]),
            "HTTPRoute" | "GRPCRoute" => resource.at(&["spec", "rules"]),
            "DestinationRule" => return self.subsets.add(resource),
            _ => return,
        };
        let namespace = text(&["metadata", "namespace"]);
        for route in routes.map_or(&[][..], Node::elements) {
            let matches = route.get("match").or_else(|| route.get("matches"));
            self.subsets.add_route(file, &title, route);
            let before = self.by_header.len();
            for matched in matches.map_or(&[][..], Node::elements) {
                self.add_headers(file, (&title, namespace), matched);
            }
            if self.by_header.len() == before {
                let destinations = route.get("route").map_or(&[][..], Node::elements).iter();
                let subsets =
                    destinations.filter_map(|it| it.at(&["destination", "subset"])?.text());
                self.defaults.extend(subsets.map(|subset| (title.clone(), subset)));
            }
        }
    }

    fn add_headers(
        &mut self,
        file: &'n str,
        (title, namespace): (&str, Option<&'n str>),
        matched: &'n Node,
    ) {
        let Some(headers) = matched.get("headers") else { return };
        // Istio names headers as fields, and the Gateway API lists them.
        let named =
            headers.fields().iter().map(|(name, test)| (name.as_str(), test, test.get("exact")));
        let listed = headers.elements().iter().filter_map(|test| {
            let is_regex = test.get("type").and_then(Node::text) == Some("RegularExpression");
            let value = test.get("value").filter(|_| !is_regex);
            Some((test.get("name")?.text()?, test, value))
        });
        let routes: Vec<_> = named
            .chain(listed)
            .map(|(name, test, value)| HeaderRoute {
                file,
                line: test.line,
                title: title.to_owned(),
                namespace,
                header: name.to_ascii_lowercase(),
                value: value.and_then(Node::text),
            })
            .collect();
        self.by_header.extend(routes);
    }

    /// The warnings about the routes of these plugins.
    pub fn find(&self, placed: &[Placed<'_>]) -> Vec<Warning> {
        let mut found: Vec<_> = placed.iter().flat_map(|it| self.unrouted(it, placed)).collect();
        found.extend(placed.iter().flat_map(|plugin| self.subsets.of_variants(plugin)));
        let routes = placed.iter().flat_map(|plugin| self.for_plugin(plugin, placed));
        let titles: BTreeSet<_> = routes.map(|route| route.title.as_str()).collect();
        found.extend(self.subsets.of_routes(&titles));
        found.extend(self.unknown(placed));
        found
    }

    /// The routes that look at a plugin's header. Those in the namespace of another plugin that writes it
    /// are that one's, unless this one has no others.
    fn for_plugin(&self, plugin: &Placed<'_>, placed: &[Placed<'_>]) -> Vec<&HeaderRoute<'n>> {
        let header = plugin.checked.config.variant_header.as_ref();
        let writes = |namespace: Option<&str>| {
            let mut others = placed.iter().filter(|it| it.namespace == namespace);
            others.any(|it| it.checked.config.variant_header.as_ref() == header)
        };
        let all = || self.by_header.iter().filter(|route| Some(&route.header) == header);
        let own: Vec<_> =
            all().filter(|it| it.namespace == plugin.namespace || !writes(it.namespace)).collect();
        if own.is_empty() { all().collect() } else { own }
    }

    /// The variants of a plugin that no route is for.
    fn unrouted(&self, plugin: &Placed<'_>, placed: &[Placed<'_>]) -> Vec<Warning> {
        let config = &plugin.checked.config;
        let (Some(header), None, None) =
            (&config.variant_header, &config.cluster_header, &config.point_header)
        else {
            return Vec::new();
        };
        let routes = self.for_plugin(plugin, placed);
        if routes.is_empty() {
            return self.misrouted(plugin, header, placed).into_iter().collect();
        }
        if routes.iter().any(|route| route.value.is_none()) {
            return Vec::new();
        }
        let is_default = |name: &str| {
            let known = |(title, subset): &(String, &str)| {
                *subset == name && routes.iter().any(|route| route.title == *title)
            };
            self.defaults.iter().any(known)
        };
        let has_route = |name: &&str| routes.iter().any(|route| route.value == Some(*name));
        let used = used(config);
        let mut rest: Vec<_> = used.iter().copied().filter(|name| !has_route(name)).collect();
        // A default route serves the variant that its subset names, or else the only one left.
        let is_named = used.iter().any(|name| is_default(name));
        rest.retain(|name| !is_default(name));
        if !is_named && rest.len() == 1 {
            return Vec::new();
        }
        let warning = |name: &&str| {
            let message =
                format!("no VirtualService, HTTPRoute or DestinationRule here is for {name}");
            plugin.warning(Lint::UnroutedVariant, &format!("variants.{name}"), message)
        };
        rest.iter().map(warning).collect()
    }

    /// The warning about a header that no route looks at, where one looks at a header that no plugin
    /// writes, for a variant of this plugin or by nearly the same name. A header may be for the services
    /// alone.
    fn misrouted(
        &self,
        plugin: &Placed<'_>,
        header: &str,
        placed: &[Placed<'_>],
    ) -> Option<Warning> {
        let is_written = |route: &HeaderRoute<'_>| {
            let mut configs = placed.iter().map(|plugin| &plugin.checked.config);
            configs.any(|config| config.variant_header.as_ref() == Some(&route.header))
        };
        let variants = &plugin.checked.config.variants;
        let is_variant =
            |route: &HeaderRoute<'_>| variants.iter().any(|it| route.value == Some(&it.name));
        let near = |route: &&HeaderRoute<'_>| route.namespace == plugin.namespace;
        let other = self.by_header.iter().filter(near).find(|route| {
            !is_written(route) && (is_variant(route) || are_alike(&route.header, header))
        })?;
        let message =
            format!("no route here looks at {header}; {} looks at {}", other.title, other.header);
        Some(plugin.warning(Lint::UnroutedVariant, "variantHeader", message))
    }

    /// The routes for a variant that none of the plugins has.
    fn unknown(&self, placed: &[Placed<'_>]) -> Vec<Warning> {
        let warning = |route: &HeaderRoute<'_>| {
            let looks = |plugin: &&Placed<'_>| {
                self.for_plugin(plugin, placed).into_iter().any(|it| std::ptr::eq(it, route))
            };
            let writers: Vec<_> =
                placed.iter().filter(looks).map(|plugin| &plugin.checked.config).collect();
            let value = route.value?;
            let is_known = |config: &&Config| config.variants.iter().any(|it| it.name == value);
            if writers.is_empty() || writers.iter().any(is_known) {
                return None;
            }
            let HeaderRoute { title, header, .. } = route;
            let message =
                format!("{title}: no variant has the name {value}, which {header} would have");
            Some(Warning::new(Lint::UnknownVariant, route.file, route.line, message))
        };
        self.by_header.iter().filter_map(warning).collect()
    }
}

/// Whether two names differ in so few letters that one is most likely a slip of the other.
fn are_alike(one: &str, other: &str) -> bool {
    let same =
        |pairs: &mut dyn Iterator<Item = (u8, u8)>| pairs.take_while(|(a, b)| a == b).count();
    let start = same(&mut one.bytes().zip(other.bytes()));
    let end = same(&mut one.bytes().rev().zip(other.bytes().rev()));
    start.saturating_add(end).saturating_add(2) >= one.len().max(other.len())
}

/// The variants to which rules send somebody.
fn used(config: &Config) -> BTreeSet<&str> {
    let live = || config.rules.iter().filter(|rule| rule.mode == Mode::Enforce);
    let chosen = live().flat_map(|rule| match &rule.action {
        Some(ActionSpec::To(name)) => vec![name.as_str()],
        Some(ActionSpec::Split(split)) => split
            .weights
            .iter()
            .map(|it| it.variant.as_str())
            .chain(split.otherwise.as_deref())
            .collect(),
        _ => Vec::new(),
    });
    let forced = live().filter_map(|rule| rule.overrides.as_ref()).flat_map(|it| &it.variants);
    chosen.chain(forced.map(String::as_str)).collect()
}

/// The variants of a filter whose clusters its bootstrap, a document of this file, does not define.
pub fn unknown_clusters(plugin: &Placed<'_>, file: &str, document: &Node) -> Vec<Warning> {
    let either = |one: &[&str], other: &[&str]| document.at(one).or_else(|| document.at(other));
    let clusters = either(&["static_resources", "clusters"], &["staticResources", "clusters"]);
    let dynamic = either(&["dynamic_resources", "cds_config"], &["dynamicResources", "cdsConfig"]);
    let (Some(clusters), None) = (clusters, dynamic) else { return Vec::new() };
    let is_known = |name: &str| {
        clusters.elements().iter().any(|it| it.get("name").and_then(Node::text) == Some(name))
    };
    let variants = plugin.checked.config.variants.iter();
    let missing = variants.filter(|it| it.cluster.as_deref().is_some_and(|name| !is_known(name)));
    let warning = |variant: &traffic_split::config::VariantSpec| {
        let cluster = variant.cluster.as_deref().unwrap_or_default();
        let place = if file == plugin.file { "this file" } else { file };
        let message = format!("there is no cluster {cluster} in {place}");
        plugin.warning(Lint::UnknownCluster, &format!("variants.{}.cluster", variant.name), message)
    };
    missing.map(warning).collect()
}
