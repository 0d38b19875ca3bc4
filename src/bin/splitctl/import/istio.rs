//! Istio's VirtualServices: the first route of a host that matches wins.

use super::cookie;
use super::form::{
    Action, Condition, Destination, Entry, Host, Imported, Name, Part, Remark, Route, Source, Test,
};
use super::ingress::scalar;
use super::pattern;
use crate::document::{Node, Value};

/// Fields of a route beside `match` and `route`. They stay the route's business.
const ROUTE_FIELDS: [&str; 14] = [
    "redirect",
    "directResponse",
    "delegate",
    "rewrite",
    "timeout",
    "retries",
    "fault",
    "mirror",
    "mirrors",
    "mirrorPercent",
    "mirror_percent",
    "mirrorPercentage",
    "corsPolicy",
    "headers",
];

/// Conditions that the filter cannot ask.
const UNASKED: [&str; 6] =
    ["port", "sourceLabels", "gateways", "scheme", "sourceNamespace", "source_namespace"];

/// Translates VirtualServices; those with the same host are merged, the older one first.
pub fn import(mut resources: Vec<(Source<'_>, &Node)>) -> Imported {
    let mut imported = Imported::default();
    let created = |node: &Node| text(node, &["metadata", "creationTimestamp"]).unwrap_or_default();
    resources.sort_by_key(|(_, node)| created(node));
    for (source, node) in resources {
        for field in ["tls", "tcp"] {
            if let Some(node) = node.at(&["spec", field]) {
                let text = "the filter decides HTTP requests; keep it in the VirtualService";
                imported.remarks.push(source.lost(node, &format!("spec.{field}"), text));
            }
        }
        let mut routes = routes(source, node, &mut imported.remarks);
        if let Some(last) = routes.iter().position(Route::takes_all) {
            for route in routes.drain(last + 1..) {
                let (file, line) = route.place;
                let text = "no request reaches it, since a route before it takes all".to_owned();
                let field = "spec.http".to_owned();
                imported.remarks.push(Remark { file, line, field, lost: false, text });
            }
        }
        for name in names(node) {
            match imported.hosts.iter_mut().find(|host| host.name == name) {
                Some(host) => host.routes.extend(routes.iter().cloned()),
                None => imported.hosts.push(Host { name, routes: routes.clone() }),
            }
        }
    }
    for host in &mut imported.hosts {
        // Istio moves routes without conditions behind those of the other VirtualServices.
        host.routes.sort_by_key(Route::takes_all);
    }
    imported
}

pub fn text(node: &Node, names: &[&str]) -> Option<String> {
    node.at(names).and_then(Node::text).map(str::to_owned)
}

/// The hosts of a VirtualService. A service's short name stands for its longer ones as well.
fn names(node: &Node) -> Vec<Name> {
    let namespace = text(node, &["metadata", "namespace"]);
    let hosts = node.at(&["spec", "hosts"]).map_or(&[][..], Node::elements).iter();
    let mut names = Vec::new();
    for host in hosts.filter_map(Node::text) {
        names.push(Name::new(host));
        if let Some(namespace) = namespace.as_ref().filter(|_| !host.contains(['.', '*'])) {
            let longer = ["", ".svc", ".svc.cluster.local"];
            names.extend(longer.map(|end| Name::new(&format!("{host}.{namespace}{end}"))));
        }
    }
    names
}

fn routes(source: Source<'_>, node: &Node, remarks: &mut Vec<Remark>) -> Vec<Route> {
    let name = text(node, &["metadata", "name"]).unwrap_or_else(|| "routes".to_owned());
    let http = node.at(&["spec", "http"]).map_or(&[][..], Node::elements);
    let mut routes = Vec::new();
    for (place, http) in http.iter().enumerate() {
        let at = format!("spec.http[{place}]");
        let mut own = Vec::new();
        for (field, node) in
            http.fields().iter().filter(|(it, _)| ROUTE_FIELDS.contains(&it.as_str()))
        {
            let text = "it has no counterpart; keep it in the VirtualService";
            own.push(source.lost(node, &format!("{at}.{field}"), text));
        }
        let Some(action) = action(source, http, &at, &mut own) else {
            own.push(source.lost(http, &at, "a route without a destination that gets requests; a later rule decides them: answer them before the filter"));
            remarks.extend(own);
            continue;
        };
        let entries = match http.get("match").map(Node::elements) {
            None | Some([]) => vec![Entry::new()],
            Some(matches) => {
                let one = |(index, node): (usize, &Node)| {
                    let at = format!("{at}.match[{index}]");
                    entry(source, node, &at, &mut own)
                };
                matches.iter().enumerate().filter_map(one).collect()
            }
        };
        let title = title(&name, text(http, &["name"]), &action);
        let (remarks, place) = (own, source.place(http.line));
        routes.push(Route { title, entries, action, remarks, place, services: Vec::new() });
    }
    with_services(routes)
}

/// The same routes, each with the services of them all.
pub fn with_services(mut routes: Vec<Route>) -> Vec<Route> {
    let all = routes.iter().flat_map(|route| route.action.destinations());
    let all: Vec<String> = all.map(|to| to.service.clone()).collect();
    routes.iter_mut().for_each(|route| route.services.clone_from(&all));
    routes
}

/// The name of a route, or else of its resource with that of its only destination.
pub fn title(resource: &str, own: Option<String>, action: &Action) -> String {
    match (own, action) {
        (Some(own), _) => own,
        (None, Action::To(to)) => {
            format!("{resource}-{}", to.subset.as_ref().unwrap_or(&to.service))
        }
        (None, Action::Split(_)) => resource.to_owned(),
    }
}

fn action(source: Source<'_>, http: &Node, at: &str, remarks: &mut Vec<Remark>) -> Option<Action> {
    let listed = http.get("route")?.elements();
    let mut weights = Vec::new();
    for (index, node) in listed.iter().enumerate() {
        let host = text(node, &["destination", "host"])?;
        let subset = text(node, &["destination", "subset"]);
        let port = node.at(&["destination", "port", "number"]).and_then(scalar);
        let weight = match node.get("weight").map(|it| &it.value) {
            Some(Value::Number(weight)) => *weight,
            _ => 0.0,
        };
        if let Some(headers) = node.get("headers") {
            let text = "it has no counterpart; keep it in the route of the variant";
            remarks.push(source.lost(headers, &format!("{at}.route[{index}].headers"), text));
        }
        weights.push((Destination::of_host(&host, subset.as_deref(), port), weight));
    }
    if let [(_, weight)] = weights.as_mut_slice() {
        *weight = 100.0;
    }
    Action::weighted(weights)
}

/// The conditions of an entry; `None` if one of them cannot be asked, so that it never matches here.
fn entry(source: Source<'_>, node: &Node, at: &str, remarks: &mut Vec<Remark>) -> Option<Entry> {
    let unasked = node.fields().iter().find(|(it, _)| UNASKED.contains(&it.as_str()));
    let mut own = Vec::new();
    let conditions = match unasked {
        Some((field, node)) => {
            Err((node, field.clone(), "the filter has no such condition".into()))
        }
        None => singles(node).and_then(|singles| named(source, node, at, singles, &mut own)),
    };
    remarks.extend(own);
    conditions
        .map_err(|(node, field, why)| {
            let text = format!("{why}; no request meets this entry here");
            remarks.push(source.lost(node, &format!("{at}.{field}"), text));
        })
        .ok()
}

/// A field without a counterpart, and why.
type Lost<'n> = (&'n Node, String, String);

/// The conditions on what a request has once.
fn singles(node: &Node) -> Result<Entry, Lost<'_>> {
    let mut conditions = Entry::new();
    let folds = matches!(node.get("ignoreUriCase").map(|it| &it.value), Some(Value::Bool(true)));
    for (field, part) in
        [("uri", Part::Path), ("method", Part::Method), ("authority", Part::Authority)]
    {
        let Some(value) = node.get(field) else { continue };
        match string(value) {
            Ok(Test::Prefix(text)) if field == "uri" && text == "/" => {}
            Ok(Test::Present(true)) => {}
            Ok(test) => conditions.push(Condition {
                ignore_case: folds && field == "uri" && value.get("regex").is_none(),
                ..Condition::new(part, test)
            }),
            Err(why) => return Err((value, field.to_owned(), why)),
        }
    }
    Ok(conditions)
}

/// The same conditions, with those on headers and parameters.
fn named<'n>(
    source: Source<'_>,
    node: &'n Node,
    at: &str,
    mut conditions: Entry,
    remarks: &mut Vec<Remark>,
) -> Result<Entry, Lost<'n>> {
    for field in ["headers", "withoutHeaders", "queryParams"] {
        for (name, value) in node.get(field).map_or(&[][..], Node::fields) {
            let place = format!("{field}.{name}");
            let lost = |why: &str| Err((value, place.clone(), why.to_owned()));
            if name.starts_with(['@', ':']) {
                return lost("the filter has no such condition");
            }
            let part = match field {
                "queryParams" => Part::Query(name.clone()),
                _ => Part::Header(name.to_ascii_lowercase()),
            };
            let condition = match string(value) {
                Ok(test) if field == "withoutHeaders" => without(part, test),
                Ok(test) => Ok(Condition::new(part, test)),
                Err(why) => Err(why),
            };
            let condition = match condition {
                Ok(condition) => condition,
                Err(why) => return lost(&why),
            };
            if conditions.iter().any(|known| known.part == condition.part) {
                return lost("the filter asks one condition of a header");
            }
            let regex = value.get("regex").and_then(Node::text);
            let (condition, advice) = cookie::simpler(condition, regex);
            conditions.push(condition);
            remarks.extend(advice.map(|text| source.note(value, &format!("{at}.{place}"), text)));
        }
    }
    Ok(conditions)
}

/// A condition that a header is not so. Istio counts an absent header as an empty one.
fn without(part: Part, test: Test) -> Result<Condition, String> {
    let empty = match &test {
        Test::Exact(text) | Test::Prefix(text) if text.is_empty() => true,
        Test::Regex(regex) => {
            regex_lite::Regex::new(&format!("^(?:{regex})$")).is_ok_and(|it| it.is_match(""))
        }
        Test::In(texts) => texts.iter().any(String::is_empty),
        _ => false,
    };
    match test {
        Test::Exact(text) if text.is_empty() => {
            Ok(Condition::new(part, Test::Regex(".+".to_owned())))
        }
        _ if empty => Err("it rules out an absent header as well as these values".to_owned()),
        test => Ok(Condition { not: true, ..Condition::new(part, test) }),
    }
}

/// A StringMatch; an empty one asks whether there is a value.
fn string(node: &Node) -> Result<Test, String> {
    let field = |name: &str| node.get(name).and_then(scalar);
    match (field("exact"), field("prefix"), field("regex")) {
        (Some(text), ..) => Ok(Test::Exact(text)),
        (None, Some(text), _) if text.is_empty() => Ok(Test::Present(true)),
        (None, Some(text), _) => Ok(Test::Prefix(text)),
        (None, None, Some(text)) if text == "*" => Ok(Test::Present(true)),
        (None, None, Some(text)) => {
            pattern::whole(&text).map_err(|problem| format!("the pattern: {}", problem.text()))
        }
        (None, None, None) => Ok(Test::Present(true)),
    }
}
