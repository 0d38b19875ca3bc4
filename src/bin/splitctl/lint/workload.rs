//! The places of plugins: the workloads that they run in, and their order there.

use super::{Lint, Warning};
use crate::check::Checked;
use crate::document::{Node, Value};

/// A plugin of this filter, where it runs.
pub struct Placed<'c> {
    pub file: &'c str,
    /// The resource, as in `WasmPlugin shop/split`.
    pub title: String,
    /// The line of its configuration.
    pub line: usize,
    pub checked: &'c Checked,
    pub plugin_name: Option<String>,
    pub namespace: Option<&'c str>,
    workload: Workload<'c>,
    order: Order<'c>,
}

/// The proxies that run a plugin.
enum Workload<'c> {
    /// Istio's: those with these labels, or of these resources; all of the namespace without both.
    Selected {
        labels: Vec<(&'c str, &'c str)>,
        targets: Vec<(&'c str, &'c str)>,
        traffic: Vec<Traffic>,
    },
    /// The chain of filters that begins at a line of the file.
    Chain(usize),
}

/// The requests that a plugin of Istio is for.
struct Traffic {
    mode: Option<String>,
    ports: Vec<u64>,
}

/// Istio's order: by phase, then from the highest priority, then by name. In Envoy's own configuration
/// filters stand in their order.
#[derive(PartialEq, PartialOrd)]
struct Order<'c> {
    phase: usize,
    priority: f64,
    name: &'c str,
    line: usize,
}

const PHASES: [&str; 3] = ["AUTHN", "AUTHZ", "STATS"];

/// The namespace whose plugins are for all namespaces, unless the mesh names another one.
const ROOT: &str = "istio-system";

impl<'c> Placed<'c> {
    /// The plugin of a resource of Istio.
    pub fn of_istio(file: &'c str, resource: &'c Node, line: usize, checked: &'c Checked) -> Self {
        let text = |path: &[&str]| resource.at(path).and_then(Node::text);
        let (kind, name) =
            (text(&["kind"]).unwrap_or("-"), text(&["metadata", "name"]).unwrap_or("-"));
        let namespace = text(&["metadata", "namespace"]);
        let title = match namespace {
            Some(namespace) => format!("{kind} {namespace}/{name}"),
            None => format!("{kind} {name}"),
        };
        let spec = |field: &str| resource.at(&["spec", field]);
        let own = |field: &str| spec(field).or_else(|| resource.at(&["spec", "wasm", field]));
        let phase = own("phase")
            .and_then(Node::text)
            .and_then(|phase| PHASES.iter().position(|known| *known == phase));
        let order = Order {
            phase: phase.unwrap_or(PHASES.len()),
            priority: -own("priority").map_or(0.0, number),
            name,
            line: 0,
        };
        let pairs = |node: Option<&'c Node>| -> Vec<(&'c str, &'c str)> {
            let fields = node.map_or(&[][..], Node::fields).iter();
            fields.filter_map(|(name, value)| Some((name.as_str(), value.text()?))).collect()
        };
        let targets =
            spec("targetRefs").map_or(&[][..], Node::elements).iter().chain(spec("targetRef"));
        let target = |node: &'c Node| {
            Some((node.get("kind").and_then(Node::text)?, node.get("name").and_then(Node::text)?))
        };
        let traffic = spec("match").map_or(&[][..], Node::elements).iter().map(Traffic::new);
        let workload = Workload::Selected {
            labels: pairs(resource.at(&["spec", "selector", "matchLabels"])),
            targets: targets.filter_map(target).collect(),
            traffic: traffic.collect(),
        };
        let plugin_name = own("pluginName").and_then(Node::text).map(str::to_owned);
        Placed { file, title, line, checked, plugin_name, namespace, workload, order }
    }

    /// The filter of a chain in Envoy's own configuration, or in Envoy Gateway's.
    pub fn of_chain(
        file: &'c str,
        chain: &Node,
        filter: &Node,
        line: usize,
        checked: &'c Checked,
    ) -> Self {
        let root = ["root_id", "rootId", "rootID"];
        let plugin_name = root.iter().find_map(|name| inside(filter, name)).map(str::to_owned);
        let order = Order { phase: 0, priority: 0.0, name: "", line };
        let title = format!("the filter of line {line}");
        let workload = Workload::Chain(chain.line);
        Placed { file, title, line, checked, plugin_name, namespace: None, workload, order }
    }

    /// Whether some proxy may run both. Two versions of one resource never run at once.
    pub fn shares_workload(&self, other: &Placed<'_>) -> bool {
        match (&self.workload, &other.workload) {
            (Workload::Chain(own), Workload::Chain(others)) => {
                self.file == other.file && own == others
            }
            (
                Workload::Selected { labels, targets, .. },
                Workload::Selected { labels: others, targets: aims, .. },
            ) => {
                let near = match (self.namespace, other.namespace) {
                    (Some(own), Some(others)) => own == others || [own, others].contains(&ROOT),
                    _ => true,
                };
                let agree = |(name, value): &(&str, &str)| {
                    others.iter().all(|(known, label)| known != name || label == value)
                };
                let aimed = match (targets.is_empty(), aims.is_empty()) {
                    (false, false) => targets.iter().any(|target| aims.contains(target)),
                    (true, false) => labels.is_empty(),
                    (false, true) => others.is_empty(),
                    (true, true) => true,
                };
                self.title != other.title && near && aimed && labels.iter().all(agree)
            }
            _ => false,
        }
    }

    /// Whether a request may pass both.
    pub fn shares_requests(&self, other: &Placed<'_>) -> bool {
        match (&self.workload, &other.workload) {
            (Workload::Selected { traffic, .. }, Workload::Selected { traffic: others, .. }) => {
                let meets =
                    |own: &Traffic| others.is_empty() || others.iter().any(|it| own.meets(it));
                traffic.is_empty() || traffic.iter().any(meets)
            }
            _ => true,
        }
    }

    pub fn runs_before(&self, other: &Placed<'_>) -> bool {
        self.order < other.order
    }

    /// A warning about a field of its configuration, or with an empty path about the resource.
    pub fn warning(&self, lint: Lint, path: &str, message: String) -> Warning {
        let line = if path.is_empty() { self.line } else { self.checked.tree.find(path).line };
        Warning { path: path.to_owned(), ..Warning::new(lint, self.file, line, message) }
    }
}

impl Traffic {
    fn new(node: &Node) -> Self {
        let ports = node.get("ports").map_or(&[][..], Node::elements).iter();
        let ports = ports.filter_map(|port| port.get("number")).map(|port| number(port) as u64);
        Traffic {
            mode: node.get("mode").and_then(Node::text).map(str::to_owned),
            ports: ports.collect(),
        }
    }

    fn meets(&self, other: &Traffic) -> bool {
        let both = |mode: &Option<String>| {
            mode.as_deref().is_none_or(|mode| mode == "CLIENT_AND_SERVER" || mode == "UNDEFINED")
        };
        let modes = self.mode == other.mode || both(&self.mode) || both(&other.mode);
        let empty = self.ports.is_empty() || other.ports.is_empty();
        modes && (empty || self.ports.iter().any(|port| other.ports.contains(port)))
    }
}

/// The first text under this name, at any depth.
fn inside<'n>(node: &'n Node, name: &str) -> Option<&'n str> {
    let own = node.get(name).and_then(Node::text);
    let fields = node.fields().iter().map(|(_, node)| node);
    own.or_else(|| fields.chain(node.elements()).find_map(|node| inside(node, name)))
}

fn number(node: &Node) -> f64 {
    match &node.value {
        Value::Number(number) => *number,
        Value::Text(text) => text.parse().unwrap_or(0.0),
        _ => 0.0,
    }
}
