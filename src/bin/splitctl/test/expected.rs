//! Expectations, and the destinations that their names stand for.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use traffic_split::HeaderList;

use crate::check::Checked;
use crate::routes::Routes;

/// A file of expectations.
pub struct File {
    pub name: String,
    /// Names used in the file, what each stands for, and its line.
    pub variants: Vec<(String, String, usize)>,
    pub expectations: Vec<Expectation>,
}

/// A request, and where it has to go.
pub struct Expectation {
    pub line: usize,
    pub request: HeaderList,
    pub answer: Expected,
    pub per: Per,
    /// The time at which ramps are evaluated, in seconds since 1970, if it is not that of the run.
    pub at: Option<u64>,
    pub note: Option<String>,
}

pub enum Expected {
    /// This variant, or none if no rule may match.
    Goes(Option<String>),
    /// The share of each variant, 0 to 1.
    Shares(Vec<(String, f64)>),
    /// Nothing that can be tested, for this reason.
    Skipped(String),
}

/// The one for whom a share is drawn once.
#[derive(Clone, Copy, PartialEq)]
pub enum Per {
    Request,
    User,
}

/// The name for a request that no rule decides.
pub const NONE: &str = "none";

impl Expected {
    fn names(&self) -> Vec<&str> {
        match self {
            Expected::Goes(name) => name.iter().map(String::as_str).collect(),
            Expected::Shares(shares) => shares.iter().map(|(name, _)| name.as_str()).collect(),
            Expected::Skipped(_) => Vec::new(),
        }
    }
}

/// The variants of a configuration, or the entries of its route.
pub struct Destinations {
    file: String,
    /// Names, and the cluster of a variant that has one.
    known: Vec<(String, Option<String>)>,
}

/// The destination that each name of a file of expectations stands for.
pub type Names = BTreeMap<String, String>;

impl Destinations {
    pub fn new(checked: &Checked, routes: &Routes, file: &str) -> Self {
        let variants = checked.config.variants.iter();
        let variants = variants.map(|variant| (variant.name.clone(), variant.cluster.clone()));
        let entries = routes.all.iter().flat_map(|route| route.shares());
        let entries = entries.map(|(name, _)| (name.to_owned(), None));
        Destinations { file: file.to_owned(), known: variants.chain(entries).collect() }
    }

    /// Finds what the names of a file stand for.
    ///
    /// # Errors
    /// A name that stands for nothing: a misspelt name would otherwise be a request that goes
    /// elsewhere.
    pub fn rename(&self, file: &File) -> Result<Names> {
        let mut names = Names::new();
        for expectation in &file.expectations {
            for name in expectation.answer.names() {
                let listed = file.variants.iter().find(|(known, ..)| known == name);
                let (meant, line) =
                    listed.map_or((name, expectation.line), |(_, meant, line)| (meant, *line));
                let Some(found) = self.find(name).or_else(|| self.find(meant)) else {
                    let known: Vec<_> = self.known.iter().map(|(name, _)| name.as_str()).collect();
                    bail!(
                        "{}:{line}: {meant:?} is no variant of {}; there are: {}",
                        file.name,
                        self.file,
                        known.join(", ")
                    );
                };
                names.insert(name.to_owned(), found.to_owned());
            }
        }
        Ok(names)
    }

    /// The destination of this name or cluster; a service may have its port, and a subset its host.
    fn find(&self, text: &str) -> Option<&str> {
        spellings(text).into_iter().find_map(|text| {
            let named = |(name, cluster): &&(String, Option<String>)| {
                *name == text || cluster.as_ref() == Some(&text)
            };
            self.known.iter().find(named).map(|(name, _)| name.as_str())
        })
    }
}

/// A destination as it stands, `web:80` without its port, and `web subset v1` as the names that it may
/// have: `web-v1`, `web/v1`, `v1`.
fn spellings(text: &str) -> Vec<String> {
    let mut found = vec![text.to_owned()];
    if let Some((host, port)) = text.rsplit_once(':')
        && port.bytes().all(|b| b.is_ascii_digit())
    {
        found.push(host.to_owned());
    }
    match text.split_whitespace().collect::<Vec<_>>().as_slice() {
        [host, "subset", subset] => {
            found.extend([format!("{host}-{subset}"), format!("{host}/{subset}")]);
            found.push((*subset).to_owned());
        }
        ["tag", tag] => found.push((*tag).to_owned()),
        _ => {}
    }
    found
}
