//! A configuration that has been checked as a whole and made ready: from here on nothing can fail.

mod compile;

use std::fmt;
use std::sync::Arc;

use crate::config::Errors;
use crate::key::Key;
use crate::matcher::Matcher;
use crate::request::Request;
use crate::split::Split;

/// What one plugin configuration comes to. Immutable.
#[derive(Debug)]
pub struct Plan {
    pub(crate) cluster_header: Option<String>,
    pub(crate) variant_header: Option<String>,
    pub(crate) rules: Vec<Rule>,
}

/// One version of the service behind the proxy.
#[derive(Debug, PartialEq, Eq)]
pub struct Variant {
    /// Its name.
    pub name: String,
    /// The Envoy cluster that serves it, where the configuration has a `clusterHeader`.
    pub cluster: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) name: String,
    /// Entries (OR) of conditions (AND); `None` matches every request.
    entries: Option<Vec<Vec<Matcher>>>,
    pub(crate) action: Action,
}

#[derive(Debug)]
pub(crate) enum Action {
    To(Arc<Variant>),
    Split(Split, Option<Key>),
}

impl Plan {
    /// Reads, checks and compiles a configuration.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its path and what would be right.
    pub fn compile(config: &[u8]) -> Result<Plan, Errors> {
        compile::compile(config)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.rules.iter().map(|rule| rule.name.as_str()).collect();
        match names.as_slice() {
            [] => write!(f, "no rules"),
            names => write!(f, "rules {}", names.join(", ")),
        }
    }
}

impl Rule {
    pub(crate) fn matches(&self, request: &impl Request) -> bool {
        self.entries.as_ref().is_none_or(|entries| {
            entries.iter().any(|entry| entry.iter().all(|matcher| matcher.matches(request)))
        })
    }
}
