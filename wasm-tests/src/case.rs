//! Cases as data: a configuration, requests, and what becomes of each.

use crate::message::{Request, Value};
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::fs;
use std::net::IpAddr;

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
    /// What is expected.
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

/// Every case of every file in `wasm-tests/cases/`, in the order of the files' names.
pub fn all() -> Result<Vec<Case>> {
    let folder = crate::root().join("wasm-tests/cases");
    let files = fs::read_dir(&folder)?.map(|file| file.map(|file| file.path()));
    let mut files: Vec<_> = files.collect::<Result<_, _>>()?;
    files.sort();
    let mut cases: Vec<Case> = Vec::new();
    for file in files {
        let read: Vec<Case> = serde_json::from_slice(&fs::read(&file)?)
            .with_context(|| file.display().to_string())?;
        cases.extend(read);
    }
    ensure!(!cases.is_empty(), "{} holds no case", folder.display());
    Ok(cases)
}
