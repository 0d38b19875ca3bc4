//! Ingresses, and the canaries among them, as both ingress-nginx and Higress read them.

use super::form::{Destination, Name, Source};
use crate::document::{Node, Value};

/// An Ingress, and the fields of it that matter here.
pub struct Ingress<'n> {
    pub source: Source<'n>,
    pub node: &'n Node,
    pub name: String,
    pub namespace: Option<String>,
    pub class: Option<String>,
    /// The time at which it was created: of two that contradict each other the older one counts.
    pub created: String,
    pub paths: Vec<Path<'n>>,
}

/// A path of a rule, and its service.
pub struct Path<'n> {
    pub node: &'n Node,
    pub host: Name,
    pub path: String,
    pub kind: Kind,
    pub to: Destination,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Exact,
    Prefix,
    /// The controller matches as it sees fit: both take the start of the text.
    Own,
}

impl Path<'_> {
    /// Whether the other is the same place, as a canary needs.
    pub fn is_at(&self, other: &Path<'_>) -> bool {
        (&self.host, &self.path, self.kind) == (&other.host, &other.path, other.kind)
    }
}

const PREFIXES: [&str; 2] = ["nginx.ingress.kubernetes.io", "higress.io"];

impl<'n> Ingress<'n> {
    pub fn read(node: &'n Node, source: Source<'n>) -> Self {
        let text = |names: &[&str]| node.at(names).and_then(Node::text).map(str::to_owned);
        let namespace = text(&["metadata", "namespace"]);
        let old_class = node.at(&["metadata", "annotations"]);
        let old_class = old_class.and_then(|it| it.get("kubernetes.io/ingress.class"));
        let old_class = old_class.and_then(Node::text).map(str::to_owned);
        let mut ingress = Ingress {
            source,
            node,
            name: text(&["metadata", "name"]).unwrap_or_else(|| "ingress".to_owned()),
            class: text(&["spec", "ingressClassName"]).or(old_class),
            created: text(&["metadata", "creationTimestamp"]).unwrap_or_default(),
            paths: Vec::new(),
            namespace,
        };
        for rule in node.at(&["spec", "rules"]).map_or(&[][..], Node::elements) {
            let host = rule.get("host").and_then(Node::text).unwrap_or("*");
            let paths = rule.at(&["http", "paths"]).map_or(&[][..], Node::elements);
            let found = paths.iter().filter_map(|path| {
                let to = ingress.service(path.get("backend")?)?;
                let kind = match path.get("pathType").and_then(Node::text) {
                    Some("Exact") => Kind::Exact,
                    Some("Prefix") => Kind::Prefix,
                    _ => Kind::Own,
                };
                let path_text = path.get("path").and_then(Node::text).unwrap_or("/").to_owned();
                Some(Path { node: path, host: Name::new(host), path: path_text, kind, to })
            });
            let found: Vec<_> = found.collect();
            ingress.paths.extend(found);
        }
        if let Some(backend) = node.at(&["spec", "defaultBackend"])
            && ingress.paths.is_empty()
            && let Some(to) = ingress.service(backend)
        {
            let path = "/".to_owned();
            ingress.paths.push(Path {
                node: backend,
                host: Name::Any,
                path,
                kind: Kind::Prefix,
                to,
            });
        }
        ingress
    }

    fn service(&self, backend: &Node) -> Option<Destination> {
        let service = backend.get("service");
        let name = service.and_then(|it| it.get("name")).or_else(|| backend.get("serviceName"))?;
        let port = service.and_then(|it| it.get("port"));
        let port = port.and_then(|it| it.get("number").or_else(|| it.get("name")));
        let port = port.or_else(|| backend.get("servicePort")).and_then(scalar);
        let (service, namespace) = (name.text()?.to_owned(), self.namespace.clone());
        Some(Destination { service, namespace, subset: None, port })
    }

    /// The annotation of this name, behind the prefix of either controller, with the whole name.
    pub fn annotation(&self, name: &str) -> Option<(&'n Node, String, String)> {
        let annotations = self.node.at(&["metadata", "annotations"])?;
        PREFIXES.iter().find_map(|prefix| {
            let whole = format!("{prefix}/{name}");
            let node = annotations.get(&whole)?;
            Some((node, format!("metadata.annotations.{whole}"), scalar(node)?.trim().to_owned()))
        })
    }

    /// The annotations of either controller that say something else than a split.
    pub fn others(&self) -> impl Iterator<Item = (&'n Node, &'n str)> {
        const SPLIT: [&str; 3] = ["canary", "affinity", "session-cookie-"];
        let fields = self.node.at(&["metadata", "annotations"]).map_or(&[][..], Node::fields);
        fields.iter().filter_map(|(whole, node)| {
            let (prefix, name) = whole.split_once('/')?;
            let is_split = SPLIT.iter().any(|start| name.starts_with(start));
            (PREFIXES.contains(&prefix) && !is_split).then_some((node, whole.as_str()))
        })
    }

    /// The text of an annotation that is not empty.
    pub fn text(&self, name: &str) -> Option<String> {
        self.annotation(name).map(|(_, _, text)| text).filter(|text| !text.is_empty())
    }

    pub fn is_true(&self, name: &str) -> bool {
        let text = self.text(name);
        text.is_some_and(|it| matches!(it.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True"))
    }

    pub fn is_canary(&self) -> bool {
        self.is_true("canary")
    }

    /// Whether Higress is meant, by the class or by an annotation of its own.
    pub fn is_of_higress(&self) -> bool {
        let annotations = self.node.at(&["metadata", "annotations"]).map_or(&[][..], Node::fields);
        self.class.as_deref() == Some("higress")
            || annotations.iter().any(|(name, _)| name.starts_with("higress.io/"))
    }
}

/// A text, or a number or boolean as it is written.
pub fn scalar(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some(text.clone()),
        _ => node.written.clone(),
    }
}
