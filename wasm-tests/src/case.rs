//! Cases as data: a configuration, requests, and what becomes of each.

use crate::message::{Request, Value};
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// A configuration and requests to it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// The filter's configuration.
    pub config: serde_json::Value,
    /// The requests.
    pub requests: Vec<Asked>,
}

/// A request and what is expected of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// What it shows.
    pub name: String,
    method: Option<String>,
    path: Option<String>,
    authority: Option<String>,
    #[serde(default)]
    headers: Vec<(String, Value)>,
    source: Option<IpAddr>,
    /// The outcome that is expected.
    pub expect: Expected,
}

/// The rule that matches and the variant it chooses; neither where no rule matches.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The rule's name.
    pub rule: Option<String>,
    /// The variant's name.
    pub variant: Option<String>,
    /// The point that is written.
    pub point: Option<u64>,
    /// The values of `baggage` that the upstream sees; not looked at where none are given.
    pub baggage: Option<Vec<Value>>,
}

impl Asked {
    /// The request itself.
    pub fn request(&self) -> Request {
        let usual = Request::default();
        Request {
            method: self.method.clone().unwrap_or(usual.method),
            path: self.path.clone().unwrap_or(usual.path),
            authority: self.authority.clone().unwrap_or(usual.authority),
            headers: self.headers.clone(),
            source: self.source,
        }
    }
}

impl Case {
    /// The cluster of a variant.
    pub fn cluster(&self, variant: &str) -> Option<&str> {
        self.config["variants"][variant]["cluster"].as_str()
    }
}

/// A configuration that is refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// A name for the mistake in it.
    pub name: String,
    config: Option<Box<RawValue>>,
    text: Option<String>,
    /// Every error, in order.
    pub errors: Vec<String>,
}

impl Refused {
    /// The configuration as the filter gets it: as it stands in the file, for the errors come in
    /// the order of its fields.
    pub fn text(&self) -> &str {
        let json = self.config.as_ref().map(|config| config.get());
        self.text.as_deref().or(json).unwrap_or_default()
    }
}

const REFUSED: &str = "refused.json";

/// The configurations that are refused.
pub fn refused() -> Result<Vec<Refused>> {
    let refused: Vec<Refused> = read(&folder().join(REFUSED))?;
    for case in &refused {
        ensure!(!case.errors.is_empty(), "{}: expects no error", case.name);
    }
    Ok(refused)
}

/// The cases that are taken, in the order of the files' names.
pub fn all() -> Result<Vec<Case>> {
    let files = fs::read_dir(folder())?.map(|file| file.map(|file| file.path()));
    let mut files: Vec<_> = files.collect::<Result<_, _>>()?;
    files.retain(|file| !file.ends_with(REFUSED));
    files.sort();
    let cases: Vec<Vec<Case>> = files.iter().map(|file| read(file)).collect::<Result<_>>()?;
    let cases: Vec<_> = cases.into_iter().flatten().collect();
    ensure!(!cases.is_empty(), "there is no case");
    for case in &cases {
        ensure!(!case.requests.is_empty(), "{}: asks nothing", case.name);
    }
    Ok(cases)
}

fn folder() -> PathBuf {
    crate::root().join("wasm-tests/cases")
}

fn read<T: DeserializeOwned>(file: &Path) -> Result<Vec<T>> {
    let shown = || file.display().to_string();
    let cases: Vec<T> =
        serde_json::from_slice(&fs::read(file).with_context(shown)?).with_context(shown)?;
    ensure!(!cases.is_empty(), "{} holds no case", shown());
    Ok(cases)
}
