//! Warnings that need more than one configuration: plugins beside each other, and their routes.

use super::placeholder;
use super::routing::{self, Routing};
use super::salt::{self, Place};
use super::workload::Placed;
use super::{Lint, Warning, neighbours};
use crate::check::Checked;
use crate::discovery;
use crate::document::Node;
use crate::plugin;

/// The kinds of resources that are the filter's, or route for it.
const KINDS: [&str; 9] = [
    "DestinationRule",
    "EnvoyExtensionPolicy",
    "EnvoyFilter",
    "GRPCRoute",
    "Gateway",
    "HTTPRoute",
    "TrafficExtension",
    "VirtualService",
    "WasmPlugin",
];

/// The kinds of resources that have a filter. Of routes, two versions are given to be compared.
const OURS: [&str; 4] = ["EnvoyExtensionPolicy", "EnvoyFilter", "TrafficExtension", "WasmPlugin"];

/// A file with its valid configurations, each with the line where it begins.
pub struct Source<'c> {
    pub file: &'c str,
    pub documents: &'c [Node],
    pub checked: Vec<(usize, &'c Checked)>,
}

/// The warnings about all files together.
pub fn across(sources: &[Source<'_>]) -> Vec<Warning> {
    let (mut placed, mut routing, mut found) = (Vec::new(), Routing::default(), Vec::new());
    for source in sources {
        for document in source.documents {
            let plugins = source.placed(document);
            let unknown = |it| routing::unknown_clusters(it, source.file, document);
            found.extend(plugins.iter().flat_map(unknown));
            placed.extend(plugins);
            for (name, resource) in discovery::resources(document) {
                let plugins = source.discovered(resource);
                for (file, host) in hosts(sources, name) {
                    let unknown = |it| routing::unknown_clusters(it, file, host);
                    found.extend(plugins.iter().flat_map(unknown));
                }
                placed.extend(plugins);
            }
        }
        for resource in plugin::resources(source.documents) {
            routing.add(source.file, resource);
        }
        found.extend(source.placeholders());
    }
    found.extend(repeated(sources));
    found.extend(neighbours::find(&placed));
    found.extend(routing.find(&placed));
    let mut places = Vec::new();
    for Source { file, checked, .. } in sources {
        places.extend(checked.iter().map(|(_, checked)| Place {
            file,
            tree: &checked.tree,
            config: &checked.config,
        }));
    }
    found.extend(salt::shared(&places));
    found
}

/// The resources whose kind, namespace and name an earlier one has, with other contents.
fn repeated(sources: &[Source<'_>]) -> Vec<Warning> {
    let mut seen: Vec<(String, &str, &Node)> = Vec::new();
    let mut found = Vec::new();
    for source in sources {
        for resource in plugin::resources(source.documents) {
            let Some(title) = title(resource) else { continue };
            match seen.iter().find(|(known, ..)| *known == title) {
                None => seen.push((title, source.file, resource)),
                Some((_, file, known))
                    if serde_json::to_value(known).ok() != serde_json::to_value(resource).ok() =>
                {
                    let message = format!(
                        "{title} is in line {} of {file} as well, and is not the same there",
                        known.line
                    );
                    let (lint, line) = (Lint::RepeatedResource, resource.line);
                    found.push(Warning::new(lint, source.file, line, message));
                }
                Some(_) => {}
            }
        }
    }
    found
}

/// The kind, the namespace and the name of a resource with a filter.
fn title(resource: &Node) -> Option<String> {
    let kind = resource.get("kind")?.text().filter(|kind| OURS.contains(kind))?;
    let name = resource.at(&["metadata", "name"])?.text()?;
    Some(match resource.at(&["metadata", "namespace"]).and_then(Node::text) {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None => format!("{kind} {name}"),
    })
}

/// The files and documents that discover the filter of this name.
fn hosts<'c>(sources: &[Source<'c>], name: &str) -> impl Iterator<Item = (&'c str, &'c Node)> {
    let documents = sources.iter().flat_map(|it| it.documents.iter().map(|node| (it.file, node)));
    documents.filter(move |(_, document)| discovery::is_host(document, name))
}

impl<'c> Source<'c> {
    /// The plugins in a document, each at its place.
    fn placed(&self, document: &'c Node) -> Vec<Placed<'c>> {
        let mut placed = Vec::new();
        for resource in plugin::resources(std::slice::from_ref(document)) {
            match resource.get("kind").and_then(Node::text) {
                Some("WasmPlugin" | "TrafficExtension") => {
                    let own = self.within(resource);
                    placed.extend(
                        own.map(|(line, it)| Placed::of_istio(self.file, resource, line, it)),
                    );
                }
                Some("EnvoyExtensionPolicy") => {
                    placed.extend(
                        resource
                            .at(&["spec", "wasm"])
                            .map(|it| self.chain(it))
                            .into_iter()
                            .flatten(),
                    );
                }
                // Each patch of an EnvoyFilter is for a chain that is elsewhere.
                Some(_) => {}
                None => self.chains(resource, &mut placed),
            }
        }
        placed
    }

    /// The chains of filters in Envoy's own configuration.
    fn chains(&self, node: &'c Node, placed: &mut Vec<Placed<'c>>) {
        for (name, field) in node.fields() {
            match name.as_str() {
                "http_filters" | "httpFilters" => placed.extend(self.chain(field)),
                _ => self.chains(field, placed),
            }
        }
        node.elements().iter().for_each(|element| self.chains(element, placed));
    }

    /// The plugins in a filter that has a file of its own.
    fn discovered(&self, resource: &'c Node) -> Vec<Placed<'c>> {
        let own = self.within(resource);
        own.map(|(line, it)| Placed::of_chain(self.file, resource, resource, line, it)).collect()
    }

    fn chain(&self, chain: &'c Node) -> Vec<Placed<'c>> {
        let of = |filter: &'c Node| {
            let own = self.within(filter);
            own.map(move |(line, it)| Placed::of_chain(self.file, chain, filter, line, it))
        };
        chain.elements().iter().flat_map(of).collect()
    }

    /// The configurations at the lines of a node.
    fn within(&self, node: &Node) -> impl Iterator<Item = (usize, &'c Checked)> {
        let mut lines = Vec::new();
        lines_of(node, &mut lines);
        let inside = |(line, _): &&(usize, &'c Checked)| lines.contains(line);
        self.checked.iter().filter(inside).copied().collect::<Vec<_>>().into_iter()
    }

    /// The placeholders in what is the filter's, or routes for it.
    fn placeholders(&self) -> Vec<Warning> {
        let is_ours = |resource: &&Node| match resource.get("kind").and_then(Node::text) {
            Some(kind) => KINDS.contains(&kind),
            None => !self.checked.is_empty(),
        };
        let resources = plugin::resources(self.documents).into_iter().filter(is_ours);
        // In Envoy's own configuration, the filter's is a text, and has a tree of its own.
        let trees = self.checked.iter().map(|(_, checked)| &checked.tree);
        let mut found: Vec<Warning> = Vec::new();
        for warning in resources.chain(trees).flat_map(|node| placeholder::find(self.file, node)) {
            if !found.contains(&warning) {
                found.push(warning);
            }
        }
        found
    }
}

fn lines_of(node: &Node, lines: &mut Vec<usize>) {
    lines.push(node.line);
    node.fields().iter().for_each(|(_, node)| lines_of(node, lines));
    node.elements().iter().for_each(|node| lines_of(node, lines));
}
