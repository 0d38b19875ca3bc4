//! The warnings of `splitctl validate`: what a valid configuration says, and surely does not mean.

mod cover;
mod impossible;
mod neighbours;
mod network;
mod operand;
mod placeholder;
mod regex;
mod resources;
mod routing;
mod rule;
mod salt;
mod subsets;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod trust;
mod workload;

use serde::Serialize;
use traffic_split::config::{ActionSpec, Config};

use crate::check::Checked;
use crate::document::Node;
use crate::output::one_line;

pub use resources::{Source, across};
pub use table::{Lint, TABLE};

/// A warning, and its place in a file.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    pub file: String,
    pub line: usize,
    /// The path in the configuration; empty where the warning is about a resource.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The name of its lint.
    pub lint: &'static str,
    pub message: String,
    pub remedy: &'static str,
}

/// A warning about a configuration, wherever that is.
#[derive(Debug)]
pub struct Finding {
    pub lint: Lint,
    pub path: String,
    pub message: String,
}

/// The circumstances under which a configuration runs.
#[derive(Clone, Copy, Default)]
pub struct Circumstances {
    /// The requests a second that a rule gets in one proxy, if they are known.
    pub rate: Option<f64>,
    /// Whether clients come without TLS, so that a cookie cannot be `secure`.
    pub is_plain: bool,
}

impl Finding {
    pub fn new(lint: Lint, path: impl Into<String>, message: impl Into<String>) -> Self {
        Finding { lint, path: path.into(), message: message.into() }
    }

    /// The warning at the place of this finding in a file.
    pub fn at(self, file: &str, tree: &Node) -> Warning {
        let line = tree.find(&self.path).line;
        Warning { path: self.path, ..Warning::new(self.lint, file, line, self.message) }
    }
}

impl Warning {
    /// A warning about a resource.
    pub fn new(lint: Lint, file: &str, line: usize, message: String) -> Self {
        // Resources may have any name.
        let (file, path, message) = (file.to_owned(), String::new(), one_line(&message));
        Warning { file, line, path, lint: lint.name(), message, remedy: lint.remedy() }
    }

    /// Writes the warning in one line as compilers do, so that editors find its place.
    pub fn display(&self) -> String {
        let Warning { file, line, path, lint, message, remedy, .. } = self;
        let path = if path.is_empty() { String::new() } else { format!("{path}: ") };
        format!("{file}:{line}: warning: {path}{message}; {remedy} [{lint}]")
    }
}

/// The warnings about one configuration by itself.
pub fn of(checked: &Checked, circumstances: Circumstances) -> Vec<Finding> {
    let config = &checked.config;
    let mut found = cover::unreachable(config);
    found.extend(unused(config));
    for rule in &config.rules {
        let conditions = rule.entries.iter().flatten().flatten();
        found.extend(conditions.flat_map(impossible::find));
        found.extend(rule::find(rule, checked, circumstances));
        found.extend(trust::find(rule));
    }
    found
}

/// The variants that no rule names. A route with weights has names of its own, which the clusters of
/// variants are compared with.
fn unused(config: &Config) -> Vec<Finding> {
    let by_route = config.rules.iter().any(|r| matches!(r.action, Some(ActionSpec::Route(_))));
    let is_used = |name: &str| {
        let forced = config.rules.iter().filter_map(|rule| rule.overrides.as_ref());
        forced.flat_map(|it| &it.variants).any(|known| known == name)
            || config.rules.iter().any(|rule| match &rule.action {
                Some(ActionSpec::To(variant)) => variant == name,
                Some(ActionSpec::Split(split)) => {
                    let weights = split.weights.iter().chain(split.history.iter().flatten());
                    let mut names = weights.map(|it| it.variant.as_str());
                    names.any(|known| known == name) || split.otherwise.as_deref() == Some(name)
                }
                Some(ActionSpec::Route(route)) => {
                    route.guard.as_ref().is_some_and(|it| it.watch == name || it.fallback == name)
                }
                None => false,
            })
    };
    let is_compared = |cluster: &Option<String>| by_route && cluster.is_some();
    let unused = config.variants.iter().filter(|variant| {
        let is_held = config.hold.as_ref() == Some(&variant.name);
        !(is_held || is_used(&variant.name) || is_compared(&variant.cluster))
    });
    unused
        .map(|variant| {
            let path = format!("variants.{}", variant.name);
            Finding::new(Lint::UnusedVariant, path, "no rule sends anyone to it")
        })
        .collect()
}
