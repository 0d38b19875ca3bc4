//! Pairs of Ingresses, a primary one and its canary: where they meet, and the routes of a path.

use super::form::{
    Action, Condition, Destination, Entry, Host, Name, Part, Remark, Route, Split, Test,
};
use super::ingress::{Ingress, Kind, Path};
use super::pattern;

/// A place of a primary Ingress, with the canaries that share its traffic.
pub struct Location<'i, 'n> {
    pub ingress: &'i Ingress<'n>,
    pub path: &'i Path<'n>,
    pub canaries: Vec<(&'i Ingress<'n>, &'i Path<'n>)>,
}

/// A request that a canary's annotation sends to one side.
pub struct Pin {
    /// The end of the rule's name.
    pub title: &'static str,
    pub condition: Condition,
    pub to: Destination,
}

/// The pins of a location, then what is left for everyone.
pub struct Policy {
    pub pins: Vec<Pin>,
    pub rest: Action,
    pub remarks: Vec<Remark>,
}

/// The ingresses in the order in which they count, which is by age.
pub fn by_age<'i, 'n>(ingresses: &'i [Ingress<'n>], canary: bool) -> Vec<&'i Ingress<'n>> {
    let mut found: Vec<_> = ingresses.iter().filter(|it| it.is_canary() == canary).collect();
    found.sort_by(|a, b| a.created.cmp(&b.created));
    found
}

/// The places of the primary Ingresses, with the canaries at the same places.
pub fn locations<'i, 'n>(
    ingresses: &'i [Ingress<'n>],
    remarks: &mut Vec<Remark>,
) -> Vec<Location<'i, 'n>> {
    for ingress in ingresses {
        remarks.extend(ingress.others().map(|(node, whole)| {
            let field = format!("metadata.annotations.{whole}");
            let text = "it says something else than where requests go; without it, requests may pass \
                        that it stops: give the gateway, the route or another filter what it asked for";
            ingress.source.lost(node, &field, text)
        }));
    }
    let mut found: Vec<Location<'i, 'n>> = Vec::new();
    for ingress in by_age(ingresses, false) {
        for path in &ingress.paths {
            match found.iter().find(|known| known.path.is_at(path)) {
                None => found.push(Location { ingress, path, canaries: Vec::new() }),
                Some(known) => remarks.push(ingress.source.note(
                    path.node,
                    "spec.rules.http.paths",
                    format!(
                        "Ingress {} is older and has the same path: this one never counts",
                        known.ingress.name
                    ),
                )),
            }
        }
    }
    for canary in by_age(ingresses, true) {
        for path in &canary.paths {
            let place = found.iter_mut().find(|known| known.path.is_at(path));
            match place.filter(|known| known.path.to != path.to) {
                Some(known) => known.canaries.push((canary, path)),
                None => remarks.push(canary.source.note(
                    path.node,
                    "spec.rules.http.paths",
                    format!(
                        "no Ingress that is no canary has this host, path and pathType with another \
                         service: canary {} never got a request here",
                        canary.name
                    ),
                )),
            }
        }
    }
    found
}

/// The hosts of these locations, each with its routes in the order in which paths count.
pub fn hosts<'i, 'n>(
    mut locations: Vec<Location<'i, 'n>>,
    mut policy: impl FnMut(&Location<'i, 'n>) -> Policy,
) -> Vec<Host> {
    let regexes: Vec<Name> = locations
        .iter()
        .filter(|it| {
            [it.ingress].into_iter().chain(it.canaries.iter().map(|(c, _)| *c)).any(has_regex)
        })
        .map(|it| it.path.host.clone())
        .collect();
    locations.sort_by_key(|it| {
        let exact = it.path.kind == Kind::Exact && !regexes.contains(&it.path.host);
        (!exact, usize::MAX - it.path.path.len())
    });
    let mut hosts: Vec<Host> = Vec::new();
    for location in &locations {
        let is_regex = regexes.contains(&location.path.host);
        let routes = routes(location, is_regex, policy(location));
        match hosts.iter_mut().find(|host| host.name == location.path.host) {
            Some(host) => host.routes.extend(routes),
            None => hosts.push(Host { name: location.path.host.clone(), routes }),
        }
    }
    hosts
}

/// Whether ingress-nginx reads all paths of the host as patterns.
fn has_regex(ingress: &Ingress<'_>) -> bool {
    ingress.is_true("use-regex") || ingress.text("rewrite-target").is_some()
}

fn routes(location: &Location<'_, '_>, is_regex: bool, policy: Policy) -> Vec<Route> {
    let Policy { mut pins, rest, mut remarks } = policy;
    let place = location.ingress.source.place(location.path.node.line);
    let path = match path_entry(location.path, is_regex) {
        Ok(entry) => entry,
        Err(problem) => {
            remarks.push(location.ingress.source.lost(
                location.path.node,
                "path",
                format!("the pattern of the path: {problem}; write a rule for it"),
            ));
            let (title, services) = (location.ingress.name.clone(), Vec::new());
            return vec![Route {
                title,
                entries: Vec::new(),
                action: rest,
                remarks,
                place,
                services,
            }];
        }
    };
    // A pin to where everyone else goes says nothing if it is the last.
    while let Action::To(to) = &rest
        && pins.last().is_some_and(|pin| pin.to == *to)
    {
        pins.pop();
    }
    let slug = slug(&location.path.path);
    let several = location.ingress.paths.iter().any(|it| it.path != location.path.path);
    let base = match slug.is_empty() || !several {
        true => location.ingress.name.clone(),
        false => format!("{}-{slug}", location.ingress.name),
    };
    let mut services = vec![location.path.to.service.clone()];
    services.extend(location.canaries.iter().map(|(_, path)| path.to.service.clone()));
    let route = |title: String, conditions: Entry, action: Action| {
        let entries = vec![path.iter().cloned().chain(conditions).collect()];
        let (remarks, place, services) = (Vec::new(), place.clone(), services.clone());
        Route { title, entries, action, remarks, place, services }
    };
    let mut routes: Vec<Route> = pins
        .into_iter()
        .map(|pin| route(format!("{base}-{}", pin.title), vec![pin.condition], Action::To(pin.to)))
        .collect();
    routes.push(route(base, Vec::new(), rest));
    if let Some(first) = routes.first_mut() {
        first.remarks = remarks;
    }
    routes
}

/// A path's letters and digits, for a name.
pub fn slug(path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

fn path_entry(path: &Path<'_>, is_regex: bool) -> Result<Entry, String> {
    let condition = |test| Ok(vec![Condition::new(Part::Path, test)]);
    if is_regex && path.path != "/" {
        let test = pattern::anywhere(&format!("^{}", path.path));
        let test = test.map_err(|problem| problem.text().to_owned())?;
        let ignore_case = !matches!(test, Test::Present(_));
        return Ok(vec![Condition { ignore_case, ..Condition::new(Part::Path, test) }]);
    }
    match (path.kind, path.path.as_str()) {
        (Kind::Exact, text) => condition(Test::Exact(text.to_owned())),
        (_, "/" | "") => Ok(Vec::new()),
        (Kind::Prefix, text) => condition(Test::PathPrefix(text.trim_end_matches('/').to_owned())),
        (Kind::Own, text) => condition(Test::Prefix(text.to_owned())),
    }
}

/// The action for a canary that gets `weight` of `total`.
pub fn weighted(stable: &Destination, canary: &Destination, weight: i64, total: i64) -> Action {
    let share = weight.clamp(0, total);
    match (share, total - share) {
        (0, _) => Action::To(stable.clone()),
        (_, 0) => Action::To(canary.clone()),
        (share, rest) => Action::Split(Split {
            weights: vec![(stable.clone(), rest as f64), (canary.clone(), share as f64)],
            ..Split::default()
        }),
    }
}
