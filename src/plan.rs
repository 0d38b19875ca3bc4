//! A configuration that has been checked as a whole and made ready: from here on nothing can fail.

mod candidates;
mod compile;
mod condition;
mod index;
mod prefix;
#[cfg(any(test, target_arch = "wasm32"))]
mod response;
mod split;
mod sticky;

use std::fmt;
use std::sync::Arc;

use crate::config::{Errors, MetricsLevel};
use crate::cookie::Cookie;
use crate::guard::Guard;
use crate::identity::Issue;
use crate::key::Key;
use crate::layer::Slice;
use crate::matcher::Matcher;
use crate::metrics::{Metrics, TargetMetrics};
use crate::ramp::Ramp;
use crate::request::Request;
use crate::split::Split;
use candidates::Candidates;
use index::Index;

/// What one plugin configuration comes to. Immutable.
#[derive(Debug)]
pub struct Plan {
    pub(crate) cluster_header: Option<String>,
    pub(crate) variant_header: Option<String>,
    pub(crate) rules: Vec<Rule>,
    index: Option<Index>,
    /// Every cookie that issues identities, once.
    pub(crate) issues: Vec<Arc<Issue>>,
    pub(crate) ramps: Vec<Ramp>,
    pub(crate) guards: Vec<Guard>,
    /// Whether any rule is only tried.
    pub(crate) shadows: bool,
    /// Whether nothing is rewritten.
    pub(crate) shadow: bool,
    pub(crate) metrics_level: MetricsLevel,
    pub(crate) metrics: Metrics,
    /// A number that stands for the configuration: proxies that run the same have the same.
    pub(crate) generation: u32,
    pub(crate) debug_header: Option<String>,
}

/// One version of the service behind the proxy.
#[derive(Debug, PartialEq, Eq)]
pub struct Variant {
    /// Its name.
    pub name: String,
    /// The Envoy cluster that serves it, where the configuration has a `clusterHeader`.
    pub cluster: Option<String>,
}

/// One rule, ready to be asked.
#[derive(Debug)]
pub struct Rule {
    pub(crate) name: Arc<str>,
    /// Entries (OR) of conditions (AND); `None` matches every request.
    entries: Option<Vec<Vec<Matcher>>>,
    /// The clients that the rule may take; `None` for all.
    pub(crate) slice: Option<Slice>,
    /// How a client is recognised.
    pub(crate) key: Option<Key>,
    /// Whether the rule is only tried.
    pub(crate) shadow: bool,
    pub(crate) action: Action,
}

/// A variant of a rule.
#[derive(Debug)]
pub(crate) struct Target {
    /// The rule's name.
    pub(crate) rule: Arc<str>,
    pub(crate) variant: Arc<Variant>,
    pub(crate) metrics: TargetMetrics,
    /// The place of the guard that counts its responses.
    pub(crate) guard: Option<usize>,
}

#[derive(Debug)]
pub(crate) enum Action {
    To(Arc<Target>),
    Split(Box<Sharing>),
}

/// A split with all that keeps or changes it.
#[derive(Debug)]
pub(crate) struct Sharing {
    pub(crate) split: Split,
    /// XXH64 of the salt.
    pub(crate) seed: u64,
    pub(crate) persist: Option<Persist>,
    /// The place of the ramp whose split is used instead.
    pub(crate) ramp: Option<usize>,
    /// The place of its guard.
    pub(crate) guard: Option<usize>,
}

/// A cookie that keeps an assignment.
#[derive(Debug)]
pub(crate) struct Persist {
    pub(crate) cookie: Cookie,
    /// Whether a variant of weight 0 keeps its clients.
    pub(crate) drain: bool,
}

impl Plan {
    /// Reads, checks and compiles a configuration. `env` looks up an environment variable: signing
    /// keys are kept there.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its path and what would be right.
    pub fn compile(config: &[u8], env: &dyn Fn(&str) -> Option<String>) -> Result<Plan, Errors> {
        compile::compile(config, env)
    }

    /// Whether anything of it changes after a time, in Unix seconds: a ramp that is not at its end,
    /// or what a guard may do.
    pub fn changes(&self, now: u64) -> bool {
        !self.guards.is_empty() || self.ramps.iter().any(|ramp| now < ramp.end())
    }

    /// The metrics to define before it is put to work.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The rules that may match a request, in order: all that do are among them.
    pub(crate) fn candidates(&self, request: &impl Request) -> impl Iterator<Item = &Rule> {
        let index = self.index.as_ref();
        let found = index.map_or(Candidates::ALL, |index| index.candidates(request));
        found.iter().map_while(|rule| self.rules.get(rule))
    }
}

/// Rules named in the line that tells of a plan.
const NAMED: usize = 16;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.rules.iter().take(NAMED).map(|rule| &*rule.name).collect();
        if names.is_empty() {
            return write!(f, "no rules");
        }
        write!(f, "rules {}", names.join(", "))?;
        match self.rules.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl Rule {
    /// Its split, where it has one.
    pub(crate) fn sharing(&self) -> Option<&Sharing> {
        match &self.action {
            Action::To(_) => None,
            Action::Split(sharing) => Some(sharing),
        }
    }

    pub(crate) fn matches(&self, request: &impl Request) -> bool {
        self.entries.is_none() || self.missed(request).any(|missed| missed.is_none())
    }

    /// For each entry of `match`, the first condition that the request does not meet.
    pub(crate) fn missed(&self, request: &impl Request) -> impl Iterator<Item = Option<usize>> {
        let entries = self.entries.iter().flatten();
        entries.map(|entry| entry.iter().position(|matcher| !matcher.matches(request)))
    }
}
