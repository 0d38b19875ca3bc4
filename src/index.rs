//! Finds the rules that may match a request without trying each of them.
//!
//! Every entry of a rule is filed under one thing that a request must have to match it: a value of
//! a header, a cookie or a query parameter, the header, cookie or parameter at all, a path, a prefix of
//! the path. A rule that
//! needs nothing of the kind is tried on every request. What is found here is still asked whether
//! it matches, so two things with one hash cost time, never a wrong decision.

mod candidates;
mod prefix;

use xxhash_rust::xxh64::xxh64;

use crate::config::Part;
use crate::matcher::{Matcher, Test, Text, folded};
use crate::request::{self, Request};
use crate::rule::Rule;
use crate::sorted::sorted;
pub(crate) use candidates::Candidates;
use prefix::Prefixes;

/// Trying so few rules costs less than looking them up.
const FEW: usize = 8;

// Seeds that keep parts of one text apart.
const HEADER: u64 = 1;
const COOKIE: u64 = 2;
const PATH: u64 = 3;
const HOST: u64 = 4;
const QUERY: u64 = 5;

/// The rules of a plan by what they need.
#[derive(Debug)]
pub(crate) struct Index {
    /// The rules tried on every request.
    always: Candidates,
    headers: Names,
    cookies: Names,
    queries: Names,
    /// Whether any rule needs a path as a whole.
    paths: bool,
    prefixes: Prefixes,
    /// Whether any rule needs a host.
    hosts: bool,
    /// Hashes of needs, in order, each with its rule.
    needs: Vec<(u64, u16)>,
}

/// A thing that a request must have.
enum Need<'r> {
    /// A thing with one of these hashes.
    Any(Vec<u64>),
    Prefix(&'r [u8]),
}

impl Index {
    /// The index of so many rules; `None` where it would not pay.
    pub(crate) fn new(rules: &[Rule]) -> Option<Index> {
        if rules.len() <= FEW {
            return None;
        }
        let mut index = Index {
            always: Candidates::default(),
            headers: Names::new(rules, HEADER),
            cookies: Names::new(rules, COOKIE),
            queries: Names::new(rules, QUERY),
            paths: tests(rules).any(
                |test| matches!(test, Test::Text(Part::Path, text) if text.values(false).is_some()),
            ),
            prefixes: Prefixes::default(),
            hosts: tests(rules)
                .any(|test| matches!(test, Test::Host(text) if text.values(true).is_some())),
            needs: Vec::new(),
        };
        let mut prefixes = Vec::new();
        for (rule, number) in rules.iter().zip(0..) {
            let entries = rule.entries.as_deref();
            let needs: Option<Vec<_>> = entries.and_then(|e| e.iter().map(|e| need(e)).collect());
            let Some(needs) = needs else {
                index.always.insert(number);
                continue;
            };
            for need in needs {
                match need {
                    Need::Any(hashes) => index.needs.extend(hashes.iter().map(|h| (*h, number))),
                    Need::Prefix(text) => prefixes.push((text, number)),
                }
            }
        }
        index.needs = sorted(index.needs);
        index.prefixes = Prefixes::new(prefixes);
        Some(index)
    }

    /// The rules that may match this request: all that do are among them.
    pub(crate) fn candidates(&self, request: &impl Request) -> Candidates {
        let mut found = self.always;
        if !self.headers.is_empty() {
            request.find_field_of_lengths(self.headers.lengths, |name, value| -> Option<()> {
                if let Some(name) = self.headers.find(name)
                    && let Some(value) = request::usable(value)
                {
                    self.add(name, value, &mut found);
                }
                None
            });
        }
        if !self.cookies.is_empty() {
            request::each_cookie(request, |name, value| {
                if let Some(name) = self.cookies.find(name) {
                    self.add(name, value, &mut found);
                }
            });
        }
        if !self.queries.is_empty() {
            self.add_params(request, &mut found);
        }
        if (self.paths || !self.prefixes.is_empty())
            && let Some(path) = request::path(request)
        {
            if self.paths {
                self.add_need(xxh64(path, PATH), &mut found);
            }
            self.prefixes.add(path, &mut found);
        }
        if self.hosts {
            self.add_hosts(request, &mut found);
        }
        found
    }

    #[inline(never)]
    fn add_params(&self, request: &impl Request, found: &mut Candidates) {
        request::each_param(request, |name, value| {
            if let Some(name) = self.queries.find(name) {
                self.add(name, value, found);
            }
        });
    }

    #[inline(never)]
    fn add_hosts(&self, request: &impl Request, found: &mut Candidates) {
        for host in request::authority(request).into_iter().flatten() {
            self.add_need(folded(host, HOST), found);
        }
    }

    fn add(&self, name: u64, value: &[u8], found: &mut Candidates) {
        self.add_need(name, found);
        self.add_need(xxh64(value, name), found);
    }

    fn add_need(&self, hash: u64, found: &mut Candidates) {
        let first = self.needs.partition_point(|(known, _)| *known < hash);
        let rules = self.needs.get(first..).unwrap_or_default().iter();
        for (_, rule) in rules.take_while(|(known, _)| *known == hash) {
            found.insert(*rule);
        }
    }
}

/// Finds a thing that an entry needs. A value says more than the mere presence of a header or cookie,
/// so values come first.
fn need(entry: &[Matcher]) -> Option<Need<'_>> {
    let tests = || entry.iter().filter(|matcher| !matcher.not).map(|matcher| &matcher.test);
    let valued = tests().find_map(|test| match test {
        Test::Text(Part::Path, text) => match text.prefix() {
            Some(prefix) => Some(Need::Prefix(prefix)),
            None => hashes(text, PATH),
        },
        Test::Host(text) => {
            Some(Need::Any(text.values(true)?.map(|host| folded(host, HOST)).collect()))
        }
        test => {
            let (kind, name, text) = named(test)?;
            hashes(text, xxh64(name.as_bytes(), kind))
        }
    });
    valued.or_else(|| {
        let present = |test| named(test).map(|(kind, name, _)| xxh64(name.as_bytes(), kind));
        tests().find_map(present).map(|hash| Need::Any(vec![hash]))
    })
}

fn hashes(text: &Text, seed: u64) -> Option<Need<'static>> {
    Some(Need::Any(text.values(false)?.map(|value| xxh64(value, seed)).collect()))
}

/// The name of the header, cookie or query parameter that a test looks at.
fn named(test: &Test) -> Option<(u64, &str, &Text)> {
    let Test::Text(part, text) = test else { return None };
    match part {
        Part::Cookie(name) => Some((COOKIE, name, text)),
        Part::QueryParam(name) => Some((QUERY, name, text)),
        part => part.header_name().map(|name| (HEADER, name, text)),
    }
}

fn tests(rules: &[Rule]) -> impl Iterator<Item = &Test> {
    let entries = rules.iter().filter_map(|rule| rule.entries.as_deref()).flatten();
    entries.flatten().filter(|matcher| !matcher.not).map(|matcher| &matcher.test)
}

/// The names of one kind that rules look at.
#[derive(Debug)]
struct Names {
    kind: u64,
    /// The lengths of the names: most of a request's names need no hash to be passed over.
    lengths: u64,
    hashes: Vec<u64>,
}

impl Names {
    fn new(rules: &[Rule], kind: u64) -> Names {
        let mut names = Names { kind, lengths: 0, hashes: Vec::new() };
        let named = tests(rules).filter_map(named).filter(|(known, ..)| *known == kind);
        for (_, name, _) in named {
            names.lengths |= request::length(name.len());
            names.hashes.push(xxh64(name.as_bytes(), kind));
        }
        names.hashes = sorted(names.hashes);
        names.hashes.dedup();
        names
    }

    fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// The hash of a name that a rule looks at.
    fn find(&self, name: &[u8]) -> Option<u64> {
        if self.lengths & request::length(name.len()) == 0 {
            return None;
        }
        let hash = xxh64(name, self.kind);
        self.hashes.binary_search(&hash).is_ok().then_some(hash)
    }
}

#[cfg(test)]
mod tests;
