//! The values that a variable can have: those of a `map`, or of a `split_clients`.

use super::parse::Directive;
use super::to;
use crate::import::form::{
    Action, Condition, Destination, Engine, Entry, Key, Part, Remark, Route, Source, Split, Test,
};
use crate::import::pattern;

/// The variables of a configuration.
pub struct Variables<'d> {
    source: Source<'d>,
    all: Vec<(&'d str, &'d Directive)>,
}

/// The variables that may be looked up one behind the other.
const DEPTH: usize = 8;

impl<'d> Variables<'d> {
    pub fn read(source: Source<'d>, http: &[&'d Directive], remarks: &mut Vec<Remark>) -> Self {
        let mut all = Vec::new();
        for directive in http.iter().flat_map(|block| &block.block) {
            if matches!(directive.name(), "map" | "split_clients") {
                match directive.word(2).strip_prefix('$') {
                    Some(name) => all.push((name, directive)),
                    None => {
                        let text = "it names no variable".to_owned();
                        remarks.push(source.remark(directive.line, directive.name(), true, text));
                    }
                }
            }
        }
        Variables { source, all }
    }

    /// The variables that no other one uses.
    pub fn outermost(&self) -> Vec<&'d str> {
        let uses = |directive: &Directive, name: &str| {
            directive.block.iter().any(|line| variable(line.word(1)) == Some(("", name, "")))
        };
        let names = self.all.iter().map(|(name, _)| *name);
        names.filter(|name| !self.all.iter().any(|(_, it)| uses(it, name))).collect()
    }

    /// The routes for a text with at most one variable in it.
    pub fn routes(
        &self,
        line: usize,
        text: &str,
        title: &str,
        remarks: &mut Vec<Remark>,
    ) -> Vec<Route> {
        let mut walk =
            Walk { variables: self, title, routes: Vec::new(), remarks, pending: Vec::new() };
        walk.follow(line, text, &Entry::new(), 0);
        walk.routes
    }
}

struct Walk<'w, 'd> {
    variables: &'w Variables<'d>,
    title: &'w str,
    routes: Vec<Route>,
    remarks: &'w mut Vec<Remark>,
    /// Remarks for the next route.
    pending: Vec<Remark>,
}

impl Walk<'_, '_> {
    fn lost(&mut self, line: usize, field: &str, text: impl Into<String>) {
        self.remarks.push(self.variables.source.remark(line, field, true, text.into()));
    }

    fn push(&mut self, line: usize, title: String, entry: &Entry, action: Action) {
        let (entries, remarks) = (vec![entry.clone()], std::mem::take(&mut self.pending));
        let place = self.variables.source.place(line);
        self.routes.push(Route { title, entries, action, remarks, place, services: Vec::new() });
    }

    /// Adds the routes for a text, under the conditions that lead to it.
    fn follow(&mut self, line: usize, text: &str, entry: &Entry, depth: usize) {
        let Some((before, name, after)) = variable(text) else {
            if let Some(action) = to(text) {
                let title = match &action {
                    Action::To(to) if !entry.is_empty() => format!("{}-{}", self.title, to.service),
                    _ => self.title.to_owned(),
                };
                self.push(line, title, entry, action);
            }
            return;
        };
        let known = self.variables.all.iter().find(|(known, _)| *known == name);
        match known.map(|(_, directive)| *directive) {
            Some(directive) if depth < DEPTH => {
                let around = |value: &str| format!("{before}{value}{after}");
                match directive.name() {
                    "map" => self.map(directive, entry, depth, &around),
                    _ => self.split(directive, entry, &around),
                }
            }
            Some(directive) => {
                self.lost(directive.line, "map", "too many maps one behind the other")
            }
            None => {
                let text = format!(
                    "${name} is neither of a map nor of split_clients; write a rule for it"
                );
                self.lost(line, "proxy_pass", text);
            }
        }
    }

    fn map(
        &mut self,
        map: &Directive,
        entry: &Entry,
        depth: usize,
        around: &dyn Fn(&str) -> String,
    ) {
        let part = variable(map.word(1))
            .filter(|(before, _, after)| before.is_empty() && after.is_empty());
        let Some(part) = part.and_then(|(_, name, _)| part_of(name)) else {
            let text = format!("a map of {}; write rules for it", map.word(1));
            return self.lost(map.line, "map", text);
        };
        if entry.iter().any(|known| known.part == part) {
            return self.lost(map.line, "map", "two maps of one value; write rules for them");
        }
        let is_regex = |line: &Directive| line.name().starts_with('~');
        let named = ["default", "hostnames", "volatile", "include"];
        let lines = || map.block.iter().filter(|line| !named.contains(&line.name()));
        // nginx looks texts up first, then tries expressions in order.
        for line in
            lines().filter(|line| !is_regex(line)).chain(lines().filter(|line| is_regex(line)))
        {
            match tests(line.name()) {
                Ok(tests) => {
                    for (test, ignore_case) in tests {
                        let condition =
                            Condition { ignore_case, ..Condition::new(part.clone(), test) };
                        let entry: Entry = entry.iter().cloned().chain([condition]).collect();
                        self.follow(line.line, &around(line.word(1)), &entry, depth + 1);
                    }
                }
                Err(why) => {
                    self.lost(line.line, "map", format!("the pattern {}: {why}", line.name()))
                }
            }
        }
        for line in map.all("include").chain(map.all("hostnames")) {
            self.lost(line.line, "map", format!("`{}` in a map; write rules for it", line.name()));
        }
        if let Some(default) = map.all("default").next() {
            self.follow(default.line, &around(default.word(1)), entry, depth + 1);
        }
    }

    fn split(&mut self, split: &Directive, entry: &Entry, around: &dyn Fn(&str) -> String) {
        let Some((prefix, name, suffix)) = variable(split.word(1)) else {
            let text = "split_clients of a text with no variable or several; choose one as the key";
            return self.lost(split.line, "split_clients", text);
        };
        let mut weights: Vec<(Destination, f64)> = Vec::new();
        for line in &split.block {
            let share = match line.name() {
                "*" => {
                    let taken: f64 = weights.iter().map(|(_, weight)| weight).sum();
                    ((100.0 - taken) * 100.0).round() / 100.0
                }
                share => match share.strip_suffix('%').and_then(|share| share.parse().ok()) {
                    Some(share) => share,
                    None => {
                        return self.lost(
                            line.line,
                            "split_clients",
                            "a share that is no percentage",
                        );
                    }
                },
            };
            match to(&around(line.word(1))) {
                _ if share <= 0.0 => {}
                Some(Action::To(to)) if weights.iter().all(|(known, _)| *known != to) => {
                    weights.push((to, share))
                }
                Some(_) => {
                    return self.lost(
                        line.line,
                        "split_clients",
                        "one upstream in two parts; give it two names",
                    );
                }
                None => {
                    return self.lost(
                        line.line,
                        "split_clients",
                        "a part without an upstream; write a rule for it",
                    );
                }
            }
        }
        let per_request = matches!(name, "request_id" | "msec" | "connection");
        let engine = match key_of(name) {
            Some(key) => {
                if matches!(key, Key::Cookie(_)) {
                    let text = "nginx finds the cookie in any case of its name; here the name is as written";
                    let source = self.variables.source;
                    self.pending.push(source.remark(
                        split.line,
                        "split_clients",
                        false,
                        text.into(),
                    ));
                }
                let settings = [("prefix", prefix), ("suffix", suffix)];
                let settings = settings.into_iter().filter(|(_, text)| !text.is_empty());
                let settings = settings.map(|(name, text)| (name, text.to_owned())).collect();
                Some(Engine { key, name: "nginx", settings })
            }
            None if per_request => None,
            None => {
                let text = format!("split_clients of ${name}; give a key that the filter can read");
                return self.lost(split.line, "split_clients", text);
            }
        };
        if !weights.is_empty() {
            let line = split.line;
            let split = Split { weights, engine, ..Split::default() };
            let title = self.title.to_owned();
            self.push(line, title, entry, Action::Split(split));
        }
    }
}

/// The only variable of a text, with what is before and behind it; `None` without one, or with
/// several.
fn variable(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('$')?;
    let (name, after) = match rest.strip_prefix('{') {
        Some(rest) => rest.split_once('}')?,
        None => {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            rest.split_at_checked(end.unwrap_or(rest.len()))?
        }
    };
    (!name.is_empty() && !after.contains('$')).then_some((before, name, after))
}

fn part_of(name: &str) -> Option<Part> {
    match name {
        "host" | "http_host" => return Some(Part::Authority),
        "uri" => return Some(Part::Path),
        "request_method" => return Some(Part::Method),
        _ => {}
    }
    type Kind = (&'static str, fn(&str) -> Part);
    let kinds: [Kind; 3] = [
        ("http_", |name| Part::Header(name.replace('_', "-"))),
        ("cookie_", |name| Part::CookieAnyCase(name.to_owned())),
        ("arg_", |name| Part::Query(name.to_owned())),
    ];
    let named = |(start, part): &Kind| Some(part(name.strip_prefix(start)?));
    kinds.iter().find_map(named)
}

fn key_of(name: &str) -> Option<Key> {
    if name == "remote_addr" {
        return Some(Key::SourceIp);
    }
    match part_of(name)? {
        Part::Header(name) => Some(Key::Header(name)),
        Part::CookieAnyCase(name) => Some(Key::Cookie(name)),
        Part::Query(name) => Some(Key::Query(name)),
        _ => None,
    }
}

/// The tests that a key of a map stands for, any of which may pass, and whether each ignores case. An
/// absent value is an empty one to nginx.
fn tests(key: &str) -> Result<Vec<(Test, bool)>, String> {
    let Some(regex) = key.strip_prefix('~') else {
        let text = key.strip_prefix('\\').unwrap_or(key);
        let absent = text.is_empty().then_some((Test::Present(false), false));
        let folds = text.bytes().any(|b| b.is_ascii_alphabetic());
        return Ok([(Test::Exact(text.to_owned()), folds)].into_iter().chain(absent).collect());
    };
    let (regex, folds) = regex.strip_prefix('*').map_or((regex, false), |regex| (regex, true));
    let test = pattern::anywhere(regex).map_err(|problem| problem.text().to_owned())?;
    let empty = regex_lite::Regex::new(regex).is_ok_and(|it| it.is_match(""));
    let folds = folds && !matches!(test, Test::Present(_));
    let absent = empty.then_some((Test::Present(false), false));
    Ok([(test, folds)].into_iter().chain(absent).collect())
}
