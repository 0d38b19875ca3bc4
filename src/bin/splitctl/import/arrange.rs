//! From hosts and their routes to one list of rules, of which the first that matches decides.

use super::form::{Action, Condition, Entry, Host, Imported, Name, Part, Remark, Route, Test};
use super::names::Names;

/// A rule of the filter.
pub struct Rule {
    pub name: String,
    /// The entries of `match`; none for every request.
    pub entries: Vec<Entry>,
    pub action: Action,
    /// The text that is hashed with a key, where several rules are one split.
    pub salt: Option<String>,
    pub remarks: Vec<Remark>,
    pub place: (String, usize),
}

/// Hosts with the same routes.
struct Group {
    names: Vec<Name>,
    routes: Vec<Route>,
}

/// The entries that one rule may have.
const ENTRIES: usize = 64;

/// Arranges the rules. Remarks about what is left out are added to those of `imported`.
pub fn rules(imported: &mut Imported) -> Vec<Rule> {
    for host in &mut imported.hosts {
        tidy(host, &mut imported.remarks);
    }
    let groups = groups(std::mem::take(&mut imported.hosts));
    let mut rules = Vec::new();
    let mut names = Names::default();
    for group in &groups {
        let hosts = conditions(group, &groups, &mut imported.remarks);
        for route in &group.routes {
            let mut remarks = route.remarks.clone();
            let entries = entries(route, &hosts, &mut remarks);
            if entries.is_empty() {
                imported.remarks.append(&mut remarks);
            }
            for chunk in entries.chunks(ENTRIES) {
                let takes_all = chunk.iter().any(Vec::is_empty);
                rules.push(Rule {
                    name: names.unique(&route.title),
                    entries: if takes_all { Vec::new() } else { chunk.to_vec() },
                    action: route.action.clone(),
                    salt: None,
                    remarks: std::mem::take(&mut remarks),
                    place: route.place.clone(),
                });
            }
        }
    }
    salt(&mut rules, &groups);
    rules
}

/// Leaves out what no request reaches, and joins neighbours that do the same.
fn tidy(host: &mut Host, remarks: &mut Vec<Remark>) {
    let mut kept: Vec<Route> = Vec::new();
    let mut is_complete = false;
    for mut route in std::mem::take(&mut host.routes) {
        if route.entries.is_empty() {
            remarks.append(&mut route.remarks);
            continue;
        }
        if is_complete {
            let text = format!(
                "no request to {} reaches it, since one before it takes all",
                host.name.text()
            );
            let (file, line) = route.place;
            remarks.push(Remark { file, line, field: "route".to_owned(), lost: false, text });
            continue;
        }
        is_complete = route.takes_all();
        match kept.last_mut() {
            Some(last) if (&last.title, &last.action) == (&route.title, &route.action) => {
                last.entries.append(&mut route.entries);
                last.remarks.append(&mut route.remarks);
            }
            _ => kept.push(route),
        }
    }
    host.routes = kept;
}

/// Hosts with the same routes together, the more specific ones first.
fn groups(hosts: Vec<Host>) -> Vec<Group> {
    let names: Vec<Name> = hosts.iter().map(|host| host.name.clone()).collect();
    let mut groups: Vec<Group> = Vec::new();
    for host in hosts.into_iter().filter(|host| !host.routes.is_empty()) {
        let related = |known: &[Name]| {
            let own = || known.iter().chain([&host.name]);
            let others = names.iter().filter(|name| !own().any(|it| it == *name));
            own().any(|it| others.clone().any(|other| it.covers(other) || other.covers(it)))
        };
        let exact = |known: &[Name]| known.iter().chain([&host.name]).all(is_exact);
        let same = groups.iter_mut().find(|group| {
            same(&group.routes, &host.routes) && (exact(&group.names) || !related(&group.names))
        });
        match same {
            Some(group) => group.names.push(host.name),
            None => groups.push(Group { names: vec![host.name], routes: host.routes }),
        }
    }
    let rank = |name: &Name| match name {
        Name::Exact(_) => (0, 0),
        Name::Under(end) => (1, usize::MAX - end.len()),
        Name::Any => (2, 0),
    };
    groups.sort_by_key(|group| group.names.iter().map(rank).max());
    groups
}

fn is_exact(name: &Name) -> bool {
    matches!(name, Name::Exact(_))
}

fn same(one: &[Route], other: &[Route]) -> bool {
    let key = |route: &Route| (route.title.clone(), route.entries.clone(), route.action.clone());
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| key(a) == key(b))
}

/// The conditions on the authority, any of which may be met; `None` is every authority.
fn conditions(
    group: &Group,
    groups: &[Group],
    remarks: &mut Vec<Remark>,
) -> Vec<Option<Condition>> {
    let authority = |test| Some(Condition::new(Part::Authority, test));
    let hosts: Vec<String> =
        group.names.iter().filter(|name| is_exact(name)).map(Name::text).collect();
    let mut found = Vec::new();
    if let Some(test) = one_of(hosts) {
        found.push(authority(test));
    }
    for name in group.names.iter().filter(|name| !is_exact(name)) {
        // A host with routes of its own has no others, even if none of them matches.
        let others = groups.iter().filter(|it| !it.routes.iter().any(Route::takes_all));
        let others: Vec<_> = others.flat_map(|it| &it.names).filter(|it| name.covers(it)).collect();
        let only_exact = others.iter().all(|it| is_exact(it));
        let excluded = one_of(others.iter().map(|it| it.text()).collect());
        match (name, excluded) {
            (Name::Any, Some(test)) if only_exact => {
                let condition = Condition::new(Part::Authority, test);
                found.push(Some(Condition { not: true, ..condition }));
            }
            (name, excluded) => {
                if let (Some(_), Some(route)) = (excluded, group.routes.first()) {
                    let others: Vec<_> = others.iter().map(|it| it.text()).collect();
                    let text = format!(
                        "a request to {} that none of their own rules matches was answered 404, and \
                         meets those of {} here; end their rules with one without conditions",
                        others.join(", "),
                        name.text()
                    );
                    let (file, line) = route.place.clone();
                    remarks.push(Remark { file, line, field: "hosts".into(), lost: true, text });
                }
                found.push(match name {
                    Name::Under(end) => authority(Test::Suffix(end.clone())),
                    _ => None,
                });
            }
        }
    }
    found
}

fn one_of(mut texts: Vec<String>) -> Option<Test> {
    match texts.len() {
        0 => None,
        1 => Some(Test::Exact(texts.remove(0))),
        _ => Some(Test::In(texts)),
    }
}

/// The entries of a route for these hosts.
fn entries(route: &Route, hosts: &[Option<Condition>], remarks: &mut Vec<Remark>) -> Vec<Entry> {
    let mut found = Vec::new();
    for host in hosts {
        for entry in &route.entries {
            let own = entry.iter().find(|it| it.part == Part::Authority);
            match (host, own) {
                (None, _) => found.push(entry.clone()),
                (Some(host), None) => {
                    found.push([host.clone()].into_iter().chain(entry.iter().cloned()).collect());
                }
                (Some(host), Some(own)) => match meets(own, host) {
                    Some(true) => found.push(entry.clone()),
                    Some(false) => {}
                    None => {
                        let (file, line) = route.place.clone();
                        let text = "the filter asks one condition of the authority, beside that of the \
                                    host; no request meets this one here";
                        let (field, text) = ("authority".to_owned(), text.to_owned());
                        remarks.push(Remark { file, line, field, lost: true, text });
                    }
                },
            }
        }
    }
    found
}

/// Whether every authority of this condition is one of the host's; `None` if that is not clear.
fn meets(own: &Condition, host: &Condition) -> Option<bool> {
    match (&own.test, &host.test, own.not || host.not) {
        (Test::Exact(own), Test::Exact(host), false) => Some(own.eq_ignore_ascii_case(host)),
        (Test::Exact(own), Test::In(hosts), false) => {
            Some(hosts.iter().any(|host| own.eq_ignore_ascii_case(host)))
        }
        (Test::Exact(own), Test::Suffix(end), false) => {
            Some(own.to_ascii_lowercase().ends_with(end.as_str()))
        }
        _ => None,
    }
}

/// Gives the rules that were one split the same salt, so that they treat a client alike.
fn salt(rules: &mut [Rule], groups: &[Group]) {
    for route in groups.iter().flat_map(|group| &group.routes) {
        if !matches!(&route.action, Action::Split(split) if split.engine.is_none()) {
            continue;
        }
        let base = |rule: &Rule| {
            let rest = rule.name.strip_prefix(route.title.as_str());
            rest.is_some_and(|rest| {
                rest.is_empty()
                    || rest.strip_prefix('-').is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
            })
        };
        let mut of_route: Vec<&mut Rule> =
            rules.iter_mut().filter(|rule| base(rule) && rule.action == route.action).collect();
        if of_route.len() > 1 {
            for rule in &mut of_route {
                rule.salt = Some(route.title.clone());
            }
        }
    }
}
