//! Higress' plugin `traffic-tag`: groups of conditions in order, then weights, then a default. Its tag
//! is the variant, in the header that it always had.

use super::form::{
    Action, Condition, Destination, Engine, Entry, Host, Imported, Key, Name, Part, Remark, Route,
    Source, Split, Test,
};
use super::ingress::scalar;
use super::istio::text;
use super::pattern;
use crate::document::{Node, Value};

/// Whether an object is a configuration of the plugin.
pub fn is(node: &Node) -> bool {
    node.get("conditionGroups").is_some() || node.get("weightGroups").is_some()
}

/// Translates a configuration of the plugin.
pub fn import(source: Source<'_>, node: &Node) -> Imported {
    let mut import = Import { source, header: None, remarks: Vec::new(), routes: Vec::new() };
    let default = text(node, &["defaultTagVal"]);
    import.header = text(node, &["defaultTagKey"]).filter(|_| default.is_some());
    for (place, group) in
        node.get("conditionGroups").map_or(&[][..], Node::elements).iter().enumerate()
    {
        import.group(group, &format!("conditionGroups[{place}]"));
    }
    import.weights(node, default);
    let host = Host { name: Name::Any, routes: import.routes };
    Imported { hosts: vec![host], remarks: import.remarks, header: import.header }
}

struct Import<'s> {
    source: Source<'s>,
    header: Option<String>,
    remarks: Vec<Remark>,
    routes: Vec<Route>,
}

impl Import<'_> {
    fn lost(&mut self, node: &Node, at: &str, text: &str) {
        self.remarks.push(self.source.lost(node, at, text));
    }

    /// The variant of a tag. The filter writes one header, so others are lost.
    fn tag(&mut self, group: &Node, at: &str) -> Option<Destination> {
        let value = group.get("headerValue").and_then(scalar)?;
        match (text(group, &["headerName"]), &self.header) {
            (Some(name), Some(known)) if !name.eq_ignore_ascii_case(known) => {
                let text = format!(
                    "the filter names the variant in one header, {known}; split the rules by header"
                );
                self.lost(group, &format!("{at}.headerName"), &text);
            }
            (Some(name), None) => self.header = Some(name),
            _ => {}
        }
        Some(Destination { service: value, ..Destination::default() })
    }

    fn group(&mut self, group: &Node, at: &str) {
        let Some(to) = self.tag(group, at) else { return };
        let is_and = text(group, &["logic"]).as_deref() == Some("and");
        let mut alternatives: Vec<(Entry, Option<(Key, f64)>)> = Vec::new();
        let mut all = (Entry::new(), None);
        for (place, node) in
            group.get("conditions").map_or(&[][..], Node::elements).iter().enumerate()
        {
            let at = format!("{at}.conditions[{place}]");
            let asked = match asked(node) {
                Ok(asked) => asked,
                Err(why) => {
                    self.lost(node, &at, &format!("{why}; no request meets it here"));
                    if is_and {
                        return;
                    }
                    continue;
                }
            };
            if matches!(&asked, Asked::Condition(it) if it.not) {
                self.lost(node, &at, "a request without this value meets it here, and did not there; add a rule for them before this one");
            }
            match asked {
                Asked::Condition(condition) if is_and => {
                    if all.0.iter().any(|known| known.part == condition.part) {
                        return self.lost(node, &at, "the filter asks one condition of a value; no request meets the group here");
                    }
                    all.0.push(condition);
                }
                Asked::Share(key, share) if is_and => {
                    if all.1.replace((key, share)).is_some() {
                        return self.lost(
                            node,
                            &at,
                            "two percentages in one group; no request meets the group here",
                        );
                    }
                }
                Asked::Condition(condition) => alternatives.push((vec![condition], None)),
                Asked::Share(key, share) => alternatives.push((Entry::new(), Some((key, share)))),
            }
        }
        if is_and && (!all.0.is_empty() || all.1.is_some()) {
            alternatives.push(all);
        }
        for (entry, share) in alternatives {
            let action = match share {
                None => Action::To(to.clone()),
                Some((key, share)) => Action::Split(Split {
                    weights: vec![(to.clone(), share)],
                    engine: Some(Engine { key, name: "higress", settings: Vec::new() }),
                    ..Split::default()
                }),
            };
            self.route(group.line, to.service.clone(), entry, action);
        }
    }

    fn route(&mut self, line: usize, title: String, entry: Entry, action: Action) {
        let (entries, remarks) = (vec![entry], std::mem::take(&mut self.remarks));
        let place = self.source.place(line);
        self.routes.push(Route { title, entries, action, remarks, place, services: Vec::new() });
    }

    fn weights(&mut self, node: &Node, default: Option<String>) {
        let mut weights = Vec::new();
        let groups = node.get("weightGroups").map_or(&[][..], Node::elements);
        for (place, group) in groups.iter().enumerate() {
            let tag = self.tag(group, &format!("weightGroups[{place}]"));
            if let (Some(to), Some(Value::Number(weight))) =
                (tag, group.get("weight").map(|it| &it.value))
            {
                weights.push((to, *weight));
            }
        }
        let taken: f64 = weights.iter().map(|(_, weight)| weight).sum();
        let rest = (100.0 - taken).max(0.0);
        match default {
            Some(tag) => {
                weights.push((Destination { service: tag, ..Destination::default() }, rest))
            }
            None if !weights.is_empty() && rest > 0.0 => {
                self.lost(node, "weightGroups", "the rest got no tag there, and the variant untagged here; route it as you route requests without a tag");
                let service = "untagged".to_owned();
                weights.push((Destination { service, ..Destination::default() }, rest));
            }
            None => {}
        }
        weights.retain(|(_, weight)| *weight > 0.0);
        if let Some(action) = Action::weighted(weights) {
            let title = match &action {
                Action::To(to) => to.service.clone(),
                Action::Split(_) => "weights".to_owned(),
            };
            self.route(node.line, title, Entry::new(), action);
        }
    }
}

/// The question of a condition.
enum Asked {
    Condition(Condition),
    /// The percentage of the clients with this key.
    Share(Key, f64),
}

fn asked(node: &Node) -> Result<Asked, String> {
    let key = text(node, &["key"]).ok_or("it has no key")?;
    let values: Vec<String> =
        node.get("value").map_or(&[][..], Node::elements).iter().filter_map(scalar).collect();
    let first = values.first().cloned().ok_or("it has no value")?;
    let (part, key) = match text(node, &["conditionType"]).as_deref() {
        Some("header") => {
            let name = key.to_ascii_lowercase();
            (Part::Header(name.clone()), Key::Header(name))
        }
        Some("cookie") => (Part::Cookie(key.clone()), Key::Cookie(key)),
        Some("parameter") => (Part::Query(key.clone()), Key::Query(key)),
        other => return Err(format!("conditionType {}", other.unwrap_or("is missing"))),
    };
    let (test, not) = match text(node, &["operator"]).as_deref() {
        Some("equal") => (Test::Exact(first), false),
        Some("not_equal") => (Test::Exact(first), true),
        Some("prefix") if first.is_empty() => (Test::Present(true), false),
        Some("prefix") => (Test::Prefix(first), false),
        Some("in") => (one_of(values), false),
        Some("not_in") => (one_of(values), true),
        Some("regex") => {
            let test = pattern::anywhere(&first);
            (test.map_err(|problem| format!("the pattern: {}", problem.text()))?, false)
        }
        Some("percentage") => {
            let share =
                first.parse::<u8>().map_err(|_| "the percentage is no integer".to_owned())?;
            if share == 0 {
                return Err("a percentage of 0 has no clients".to_owned());
            }
            return Ok(Asked::Share(key, f64::from(share.min(100))));
        }
        other => return Err(format!("operator {}", other.unwrap_or("is missing"))),
    };
    Ok(Asked::Condition(Condition { not, ..Condition::new(part, test) }))
}

fn one_of(mut values: Vec<String>) -> Test {
    match values.len() {
        1 => Test::Exact(values.remove(0)),
        _ => Test::In(values),
    }
}
