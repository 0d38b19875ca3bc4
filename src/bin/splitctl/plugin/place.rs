//! The place of a plugin: the workloads that run it, and its order among the others there.

use std::cmp::Ordering;

use crate::document::{Node, Value};

/// The place that a resource gives its plugin.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    pub namespace: Option<String>,
    /// Istio's phase, as in `AUTHN`.
    pub phase: Option<String>,
    /// Istio's priority: of two plugins in a phase, the one with the greater number runs first.
    pub priority: f64,
    /// The labels of the workloads that run it; none for all.
    labels: Vec<(String, String)>,
}

/// Istio's phases in the order of the chain. A plugin without a phase comes last, before the router.
const PHASES: [&str; 3] = ["AUTHN", "AUTHZ", "STATS"];

/// The namespace whose plugins are for all namespaces, unless the mesh names another one.
const ROOT: &str = "istio-system";

impl Place {
    /// The place that a resource of Istio gives, as WasmPlugin or as TrafficExtension.
    pub fn of(resource: &Node) -> Self {
        let own = |field: &str| {
            resource.at(&["spec", field]).or_else(|| resource.at(&["spec", "wasm", field]))
        };
        let text = |node: Option<&Node>| node.and_then(Node::text).map(str::to_owned);
        let labels = resource.at(&["spec", "selector", "matchLabels"]);
        let labels = labels.map_or(&[][..], Node::fields).iter();
        Place {
            namespace: text(resource.at(&["metadata", "namespace"])),
            phase: text(own("phase")).filter(|phase| PHASES.contains(&phase.as_str())),
            priority: own("priority").map_or(0.0, number),
            labels: labels.filter_map(|(k, v)| Some((k.clone(), v.text()?.to_owned()))).collect(),
        }
    }

    /// Adds the namespace of the document around it, where it has none.
    pub fn add(&mut self, document: &Node) {
        let namespace = document.at(&["metadata", "namespace"]).and_then(Node::text);
        self.namespace = self.namespace.take().or_else(|| namespace.map(str::to_owned));
    }

    /// Whether a proxy may run both.
    pub fn meets(&self, other: &Place) -> bool {
        let near = match (&self.namespace, &other.namespace) {
            (Some(own), Some(others)) => {
                own == others || [own, others].iter().any(|name| *name == ROOT)
            }
            _ => true,
        };
        let agrees = |(name, value): &(String, String)| {
            other.labels.iter().all(|(known, label)| known != name || label == value)
        };
        near && self.labels.iter().all(agrees)
    }

    /// Istio's order: by phase, then from the greatest priority.
    pub fn order(&self, other: &Place) -> Ordering {
        let phase = |place: &Place| {
            let phase = place.phase.as_deref();
            PHASES.iter().position(|known| Some(*known) == phase).unwrap_or(PHASES.len())
        };
        phase(self).cmp(&phase(other)).then(other.priority.total_cmp(&self.priority))
    }
}

fn number(node: &Node) -> f64 {
    match &node.value {
        Value::Number(number) => *number,
        Value::Text(text) => text.parse().unwrap_or(0.0),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document;

    fn place(spec: &str) -> Place {
        let yaml = format!("metadata: {{name: a, namespace: shop}}\nspec: {{{spec}}}");
        Place::of(&document::parse(&yaml).unwrap()[0])
    }

    #[test]
    fn plugins_stand_by_phase_and_then_by_priority() {
        let mut places = [
            place(""),
            place("priority: 10"),
            place("phase: STATS"),
            place("phase: AUTHZ, priority: 1"),
            place("phase: AUTHN"),
            place("wasm: {phase: AUTHN, priority: 5}"),
        ];
        places.sort_by(Place::order);
        let seen = places.each_ref().map(|it| (it.phase.as_deref().unwrap_or("-"), it.priority));
        assert_eq!(
            seen,
            [
                ("AUTHN", 5.0),
                ("AUTHN", 0.0),
                ("AUTHZ", 1.0),
                ("STATS", 0.0),
                ("-", 10.0),
                ("-", 0.0)
            ]
        );
    }

    #[test]
    fn plugins_of_other_workloads_never_meet() {
        let labels = |app: &str| place(&format!("selector: {{matchLabels: {{app: {app}}}}}"));
        assert!(labels("a").meets(&labels("a")) && !labels("a").meets(&labels("b")));
        assert!(labels("a").meets(&place("")));
        let other = |namespace: &str| Place { namespace: Some(namespace.into()), ..place("") };
        assert!(!place("").meets(&other("cart")) && place("").meets(&other("istio-system")));
    }
}
