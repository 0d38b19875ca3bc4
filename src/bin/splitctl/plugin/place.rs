//! The place of a plugin: the workloads that run it, and its order among the others there.

use std::cmp::Ordering;

use crate::document::{Node, Value};

/// The place that a resource gives its plugin.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    pub namespace: Option<String>,
    /// Istio's phase, as in `AUTHN`.
    pub phase: Option<String>,
    /// Istio's priority: of two plugins in a phase, the one with the greater number runs first, and one
    /// without a number last.
    pub priority: Option<f64>,
    /// The time at which the resource was created (RFC 3339, UTC), where the API server has said it.
    created: Option<String>,
    /// The labels of the workloads that run it; none for all.
    labels: Vec<(String, String)>,
    /// The place in a list of filters, where Envoy's own configuration or Envoy Gateway's has one.
    pub listed: Option<Listed>,
}

/// A place in a list of filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The line of the list in its file.
    pub list: usize,
    pub number: usize,
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
            priority: own("priority").and_then(number),
            created: text(resource.at(&["metadata", "creationTimestamp"])),
            labels: labels.filter_map(|(k, v)| Some((k.clone(), v.text()?.to_owned()))).collect(),
            listed: None,
        }
    }

    /// Adds the namespace of the document around it, where it has none.
    pub fn add(&mut self, document: &Node) {
        let namespace = document.at(&["metadata", "namespace"]).and_then(Node::text);
        self.namespace = self.namespace.take().or_else(|| namespace.map(str::to_owned));
    }

    /// Whether it names workloads by labels.
    pub fn selects(&self) -> bool {
        !self.labels.is_empty()
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

    /// The order of a list; else Istio's: by phase, then from the greatest priority, then from the oldest.
    pub fn order(&self, other: &Place) -> Ordering {
        if let (Some(own), Some(others)) = (self.listed, other.listed) {
            return own.number.cmp(&others.number);
        }
        let phase = |place: &Place| {
            let phase = place.phase.as_deref();
            PHASES.iter().position(|known| Some(*known) == phase).unwrap_or(PHASES.len())
        };
        let priority = |place: &Place| place.priority.unwrap_or(f64::NEG_INFINITY);
        let age = match (&self.created, &other.created) {
            (Some(own), Some(others)) => own.cmp(others),
            _ => Ordering::Equal,
        };
        let by_phase = phase(self).cmp(&phase(other));
        by_phase.then(priority(other).total_cmp(&priority(self))).then(age)
    }
}

fn number(node: &Node) -> Option<f64> {
    match &node.value {
        Value::Number(number) => Some(*number),
        Value::Text(text) => text.parse().ok(),
        _ => None,
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
            place("priority: -10"),
            place("priority: 0"),
            place("priority: 10"),
            place("phase: STATS"),
            place("phase: AUTHZ, priority: 1"),
            place("phase: AUTHN"),
            place("wasm: {phase: AUTHN, priority: 5}"),
        ];
        places.sort_by(Place::order);
        let seen = places.each_ref().map(|it| (it.phase.as_deref().unwrap_or("-"), it.priority));
        let expected = [
            ("AUTHN", Some(5.0)),
            ("AUTHN", None),
            ("AUTHZ", Some(1.0)),
            ("STATS", None),
            ("-", Some(10.0)),
            ("-", Some(0.0)),
            ("-", Some(-10.0)),
            ("-", None),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn of_equal_plugins_the_older_one_runs_first() {
        let at = |created: &str| Place { created: Some(created.into()), ..place("") };
        let (older, newer) = (at("2026-11-01T00:00:00Z"), at("2026-11-02T00:00:00Z"));
        assert_eq!(newer.order(&older), Ordering::Greater);
        assert_eq!(older.order(&place("")), Ordering::Equal);
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
