//! The places of plugins: the workloads that they run in, and their order there.

use super::{Lint, Warning};
use crate::check::Checked;
use crate::document::{Node, Value};
use crate::plugin::Place;

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
    place: Place,
}

/// The proxies that run a plugin.
enum Workload<'c> {
    /// Istio's: those with these labels, or of these resources; all of the namespace without both.
    Selected { targets: Vec<(&'c str, &'c str)>, traffic: Vec<Traffic> },
    /// The chain of filters that begins at a line of the file.
    Chain(usize),
}

/// The requests that a plugin of Istio is for.
struct Traffic {
    mode: Option<String>,
    ports: Vec<u64>,
}

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
        let targets =
            spec("targetRefs").map_or(&[][..], Node::elements).iter().chain(spec("targetRef"));
        let target = |node: &'c Node| {
            Some((node.get("kind").and_then(Node::text)?, node.get("name").and_then(Node::text)?))
        };
        let traffic = spec("match").map_or(&[][..], Node::elements).iter().map(Traffic::new);
        let workload = Workload::Selected {
            targets: targets.filter_map(target).collect(),
            traffic: traffic.collect(),
        };
        let plugin_name = own("pluginName").and_then(Node::text).map(str::to_owned);
        let place = Place::of(resource);
        Placed { file, title, line, checked, plugin_name, namespace, workload, place }
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
        let title = format!("the filter of line {line}");
        let workload = Workload::Chain(chain.line);
        let place = Place::default();
        Placed { file, title, line, checked, plugin_name, namespace: None, workload, place }
    }

    /// Whether some proxy may run both. Two versions of one resource never run at once.
    pub fn shares_workload(&self, other: &Placed<'_>) -> bool {
        match (&self.workload, &other.workload) {
            (Workload::Chain(own), Workload::Chain(others)) => {
                self.file == other.file && own == others
            }
            (Workload::Selected { targets, .. }, Workload::Selected { targets: aims, .. }) => {
                let aimed = match (targets.is_empty(), aims.is_empty()) {
                    (false, false) => targets.iter().any(|target| aims.contains(target)),
                    (true, false) => !self.place.selects(),
                    (false, true) => !other.place.selects(),
                    (true, true) => true,
                };
                self.title != other.title && aimed && self.place.meets(&other.place)
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

    /// Istio's order, and of equal ones by name; in Envoy's own configuration filters stand in theirs.
    pub fn runs_before(&self, other: &Placed<'_>) -> bool {
        let order = self.place.order(&other.place).then_with(|| match self.workload {
            Workload::Chain(_) => self.line.cmp(&other.line),
            Workload::Selected { .. } => self.title.cmp(&other.title),
        });
        order.is_lt()
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
