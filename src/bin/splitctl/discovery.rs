//! Filters that Envoy discovers in a file of their own (ECDS): the file, and the bootstrap that names it.

use crate::document::Node;

/// The filters in such a file, each with its name.
pub fn resources(document: &Node) -> impl Iterator<Item = (&str, &Node)> {
    let resources = document.get("resources").map_or(&[][..], Node::elements).iter();
    resources.filter_map(|resource| {
        resource.get("typed_config").or_else(|| resource.get("typedConfig"))?;
        Some((resource.get("name")?.text()?, resource))
    })
}

/// Whether Envoy's own configuration discovers the filter of this name.
pub fn is_host(node: &Node, name: &str) -> bool {
    let is_it = |discovery: Discovery<'_>| discovery.name == Some(name);
    find(node).into_iter().any(is_it)
}

/// The files in which a bootstrap discovers filters.
pub fn files(node: &Node) -> Vec<&str> {
    find(node).into_iter().filter_map(|discovery| discovery.file).collect()
}

/// An entry among the filters of a listener.
struct Discovery<'n> {
    name: Option<&'n str>,
    file: Option<&'n str>,
}

fn find(node: &Node) -> Vec<Discovery<'_>> {
    if let Some(discovery) = either(node, "config_discovery", "configDiscovery") {
        let source = either(discovery, "config_source", "configSource");
        let path = source.and_then(|it| either(it, "path_config_source", "pathConfigSource"));
        let file = path.and_then(|it| it.get("path")).and_then(Node::text);
        return vec![Discovery { name: node.get("name").and_then(Node::text), file }];
    }
    let fields = node.fields().iter().map(|(_, node)| node);
    fields.chain(node.elements()).flat_map(find).collect()
}

fn either<'n>(node: &'n Node, name: &str, other: &str) -> Option<&'n Node> {
    node.get(name).or_else(|| node.get(other))
}
