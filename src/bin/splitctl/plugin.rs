//! The filter's configurations in a file, bare or inside the resources that hold them.

mod place;
mod resource;

pub use place::{Listed, Place};

use crate::document::{self, Node, Value};
use crate::output::one_line;

/// A configuration as the filter would receive it.
#[derive(Debug)]
pub struct Plugin {
    /// The kind of resource that it was found in.
    pub kind: &'static str,
    /// The name of the resource, or of the filter in Envoy's own configuration.
    pub name: Option<String>,
    /// The first line of its configuration, counted from 1.
    pub line: usize,
    /// The bytes that the filter receives, or the error that they would not be JSON.
    pub bytes: Result<Vec<u8>, String>,
    /// The configuration as a tree with the lines of the file; `None` if it is no JSON.
    pub tree: Option<Node>,
    pub place: Place,
}

/// The fields of a configuration. An object with none of them is meant for another filter.
const FIELDS: [&str; 4] = ["clusterHeader", "variantHeader", "variants", "rules"];

/// The fields by which Envoy's own configuration is recognised.
const BOOTSTRAP: [&str; 6] =
    ["static_resources", "staticResources", "admin", "node", "virtual_hosts", "virtualHosts"];

/// Finds all configurations in the documents of a file. Configurations of other filters are left out
/// if there is one of this filter.
pub fn find(documents: &[Node], text: &str) -> Vec<Plugin> {
    let mut found = Vec::new();
    if documents.is_empty() {
        found.push(Plugin::empty("configuration", None, 1));
    }
    for document in documents {
        let before = found.len();
        let name = document.at(&["metadata", "name"]).and_then(Node::text);
        search(document, name, text, &mut found);
        found.iter_mut().skip(before).for_each(|plugin| plugin.place.add(document));
        let bare = document.get("kind").is_none()
            && !BOOTSTRAP.iter().any(|field| document.get(field).is_some());
        if found.len() == before && bare {
            found.push(Plugin::of_tree("configuration", None, document));
        }
    }
    if found.iter().any(Plugin::is_ours) {
        found.retain(Plugin::is_ours);
    }
    found
}

/// The resources in some documents, those in lists (`kubectl get -o yaml`) among them.
pub fn resources(documents: &[Node]) -> Vec<&Node> {
    let each = |document| match (Node::get(document, "items"), document.get("kind")) {
        (Some(items), Some(_)) => resources(items.elements()),
        _ => vec![document],
    };
    documents.iter().flat_map(each).collect()
}

fn search(node: &Node, name: Option<&str>, text: &str, found: &mut Vec<Plugin>) {
    let own_name = node.at(&["metadata", "name"]).and_then(Node::text).or(name);
    if let Some(plugins) = resource::find(node, own_name) {
        let placed = |plugin: Plugin| {
            let mut place = Place::of(node);
            place.listed = plugin.place.listed;
            Plugin { place, ..plugin }
        };
        return found.extend(plugins.into_iter().map(placed));
    }
    let is_wasm = ["vm_config", "vmConfig"].iter().any(|field| node.get(field).is_some());
    let configuration = node.get("configuration");
    if is_wasm || configuration.is_some_and(|any| any.get("@type").is_some()) {
        let named = ["name", "root_id", "rootId"].iter();
        let name = named.filter_map(|field| node.get(field)?.text()).next().or(name);
        return found.push(filter(node, configuration, name, text));
    }
    for (field, node) in node.fields() {
        if !matches!(field.as_str(), "http_filters" | "httpFilters") {
            search(node, own_name, text, found);
            continue;
        }
        for (number, filter) in node.elements().iter().enumerate() {
            let before = found.len();
            search(filter, own_name, text, found);
            let listed = Some(Listed { list: node.line, number });
            found.iter_mut().skip(before).for_each(|plugin| plugin.place.listed = listed);
        }
    }
    node.elements().iter().for_each(|node| search(node, own_name, text, found));
}

/// Reads a Wasm filter of Envoy: a `PluginConfig` of `envoy.extensions.wasm.v3`.
fn filter(node: &Node, configuration: Option<&Node>, name: Option<&str>, text: &str) -> Plugin {
    let name = name.map(str::to_owned);
    let kind = "Wasm filter";
    let Some(any) = configuration else {
        return Plugin::empty(kind, name, node.line);
    };
    let url = any.get("@type").and_then(Node::text).unwrap_or("no @type");
    match (url.rsplit_once('/').map_or(url, |(_, message)| message), any.get("value")) {
        ("google.protobuf.StringValue", None) => Plugin::empty(kind, name, any.line),
        ("google.protobuf.StringValue", Some(Node { line, value: Value::Text(json), .. })) => {
            let literal = text.lines().nth(line.saturating_sub(1)).is_some_and(is_literal);
            let place = |inner| if literal { line.saturating_add(inner) } else { *line };
            let mut tree = serde_json::from_str::<serde::de::IgnoredAny>(json)
                .is_ok()
                .then(|| document::parse_json(json))
                .flatten();
            tree.iter_mut().for_each(|tree| tree.move_lines(&place));
            let (bytes, place) = (Ok(json.clone().into_bytes()), Place::default());
            Plugin { kind, name, line: *line, bytes, tree, place }
        }
        (message, value) => {
            let message = one_line(message);
            let problem = format!(
                "Invalid value: {message}: must be a google.protobuf.StringValue whose value is \
                 JSON as text: the filter would receive anything else as protobuf"
            );
            let tree = value.unwrap_or(any).clone();
            let (bytes, place) = (Err(problem), Place::default());
            Plugin { kind, name, line: any.line, bytes, tree: Some(tree), place }
        }
    }
}

/// Whether a YAML line ends with the mark of a literal block, whose lines follow.
fn is_literal(line: &str) -> bool {
    let line = line.split(" #").next().unwrap_or(line).trim_end();
    line.ends_with(['|', '-', '+']) && line.trim_end_matches(['-', '+']).ends_with('|')
}

impl Plugin {
    /// A plugin without a configuration.
    fn empty(kind: &'static str, name: Option<String>, line: usize) -> Self {
        Plugin { kind, name, line, bytes: Ok(Vec::new()), tree: None, place: Place::default() }
    }

    /// A plugin in place of a file that cannot be read.
    pub fn unreadable(line: usize, problem: String) -> Self {
        Plugin { bytes: Err(problem), ..Plugin::empty("configuration", None, line) }
    }

    /// A plugin with this configuration.
    pub fn of_tree(kind: &'static str, name: Option<String>, tree: &Node) -> Self {
        let bytes = serde_json::to_vec(tree).map_err(|error| error.to_string());
        let place = Place::default();
        Plugin { kind, name, line: tree.line, bytes, tree: Some(tree.clone()), place }
    }

    /// The same plugin with another configuration.
    pub fn with_tree(&self, tree: Node) -> Self {
        Plugin { line: self.line, ..Plugin::of_tree(self.kind, self.name.clone(), &tree) }
    }

    /// Whether it has a field of the filter's configuration.
    pub fn is_ours(&self) -> bool {
        let tree = self.tree.as_ref();
        tree.is_some_and(|tree| FIELDS.iter().any(|field| tree.get(field).is_some()))
    }

    /// Whether it has this name, or this namespace and name, as in `shop/split`.
    pub fn is_called(&self, called: &str) -> bool {
        let full = self.place.namespace.as_ref().zip(self.name.as_ref());
        self.name.as_deref() == Some(called)
            || full.is_some_and(|(namespace, name)| format!("{namespace}/{name}") == called)
    }

    /// Its kind, and its name with the namespace.
    pub fn full_title(&self) -> String {
        match (&self.place.namespace, &self.name) {
            (Some(namespace), Some(name)) => format!("{} {namespace}/{name}", self.kind),
            _ => self.title(),
        }
    }

    /// Its kind, and its name if it has one.
    pub fn title(&self) -> String {
        match &self.name {
            Some(name) => format!("{} {}", self.kind, one_line(name)),
            None => self.kind.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(yaml: &str) -> Vec<(String, usize, Result<String, String>)> {
        let plugins = find(&document::parse(yaml).unwrap(), yaml);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        plugins.into_iter().map(|p| (p.title(), p.line, p.bytes.map(text))).collect()
    }

    #[test]
    fn every_wrapping() {
        let any = "configuration: {\"@type\": type.googleapis.com/google.protobuf";
        for (yaml, title, line, bytes) in [
            ("", "configuration", 1, ""),
            ("rules: []", "configuration", 1, r#"{"rules":[]}"#),
            ("[]", "configuration", 1, "[]"),
            (
                "kind: WasmPlugin\nmetadata: {name: a}\nspec:\n  pluginConfig:\n    rules: []",
                "WasmPlugin a",
                4,
                r#"{"rules":[]}"#,
            ),
            ("kind: WasmPlugin\nspec: {}", "WasmPlugin", 1, ""),
            (
                "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyExtensionPolicy\n\
                 spec:\n  wasm:\n  - name: a\n    config: {rules: []}",
                "EnvoyExtensionPolicy a",
                6,
                r#"{"rules":[]}"#,
            ),
            (
                "apiVersion: extensions.higress.io/v1alpha1\nkind: WasmPlugin\n\
                 metadata: {name: a}\nspec:\n  defaultConfig: {rules: []}\n  matchRules: []",
                "Higress WasmPlugin a",
                5,
                r#"{"rules":[]}"#,
            ),
            (
                "apiVersion: extensions.higress.io/v1alpha1\nkind: WasmPlugin\n\
                 spec: {defaultConfig: {rules: 1}, pluginConfig: {rules: 2}}",
                "Higress WasmPlugin",
                3,
                r#"{"rules":2}"#,
            ),
            (
                "kind: TrafficExtension\nmetadata: {name: a}\nspec: {wasm: {pluginConfig: {}}}",
                "TrafficExtension a",
                3,
                "{}",
            ),
            (
                &format!(
                    "kind: EnvoyFilter\nmetadata: {{name: a}}\nspec:\n  - {any}.StringValue, value: '{{}}'}}"
                ),
                "Wasm filter a",
                4,
                "{}",
            ),
            (
                &format!(
                    "static_resources:\n- config:\n    name: b\n    {any}.StringValue, value: 'x'}}"
                ),
                "Wasm filter b",
                4,
                "x",
            ),
            ("admin:\n- root_id: c\n  vm_config: {}", "Wasm filter c", 2, ""),
        ] {
            assert_eq!(found(yaml), [(title.into(), line, Ok(bytes.into()))], "{yaml}");
        }
    }

    #[test]
    fn filters_know_their_place_in_a_list() {
        let bootstrap = "static_resources:\n  http_filters:\n  - {config: {name: z, vm_config: {}}}\n  \
                         - {name: other}\n  - {config: {name: a, vm_config: {}}}";
        let policy = "kind: EnvoyExtensionPolicy\nspec:\n\n  wasm:\n  - {name: z, config: {rules: []}}\n  \
                      - {name: a, config: {rules: []}}";
        for (yaml, list, numbers) in [(bootstrap, 2, [0, 2]), (policy, 4, [0, 1])] {
            let mut plugins = find(&document::parse(yaml).unwrap(), yaml);
            plugins.sort_by(|a, b| b.place.order(&a.place));
            let seen = plugins.iter().map(|it| (it.name.as_deref(), it.place.listed));
            let [first, second] = numbers.map(|number| Some(Listed { list, number }));
            assert_eq!(seen.collect::<Vec<_>>(), [(Some("a"), second), (Some("z"), first)]);
        }
    }

    #[test]
    fn protobuf_is_refused() {
        let yaml = "admin:\n- configuration:\n    \"@type\": type.googleapis.com/google.protobuf.Struct\n    value: {}";
        let [(_, 2, Err(problem))] = &found(yaml)[..] else { panic!("{:?}", found(yaml)) };
        assert!(problem.starts_with("Invalid value: google.protobuf.Struct: must be a"));
    }

    #[test]
    fn an_integer_that_istiod_would_round_is_refused() {
        let yaml = |value: &str| {
            format!("kind: WasmPlugin\nspec:\n  pluginConfig:\n    rules:\n    - x: {value}")
        };
        for (value, good) in
            [("9007199254740991", true), ("9007199254740993", false), ("'9007199254740993'", true)]
        {
            let [(_, line, bytes)] = &found(&yaml(value))[..] else { panic!("{value}") };
            assert_eq!((bytes.is_ok(), *line), (good, if good { 3 } else { 5 }), "{value}");
        }
        let bare = found("rules:\n- x: 9007199254740993");
        assert_eq!(bare[0].2, Ok(r#"{"rules":[{"x":9007199254740993}]}"#.into()));
    }

    #[test]
    fn other_filters_are_left_out() {
        let other = "kind: WasmPlugin\nmetadata: {name: other}\nspec: {pluginConfig: {x: 1}}";
        let ours = "kind: WasmPlugin\nmetadata: {name: ours}\nspec: {pluginConfig: {rules: 1}}";
        let titles = |yaml: &str| found(yaml).into_iter().map(|p| p.0).collect::<Vec<_>>();
        assert_eq!(titles(other), ["WasmPlugin other"]);
        assert_eq!(titles(&format!("{other}\n---\n{ours}")), ["WasmPlugin ours"]);
        assert_eq!(titles("kind: Deployment"), Vec::<String>::new());
    }

    #[test]
    fn json_in_a_literal_block_keeps_the_lines_of_the_file() {
        let yaml = "admin:\n  configuration:\n    \"@type\": x/google.protobuf.StringValue\n    \
                    value: |  # JSON\n      {\n        \"rules\": []\n      }\n";
        let plugins = find(&document::parse(yaml).unwrap(), yaml);
        assert_eq!(plugins[0].tree.as_ref().unwrap().find("rules").line, 6);
    }
}
