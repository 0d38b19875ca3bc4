//! nginx's `split_clients`, and a `map` before it that pins requests.

pub mod parse;
mod variable;

use super::canary::slug;
use super::form::{
    Action, Condition, Destination, Entry, Host, Imported, Name, Part, Remark, Route, Source, Test,
};
use super::pattern;
use parse::Directive;
use variable::Variables;

/// Whether a text is nginx's configuration: one of these directives begins a line of it.
pub fn is(text: &str) -> bool {
    let begins = |line: &str| {
        ["split_clients ", "map $", "map \"", "server {", "http {", "upstream "]
            .iter()
            .any(|word| line.trim_start().starts_with(word))
    };
    text.contains('{') && text.contains(';') && text.lines().any(begins)
}

/// Translates a configuration.
///
/// # Errors
/// The line and the reason of a text that is no configuration.
pub fn import(source: Source<'_>, text: &str) -> Result<Imported, (usize, String)> {
    let root = parse::parse(text)?;
    let mut http = vec![&root];
    http.extend(root.all("http"));
    let mut imported = Imported::default();
    let variables = Variables::read(source, &http, &mut imported.remarks);
    for include in http.iter().flat_map(|block| block.all("include")) {
        let text = format!("the file {}; give it as another -f", include.word(1));
        imported.remarks.push(source.remark(include.line, "include", true, text));
    }
    let servers: Vec<_> = http.iter().flat_map(|block| block.all("server")).collect();
    for server in &servers {
        let routes = server_routes(source, server, &variables, &mut imported.remarks);
        for name in names(source, server, &mut imported.remarks) {
            match imported.hosts.iter_mut().find(|host| host.name == name) {
                // The first server of a name counts.
                Some(_) => {}
                None => imported.hosts.push(Host { name, routes: routes.clone() }),
            }
        }
    }
    if servers.is_empty() {
        let mut routes = Vec::new();
        for name in variables.outermost() {
            routes.extend(variables.routes(1, &format!("${name}"), "split", &mut imported.remarks));
        }
        imported.hosts.push(Host { name: Name::Any, routes });
    }
    if let Some(first) =
        servers.first().filter(|_| imported.hosts.iter().all(|it| it.name != Name::Any))
    {
        let text =
            "nginx answers every other host by its default server; here they are left to the route";
        imported.remarks.push(source.remark(first.line, "server_name", false, text.to_owned()));
    }
    Ok(imported)
}

fn names(source: Source<'_>, server: &Directive, remarks: &mut Vec<Remark>) -> Vec<Name> {
    let mut names = Vec::new();
    let words = server.all("server_name").flat_map(|it| it.words.iter().skip(1));
    for word in words {
        match word.strip_prefix('.') {
            Some(host) => names.extend([Name::new(host), Name::new(&format!("*.{host}"))]),
            None if word.starts_with('~') || word.ends_with(".*") => {
                let text = format!(
                    "the host pattern {word}; write the hosts, or a condition on authority"
                );
                remarks.push(source.remark(server.line, "server_name", true, text));
            }
            None if word == "_" || word.is_empty() => names.push(Name::Any),
            None => names.push(Name::new(word)),
        }
    }
    if server.all("server_name").next().is_none() {
        names.push(Name::Any);
    }
    names
}

fn server_routes(
    source: Source<'_>,
    server: &Directive,
    variables: &Variables<'_>,
    remarks: &mut Vec<Remark>,
) -> Vec<Route> {
    let mut locations: Vec<_> = server.all("location").enumerate().collect();
    // Exact ones, prefixes before expressions (^~), expressions in order, then the longest prefix.
    locations.sort_by_key(|(place, it)| match it.word(1) {
        "=" => (0, 0),
        "^~" => (1, usize::MAX - it.word(2).len()),
        "~" | "~*" => (2, *place),
        text => (3, usize::MAX - text.len()),
    });
    let mut routes = Vec::new();
    for (_, location) in locations {
        if location.word(1).starts_with('@') {
            continue;
        }
        let entry = match path(location) {
            Ok(entry) => entry,
            Err(why) => {
                remarks.push(source.remark(
                    location.line,
                    "location",
                    true,
                    format!("the pattern: {why}"),
                ));
                continue;
            }
        };
        let pass = location.block.iter().find(|it| it.name().ends_with("_pass"));
        for inner in location.block.iter().filter(|it| matches!(it.name(), "if" | "location")) {
            let text = format!("`{}` inside a location; write a rule for it", inner.name());
            remarks.push(source.remark(inner.line, inner.name(), true, text));
        }
        let Some(pass) = pass else {
            let text = "nginx answers here itself; a later rule decides these requests: keep the answer before the filter";
            remarks.push(source.remark(location.line, "location", true, text.to_owned()));
            continue;
        };
        let host = server
            .all("server_name")
            .map(|it| it.word(1))
            .find(|it| it.starts_with(char::is_alphanumeric));
        let slug = slug(location.words.last().map_or("", String::as_str));
        let words = [host.unwrap_or("split"), &slug];
        let title = words.into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join("-");
        for mut route in variables.routes(pass.line, pass.word(1), &title, remarks) {
            let kept = route.entries.into_iter().filter_map(|inner| joined(&entry, inner));
            route.entries = kept.collect();
            if !route.entries.is_empty() {
                routes.push(route);
            }
        }
    }
    let services: Vec<String> = routes
        .iter()
        .flat_map(|route| route.action.destinations())
        .map(|to| to.service.clone())
        .collect();
    routes.iter_mut().for_each(|route| route.services.clone_from(&services));
    routes
}

/// Both entries at once; `None` if they ask about the same part, of which the filter asks once.
fn joined(one: &Entry, other: Entry) -> Option<Entry> {
    let clash = other.iter().any(|it| one.iter().any(|known| known.part == it.part));
    (!clash).then(|| one.iter().cloned().chain(other).collect())
}

fn path(location: &Directive) -> Result<Entry, String> {
    let condition = |test| vec![Condition::new(Part::Path, test)];
    Ok(match (location.word(1), location.word(2)) {
        ("=", text) => condition(Test::Exact(text.to_owned())),
        (mark @ ("~" | "~*"), text) => {
            let test = pattern::anywhere(text).map_err(|problem| problem.text().to_owned())?;
            let ignore_case = mark == "~*" && !matches!(test, Test::Present(_));
            vec![Condition { ignore_case, ..Condition::new(Part::Path, test) }]
        }
        ("^~", "/") | ("/" | "", _) => Entry::new(),
        ("^~", text) | (text, _) => condition(Test::Prefix(text.to_owned())),
    })
}

/// The action for the place that a `proxy_pass` names.
fn to(text: &str) -> Option<Action> {
    let text = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = text.split('/').next().unwrap_or_default();
    let (service, port) = match host.rsplit_once(':') {
        Some((service, port)) => (service, Some(port.to_owned())),
        None => (host, None),
    };
    let to = Destination { service: service.to_owned(), port, ..Destination::default() };
    (!service.is_empty()).then_some(Action::To(to))
}
