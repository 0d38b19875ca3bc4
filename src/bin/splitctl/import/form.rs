//! The form that every source is translated to: hosts, their routes in order, and what was lost on the way.

use crate::document::Node;

/// Everything that was read, with the remarks about what has no place among the routes.
#[derive(Default)]
pub struct Imported {
    pub hosts: Vec<Host>,
    pub remarks: Vec<Remark>,
    /// The header that names the variant, where the source has one of its own.
    pub header: Option<String>,
}

/// The host names that a list of routes is for; the first route that a request meets decides.
pub struct Host {
    pub name: Name,
    pub routes: Vec<Route>,
}

/// A host name, as Envoy's virtual hosts know them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    Exact(String),
    /// The end of a name, with its dot: one label or more stand before it.
    Under(String),
    Any,
}

/// The requests that meet one of the entries, and where they go.
#[derive(Clone, Debug)]
pub struct Route {
    /// The beginning of the rule's name.
    pub title: String,
    /// The conditions of each entry; one without conditions is every request.
    pub entries: Vec<Entry>,
    pub action: Action,
    pub remarks: Vec<Remark>,
    /// Its file and line.
    pub place: (String, usize),
    /// The services of the resource that the route is from, by which `--service` chooses.
    pub services: Vec<String>,
}

pub type Entry = Vec<Condition>;

#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    pub part: Part,
    pub test: Test,
    pub not: bool,
    pub ignore_case: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Authority,
    Path,
    Method,
    Header(String),
    Query(String),
    Cookie(String),
    /// A cookie whose name is looked up in any case.
    CookieAnyCase(String),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    Exact(String),
    Prefix(String),
    PathPrefix(String),
    Suffix(String),
    Contains(String),
    Regex(String),
    In(Vec<String>),
    Present(bool),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    To(Destination),
    Split(Split),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Split {
    pub weights: Vec<(Destination, f64)>,
    /// The seconds for which a client keeps what it drew; `None` within is the browser's session.
    pub session: Option<Option<u64>>,
    pub engine: Option<Engine>,
}

/// The hash by which a source splits.
#[derive(Clone, Debug, PartialEq)]
pub struct Engine {
    pub key: Key,
    pub name: &'static str,
    /// The settings that are not empty.
    pub settings: Vec<(&'static str, String)>,
}

/// A part of the request by which a client is known.
#[derive(Clone, Debug, PartialEq)]
pub enum Key {
    Cookie(String),
    Header(String),
    Query(String),
    SourceIp,
}

/// Where requests go.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Destination {
    pub service: String,
    pub namespace: Option<String>,
    pub subset: Option<String>,
    pub port: Option<String>,
}

/// A line about a field: what of it was lost, or what is unusual about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Remark {
    pub file: String,
    pub line: usize,
    pub field: String,
    /// Whether something has no counterpart; otherwise it is there, and unusual.
    pub lost: bool,
    pub text: String,
}

impl Remark {
    /// The remark in one line, as compilers write it.
    pub fn display(&self) -> String {
        let word = if self.lost { "lost" } else { "note" };
        let line = format!("{}:{}: {}: {word}: {}", self.file, self.line, self.field, self.text);
        line.chars()
            .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
            .collect()
    }
}

/// A file, to make remarks about its fields.
#[derive(Clone, Copy)]
pub struct Source<'s> {
    pub file: &'s str,
}

impl Source<'_> {
    /// The remark that a field has no counterpart: what is lost, and what to do.
    pub fn lost(self, node: &Node, field: &str, text: impl Into<String>) -> Remark {
        self.remark(node.line, field, true, text.into())
    }

    /// The remark that a field means something unusual.
    pub fn note(self, node: &Node, field: &str, text: impl Into<String>) -> Remark {
        self.remark(node.line, field, false, text.into())
    }

    /// The place of a value, as routes keep it.
    pub fn place(self, line: usize) -> (String, usize) {
        (self.file.to_owned(), line)
    }

    pub fn remark(self, line: usize, field: &str, lost: bool, text: String) -> Remark {
        Remark { file: self.file.to_owned(), line, field: field.to_owned(), lost, text }
    }
}

impl Condition {
    pub fn new(part: Part, test: Test) -> Self {
        Condition { part, test, not: false, ignore_case: false }
    }
}

impl Destination {
    /// A service of a Kubernetes host name, such as `web`, `web.shop` or `web.shop.svc.cluster.local`.
    pub fn of_host(host: &str, subset: Option<&str>, port: Option<String>) -> Self {
        let mut labels = host.split('.');
        let first = labels.next().unwrap_or(host);
        let (namespace, rest) = (labels.next(), labels.next());
        let is_kubernetes = matches!(rest, None | Some("svc"));
        let (service, namespace) =
            if is_kubernetes { (first, namespace.map(str::to_owned)) } else { (host, None) };
        let subset = subset.map(str::to_owned);
        Destination { service: service.to_owned(), namespace, subset, port }
    }
}

impl Action {
    pub fn destinations(&self) -> Vec<&Destination> {
        match self {
            Action::To(to) => vec![to],
            Action::Split(split) => split.weights.iter().map(|(to, _)| to).collect(),
        }
    }

    /// The action for these weights: one that takes all needs no split.
    pub fn weighted(weights: Vec<(Destination, f64)>) -> Option<Action> {
        let taken: Vec<_> = weights.iter().filter(|(_, weight)| *weight > 0.0).collect();
        match (taken.as_slice(), weights.len()) {
            ([], _) => None,
            ([(only, _)], 1) => Some(Action::To(only.clone())),
            _ => Some(Action::Split(Split { weights, ..Split::default() })),
        }
    }
}

impl Name {
    /// Reads `shop.example`, `*.shop.example` or `*`; a port is left out.
    pub fn new(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        let port = |(_, port): &(&str, &str)| port.bytes().all(|b| b.is_ascii_digit());
        let host = text.rsplit_once(':').filter(port).map_or(text.as_str(), |(host, _)| host);
        match host.strip_prefix('*') {
            Some("") => Name::Any,
            Some(end) => Name::Under(end.to_owned()),
            None if host.is_empty() => Name::Any,
            None => Name::Exact(host.to_owned()),
        }
    }

    /// Whether every request for the other one would be for this one, if the other were not there.
    pub fn covers(&self, other: &Name) -> bool {
        match (self, other) {
            (Name::Any, Name::Exact(_) | Name::Under(_)) => true,
            (Name::Under(end), Name::Exact(host)) => host.len() > end.len() && host.ends_with(end),
            (Name::Under(end), Name::Under(longer)) => {
                longer.len() > end.len() && longer.ends_with(end)
            }
            _ => false,
        }
    }

    /// The name as it is written.
    pub fn text(&self) -> String {
        match self {
            Name::Exact(host) => host.clone(),
            Name::Under(end) => format!("*{end}"),
            Name::Any => "*".to_owned(),
        }
    }
}

impl Route {
    /// Whether every request meets it, and none is left to the next route.
    pub fn takes_all(&self) -> bool {
        let leaves_out = match &self.action {
            Action::Split(Split { engine: Some(_), weights, .. }) => {
                weights.iter().map(|(_, weight)| weight).sum::<f64>() < 100.0
            }
            _ => false,
        };
        !leaves_out && self.entries.iter().any(Vec::is_empty)
    }
}
