//! Rules that are ready to be asked: what they match, and what they do with what matches.

use std::sync::Arc;

use crate::config::Mode;
use crate::key::Key;
use crate::layer::Slice;
use crate::matcher::Matcher;
use crate::overrides::Override;
use crate::persist::Persist;
use crate::request::Request;
use crate::split::Split;
use crate::variant::Target;

/// A rule that is ready to be asked.
#[derive(Debug)]
pub struct Rule {
    pub(crate) name: Arc<str>,
    /// Entries (OR) of conditions (AND); `None` matches every request.
    pub(crate) entries: Option<Vec<Vec<Matcher>>>,
    /// The conditions on a client whose request matches.
    pub(crate) gate: Option<Box<Gate>>,
    /// How a client is recognised.
    pub(crate) key: Option<Key>,
    /// Whether its decisions are carried out.
    pub(crate) mode: Mode,
    pub(crate) action: Action,
}

/// The conditions on a client whose request matches, before the rule acts.
#[derive(Debug)]
pub(crate) struct Gate {
    /// The variants that the client may force, wherever it belongs otherwise.
    pub(crate) overrides: Option<Override>,
    /// The clients that the rule may take; `None` for all.
    pub(crate) slice: Option<Slice>,
}

#[derive(Debug)]
pub(crate) enum Action {
    To(Arc<Target>),
    Split(Box<Allocation>),
    /// A split by the buckets of a flag engine.
    Engine(Box<Allocation>),
    Route(Box<Route>),
    /// The variant of a hold, which takes the place of what the rule says.
    Hold(Arc<Target>),
}

/// A split with all that keeps or changes it.
#[derive(Debug)]
pub(crate) struct Allocation {
    pub(crate) split: Split,
    /// XXH64 of the salt.
    pub(crate) seed: u64,
    pub(crate) persist: Option<Persist>,
    /// The place of the ramp whose split is used instead.
    pub(crate) ramp: Option<usize>,
    /// The place of its guard.
    pub(crate) guard: Option<usize>,
}

/// A split whose weights the route has: a client gets a point, and Envoy chooses by it.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) target: Arc<Target>,
    /// XXH64 of the salt.
    pub(crate) seed: u64,
    /// Keeps the point.
    pub(crate) persist: Option<Persist>,
    /// The place of its guard.
    pub(crate) guard: Option<usize>,
}

impl Rule {
    /// The clients that it may take; `None` for all.
    pub(crate) fn slice(&self) -> Option<&Slice> {
        self.gate.as_ref()?.slice.as_ref()
    }

    /// The variants that clients may force.
    pub fn overrides(&self) -> Option<&Override> {
        self.gate.as_ref()?.overrides.as_ref()
    }

    /// Its split, where it has one with weights.
    pub(crate) fn allocation(&self) -> Option<&Allocation> {
        match &self.action {
            Action::To(_) | Action::Route(_) | Action::Hold(_) => None,
            Action::Split(allocation) | Action::Engine(allocation) => Some(allocation),
        }
    }

    /// Whether a request meets its `match`; its slice and its key are another matter.
    ///
    /// ```
    /// use traffic_split::{HeaderList, Plan};
    ///
    /// let config = br#"{ "variantHeader": "x-v", "variants": { "canary": {} }, "rules": [
    ///     { "name": "all", "to": "canary", "match": [{ "path": { "prefix": "/a" } }] }] }"#;
    /// let plan = Plan::compile(config, &|_| None).unwrap();
    /// let matches = |path: &str| plan.rules()[0].matches(&HeaderList::new([(":path", path)]));
    /// assert!(matches("/a/b") && !matches("/b"));
    /// ```
    pub fn matches(&self, request: &impl Request) -> bool {
        self.entries.is_none() || self.missed(request).any(|missed| missed.is_none())
    }

    /// The first condition that the request does not meet, for each entry of `match`.
    pub(crate) fn missed(&self, request: &impl Request) -> impl Iterator<Item = Option<usize>> {
        let entries = self.entries.iter().flatten();
        entries.map(|entry| entry.iter().position(|matcher| !matcher.matches(request)))
    }
}
