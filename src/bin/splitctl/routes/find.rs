//! The routes in a document.

use super::{Entry, Route, Routes};
use crate::document::{Node, Value};

/// The weight of the only destination of a `VirtualService`, which needs none.
const WHOLE: u64 = 100;

impl Routes {
    /// Adds the routes of a document, and of the lists in it.
    pub fn find(&mut self, node: &Node, file: &str) {
        let kind = node.get("kind").and_then(Node::text);
        let name = node.at(&["metadata", "name"]).and_then(Node::text).unwrap_or("-");
        match kind {
            Some("VirtualService") => {
                let http = node.at(&["spec", "http"]);
                self.add_destinations(file, http, "route", &|place| {
                    format!("VirtualService {name} http[{place}]")
                });
            }
            Some("HTTPRoute" | "GRPCRoute") => {
                let kind = kind.unwrap_or_default();
                let rules = node.at(&["spec", "rules"]);
                let title = |place| format!("{kind} {name} rules[{place}]");
                self.add_destinations(file, rules, "backendRefs", &title);
            }
            Some("EnvoyFilter") => self.add_headers(node),
            Some("EnvoyPatchPolicy") => self.add_patched(node),
            _ => {
                if let Some(weighted) = either(node, "weighted_clusters", "weightedClusters") {
                    self.add_envoys(file, weighted);
                }
                node.fields().iter().for_each(|(_, node)| self.find(node, file));
                node.elements().iter().for_each(|node| self.find(node, file));
            }
        }
    }

    /// Adds the routes of a resource: one for each element of a list, with its destinations in this
    /// field.
    fn add_destinations(
        &mut self,
        file: &str,
        list: Option<&Node>,
        field: &str,
        title: &dyn Fn(usize) -> String,
    ) {
        for (place, element) in list.map_or(&[][..], Node::elements).iter().enumerate() {
            let Some(destinations) = element.get(field) else { continue };
            let listed = destinations.elements();
            let weight = |node: &Node| match (field, node.get("weight")) {
                (_, Some(weight)) => number(weight),
                ("backendRefs", None) => 1,
                (_, None) if listed.len() == 1 => WHOLE,
                (_, None) => 0,
            };
            let entry = |node: &Node| Entry { name: destination(node), weight: weight(node) };
            let entries = listed.iter().map(entry).filter(|entry| entry.weight > 0);
            self.all.push(Route {
                file: file.to_owned(),
                line: destinations.line,
                title: title(place),
                entries: entries.collect(),
                is_weighted: listed.len() > 1,
                header: None,
                is_envoys: false,
            });
        }
    }

    fn add_envoys(&mut self, file: &str, weighted: &Node) {
        let clusters = weighted.get("clusters").map_or(&[][..], Node::elements);
        if clusters.is_empty() {
            return;
        }
        let weight = |node: &Node| node.get("weight").map_or(0, number);
        let name = |node: &Node| node.get("name").and_then(Node::text).unwrap_or("-").to_owned();
        self.all.push(Route {
            file: file.to_owned(),
            line: weighted.line,
            title: "weighted_clusters".to_owned(),
            entries: clusters.iter().map(|n| Entry { name: name(n), weight: weight(n) }).collect(),
            is_weighted: true,
            header: header(weighted),
            is_envoys: true,
        });
    }

    /// Adds the header that a policy of Envoy Gateway puts beside the weights of a route.
    fn add_patched(&mut self, policy: &Node) {
        let patches = policy.at(&["spec", "jsonPatches"]).map_or(&[][..], Node::elements).iter();
        let header = |patch: &Node| {
            let text = |field| patch.at(&["operation", field]).and_then(Node::text);
            let is_it = text("path")?.rsplit('/').next() == Some("header_name");
            text("value").filter(|_| is_it).map(str::to_ascii_lowercase)
        };
        self.headers.extend(patches.filter_map(header));
    }

    fn add_headers(&mut self, node: &Node) {
        let weighted = either(node, "weighted_clusters", "weightedClusters");
        self.headers.extend(weighted.and_then(header));
        node.fields().iter().for_each(|(_, node)| self.add_headers(node));
        node.elements().iter().for_each(|node| self.add_headers(node));
    }
}

fn either<'n>(node: &'n Node, name: &str, other: &str) -> Option<&'n Node> {
    node.get(name).or_else(|| node.get(other))
}

fn header(weighted: &Node) -> Option<String> {
    Some(either(weighted, "header_name", "headerName")?.text()?.to_ascii_lowercase())
}

/// A host with its subset, or the name of a backend.
fn destination(node: &Node) -> String {
    let text = |names: &[&str]| node.at(names).and_then(Node::text);
    let host = text(&["destination", "host"]).or_else(|| text(&["name"])).unwrap_or("-");
    match text(&["destination", "subset"]) {
        Some(subset) => format!("{host}/{subset}"),
        None => host.to_owned(),
    }
}

/// A weight, which Envoy also writes as an object with a value.
fn number(node: &Node) -> u64 {
    match node.get("value").unwrap_or(node).value {
        Value::Number(number) if number >= 0.0 => number as u64,
        _ => 0,
    }
}
