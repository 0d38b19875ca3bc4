//! HTTPRoutes of the Gateway API: the matches of all routes of a host are sorted together.

use std::cmp::Reverse;

use super::form::{
    Action, Condition, Destination, Entry, Host, Imported, Name, Part, Remark, Route, Source, Test,
};
use super::ingress::scalar;
use super::istio::{text, title, with_services};
use super::pattern;
use crate::document::{Node, Value};

/// The rank of a match: the API's order of precedence, with expressions last, as in Istio.
type Rank = (u8, Reverse<usize>, bool, Reverse<usize>, Reverse<usize>);

/// Translates HTTPRoutes.
pub fn import(mut resources: Vec<(Source<'_>, &Node)>) -> Imported {
    let mut imported = Imported::default();
    let age = |node: &Node| {
        ["creationTimestamp", "namespace", "name"].map(|field| text(node, &["metadata", field]))
    };
    resources.sort_by_key(|(_, node)| age(node));
    let mut ranked: Vec<(Name, Vec<(Rank, Route)>)> = Vec::new();
    for (source, node) in resources {
        let routes = routes(source, node, &mut imported.remarks);
        let hosts = node.at(&["spec", "hostnames"]).map_or(&[][..], Node::elements);
        let mut names: Vec<_> = hosts.iter().filter_map(Node::text).map(Name::new).collect();
        if names.is_empty() {
            names.push(Name::Any);
        }
        for name in names {
            match ranked.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => known.extend(routes.iter().cloned()),
                None => ranked.push((name, routes.clone())),
            }
        }
    }
    for (name, mut routes) in ranked {
        routes.sort_by_key(|(rank, _)| *rank);
        let routes = routes.into_iter().map(|(_, route)| route).collect();
        imported.hosts.push(Host { name, routes });
    }
    imported
}

fn routes(source: Source<'_>, node: &Node, remarks: &mut Vec<Remark>) -> Vec<(Rank, Route)> {
    let name = text(node, &["metadata", "name"]).unwrap_or_else(|| "route".to_owned());
    let namespace = text(node, &["metadata", "namespace"]);
    let (mut ranks, mut routes) = (Vec::new(), Vec::new());
    for (place, rule) in
        node.at(&["spec", "rules"]).map_or(&[][..], Node::elements).iter().enumerate()
    {
        let at = format!("spec.rules[{place}]");
        let mut own = Vec::new();
        for field in ["filters", "timeouts", "retry", "sessionPersistence"] {
            if let Some(node) = rule.get(field) {
                let text = "it has no counterpart; keep it in the HTTPRoute";
                own.push(source.lost(node, &format!("{at}.{field}"), text));
            }
        }
        let Some(action) = action(source, rule, &at, namespace.as_ref(), &mut own) else {
            own.push(source.lost(rule, &at, "a rule without a backend that gets requests; a later rule decides them: answer them before the filter"));
            remarks.extend(own);
            continue;
        };
        let everything = Node::new(rule.line, Value::Object(Vec::new()));
        let matches = match rule.get("matches").map(Node::elements) {
            None | Some([]) => std::slice::from_ref(&everything),
            Some(matches) => matches,
        };
        let title = title(&name, text(rule, &["name"]), &action);
        for (index, node) in matches.iter().enumerate() {
            let at = format!("{at}.matches[{index}]");
            match entry(node) {
                Ok((rank, entry)) => {
                    ranks.push(rank);
                    routes.push(Route {
                        title: title.clone(),
                        entries: vec![entry],
                        action: action.clone(),
                        remarks: std::mem::take(&mut own),
                        place: source.place(node.line),
                        services: Vec::new(),
                    });
                }
                Err((node, field, why)) => {
                    let text = format!("{why}; no request meets this match here");
                    remarks.push(source.lost(node, &format!("{at}.{field}"), text));
                }
            }
        }
        remarks.extend(own);
    }
    ranks.into_iter().zip(with_services(routes)).collect()
}

fn action(
    source: Source<'_>,
    rule: &Node,
    at: &str,
    namespace: Option<&String>,
    remarks: &mut Vec<Remark>,
) -> Option<Action> {
    let mut weights = Vec::new();
    for (index, node) in rule.get("backendRefs")?.elements().iter().enumerate() {
        let at = format!("{at}.backendRefs[{index}]");
        let weight = match node.get("weight").map(|it| &it.value) {
            Some(Value::Number(weight)) => weight.max(0.0),
            _ => 1.0,
        };
        let kind = text(node, &["kind"]);
        if let Some(kind) =
            kind.as_ref().filter(|kind| !["Service", "Hostname"].contains(&kind.as_str()))
        {
            let text =
                format!("a {kind} as a backend; its share goes to the others: give it a variant");
            remarks.push(source.lost(node, &at, text));
            continue;
        }
        if let Some(filters) = node.get("filters") {
            let text = "it has no counterpart; keep it in the route of the variant";
            remarks.push(source.lost(filters, &format!("{at}.filters"), text));
        }
        let (name, port) = (text(node, &["name"])?, node.get("port").and_then(scalar));
        let to = if kind.as_deref() == Some("Hostname") {
            // Istio's name for any host of the mesh.
            Destination::of_host(&name, None, port)
        } else {
            let namespace = text(node, &["namespace"]).or_else(|| namespace.cloned());
            Destination { service: name, namespace, subset: None, port }
        };
        weights.push((to, weight));
    }
    Action::weighted(weights)
}

/// A field without a counterpart, and why.
type Lost<'n> = (&'n Node, String, String);

fn entry(node: &Node) -> Result<(Rank, Entry), Lost<'_>> {
    let mut entry = Entry::new();
    let path = text(node, &["path", "value"]).unwrap_or_else(|| "/".to_owned());
    let kind = text(node, &["path", "type"]);
    let (kind_rank, length) = match kind.as_deref() {
        Some("Exact") => {
            entry.push(Condition::new(Part::Path, Test::Exact(path.clone())));
            (0, path.len())
        }
        Some("RegularExpression") => {
            let at = node.get("path").unwrap_or(node);
            let test = pattern::whole(&path)
                .map_err(|problem| (at, "path".to_owned(), problem.text().to_owned()))?;
            entry.push(Condition::new(Part::Path, test));
            (2, path.len())
        }
        _ => {
            // A slash at the end says nothing.
            let prefix = path.trim_end_matches('/');
            if !prefix.is_empty() {
                entry.push(Condition::new(Part::Path, Test::PathPrefix(prefix.to_owned())));
            }
            (1, prefix.len().max(1))
        }
    };
    let method = text(node, &["method"]);
    let has_method = method.is_some();
    entry.extend(method.map(|it| Condition::new(Part::Method, Test::Exact(it))));
    let headers = listed(node, "headers", |name| Part::Header(name.to_ascii_lowercase()))?;
    let parameters = listed(node, "queryParams", |name| Part::Query(name.to_owned()))?;
    let counts = (Reverse(headers.len()), Reverse(parameters.len()));
    entry.extend(headers.into_iter().chain(parameters));
    Ok(((kind_rank, Reverse(length), !has_method, counts.0, counts.1), entry))
}

/// The conditions of a list; of several with one name, the first counts.
fn listed<'n>(node: &'n Node, field: &str, part: impl Fn(&str) -> Part) -> Result<Entry, Lost<'n>> {
    let mut conditions = Entry::new();
    for node in node.get(field).map_or(&[][..], Node::elements) {
        let lost = |why: &str| (node, field.to_owned(), why.to_owned());
        let name = text(node, &["name"]).ok_or_else(|| lost("it has no name"))?;
        let value = node.get("value").and_then(scalar).unwrap_or_default();
        let test = match text(node, &["type"]).as_deref() {
            Some("RegularExpression") => {
                pattern::whole(&value).map_err(|problem| lost(problem.text()))?
            }
            _ => Test::Exact(value),
        };
        let condition = Condition::new(part(&name), test);
        if conditions.iter().all(|known| known.part != condition.part) {
            conditions.push(condition);
        }
    }
    Ok(conditions)
}
