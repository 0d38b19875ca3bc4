//! The Kubernetes resources that hold configurations of the filter.

use super::{Listed, Plugin};
use crate::document::{Node, Value};

/// Finds the configurations in a resource; `None` if its kind holds none of its own.
pub fn find(resource: &Node, name: Option<&str>) -> Option<Vec<Plugin>> {
    let text = |field: &str| resource.get(field).and_then(Node::text);
    let group = text("apiVersion").and_then(|version| version.split('/').next());
    let spec = resource.get("spec");
    let one = |kind: &'static str, holder: Option<&Node>, field: &str| {
        let config = holder.and_then(|holder| holder.get(field));
        vec![through_istiod(plugin(kind, name, resource.line, config))]
    };
    Some(match (text("kind")?, group) {
        ("WasmPlugin", Some("extensions.higress.io")) => vec![higress(spec, name, resource)],
        ("WasmPlugin", _) => one("WasmPlugin", spec, "pluginConfig"),
        ("TrafficExtension", _) => {
            one("TrafficExtension", spec.and_then(|spec| spec.get("wasm")), "pluginConfig")
        }
        // Envoy Gateway gives each filter its `config` as JSON.
        ("EnvoyExtensionPolicy", _) => {
            let list = spec.and_then(|spec| spec.get("wasm"));
            let line = list.map_or(0, |list| list.line);
            let named = |(number, filter): (usize, &Node)| {
                let own = filter.get("name").and_then(Node::text);
                let config = filter.get("config");
                let mut plugin = plugin("EnvoyExtensionPolicy", own.or(name), filter.line, config);
                plugin.place.listed = Some(Listed { list: line, number });
                plugin
            };
            list.map_or(&[][..], Node::elements).iter().enumerate().map(named).collect()
        }
        _ => return None,
    })
}

/// The plugin with this configuration, or without one.
fn plugin(kind: &'static str, name: Option<&str>, line: usize, config: Option<&Node>) -> Plugin {
    let name = name.map(str::to_owned);
    match config {
        Some(tree) => Plugin::of_tree(kind, name, tree),
        None => Plugin::empty(kind, name, line),
    }
}

/// Refuses a number that does not survive the way through istiod, where the configuration is a Struct
/// (protobuf) with numbers of 64-bit floats.
fn through_istiod(plugin: Plugin) -> Plugin {
    match plugin.tree.as_ref().and_then(Node::large) {
        Some((line, large)) => {
            let problem = format!(
                "Invalid value: {large}: write it in quotes: istiod would round the number"
            );
            Plugin { line, bytes: Err(problem), ..plugin }
        }
        None => plugin,
    }
}

/// Reads a WasmPlugin of Higress. Its controller gives the filter `pluginConfig`, or else
/// `defaultConfig` with the `matchRules` inside it.
fn higress(spec: Option<&Node>, name: Option<&str>, resource: &Node) -> Plugin {
    let field = |name: &str| spec.and_then(|spec| spec.get(name));
    let is_true = |node: Option<&Node>| matches!(node, Some(Node { value: Value::Bool(true), .. }));
    let config = field("pluginConfig").or(field("defaultConfig"));
    let plugin = through_istiod(plugin("Higress WasmPlugin", name, resource.line, config));
    let rules = field("matchRules")
        .filter(|rules| rules.elements().iter().any(|rule| !is_true(rule.get("configDisable"))));
    let (line, problem) = match rules {
        _ if field("pluginConfig").is_some() => return plugin,
        Some(rules) => (
            rules.line,
            "Forbidden: Higress gives matchRules to the filter as a field `_rules_`, which it \
             refuses; put their conditions into rules[].match of defaultConfig",
        ),
        None if is_true(field("defaultConfigDisable")) => (
            resource.line,
            "Forbidden: Higress does not run a plugin with defaultConfigDisable and no matchRules",
        ),
        None => return plugin,
    };
    Plugin { line, bytes: Err(problem.to_owned()), ..plugin }
}
