//! The files given with `-f`, and the configurations chosen in them.

use std::collections::BTreeSet;
use std::fmt;
use std::io::Read;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::check::{Checked, check};
use crate::document::{self, Node};
use crate::plugin::{self, Plugin};

/// The choice of a configuration among those of a file.
#[derive(Args)]
pub struct Choice {
    /// The name of the plugin to use, if the file has several; NAMESPACE/NAME if several have it
    #[arg(long, value_name = "NAME")]
    pub plugin: Option<String>,
}

/// A file and the configurations found in it.
pub struct File {
    /// Its name as given, with which errors begin.
    pub name: String,
    pub plugins: Vec<Plugin>,
    /// The kinds of its documents, to be told where none of them has a configuration.
    others: String,
    is_readable: bool,
}

/// The error that a configuration is not valid. Its exit code is 1, where other errors have 2.
#[derive(Debug)]
pub struct Invalid(String);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Invalid {}

impl Choice {
    /// Reads a file, and keeps the plugins that are chosen.
    pub fn read(&self, path: &str) -> Result<File> {
        let mut file = File::read(path)?;
        let known = titles(&file.plugins);
        if file.plugins.is_empty() {
            bail!(
                "{}: no configuration found{}; give one as JSON or YAML, or a WasmPlugin, \
                 TrafficExtension, EnvoyExtensionPolicy, EnvoyFilter or Envoy bootstrap that has one",
                file.name,
                file.others
            );
        }
        if let Some(name) = self.plugin.as_ref().filter(|_| file.is_readable) {
            file.plugins.retain(|plugin| plugin.is_called(name));
            if file.plugins.is_empty() {
                bail!("{}: no plugin is named {name:?}; found: {known}", file.name);
            }
        }
        Ok(file)
    }

    /// Reads a file, and returns its only chosen configuration, valid and at this time, in seconds
    /// since 1970.
    pub fn read_one(&self, path: &str, now: u64) -> Result<Checked> {
        let file = self.read(path)?;
        file.only().and_then(|plugin| checked(&file.name, plugin, now))
    }

    /// Reads a file, and returns its only chosen configuration, or all that run in one chain of Istio, in
    /// their order.
    pub fn read_chain(&self, path: &str, now: u64) -> Result<Vec<(Plugin, Checked)>> {
        let mut file = self.read(path)?;
        if !is_chain(&file.plugins) {
            file.only()?;
        }
        file.plugins.sort_by(|a, b| a.place.order(&b.place).then_with(|| a.name.cmp(&b.name)));
        let checked = |plugin| Ok((checked(&file.name, &plugin, now)?, plugin));
        let checked: Result<Vec<_>> = file.plugins.into_iter().map(checked).collect();
        Ok(checked?.into_iter().map(|(checked, plugin)| (plugin, checked)).collect())
    }
}

/// Whether Istio gives one proxy all of these plugins.
fn is_chain(plugins: &[Plugin]) -> bool {
    let is_istios = |plugin: &Plugin| ["WasmPlugin", "TrafficExtension"].contains(&plugin.kind);
    let meets = |a: &Plugin| plugins.iter().all(|b| a.place.meets(&b.place));
    plugins.iter().all(|plugin| is_istios(plugin) && meets(plugin))
}

/// The configuration of a plugin, valid and at this time, in seconds since 1970.
pub fn checked(file: &str, plugin: &Plugin, now: u64) -> Result<Checked> {
    check(plugin).map(|checked| checked.when(now)).map_err(|mistakes| {
        let lines: Vec<_> = mistakes.iter().map(|m| m.display(file)).collect();
        Invalid(lines.join("\n")).into()
    })
}

impl File {
    /// Its only plugin.
    fn only(&self) -> Result<&Plugin> {
        match self.plugins.as_slice() {
            [plugin] => Ok(plugin),
            plugins => bail!(
                "{}: {} plugins found, choose one with --plugin NAME: {}",
                self.name,
                plugins.len(),
                titles(plugins)
            ),
        }
    }

    fn read(path: &str) -> Result<File> {
        let (name, text) = match path {
            "-" => ("standard input", read_stdin()),
            path => (path, std::fs::read_to_string(path)),
        };
        let text = text.with_context(|| format!("cannot read {name}"))?;
        let (plugins, others, is_readable) = match parse(&text) {
            Ok(documents) => (plugin::find(&documents, &text), kinds(&documents), true),
            Err((line, problem)) => (vec![Plugin::unreadable(line, problem)], String::new(), false),
        };
        Ok(File { name: name.to_owned(), plugins, others, is_readable })
    }
}

/// The kinds of these documents, as in ` in Deployment, Service`.
fn kinds(documents: &[Node]) -> String {
    let kind = |document: &Node| Some(document.get("kind")?.text()?.escape_debug().to_string());
    let kinds: BTreeSet<_> = documents.iter().filter_map(kind).collect();
    match kinds.is_empty() {
        true => String::new(),
        false => format!(" in {}", kinds.into_iter().collect::<Vec<_>>().join(", ")),
    }
}

/// Reads the documents of a file. An error has its line and its message.
fn parse(text: &str) -> Result<Vec<Node>, (usize, String)> {
    let mut start = text.trim_start().chars();
    if start.next() == Some('{') && start.as_str().trim_start().starts_with('"') {
        // The file is meant as JSON, which unlike YAML refuses a comma after the last field.
        if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text) {
            return Err((error.line(), format!("Invalid value: not JSON ({error})")));
        }
    }
    document::parse(text).map_err(|error| {
        let message: String = error.message.chars().flat_map(printable).collect();
        (error.line, format!("Invalid value: not YAML ({message})"))
    })
}

/// Escapes a control character, so that an error is one line.
fn printable(c: char) -> Vec<char> {
    if c.is_control() { c.escape_default().collect() } else { vec![c] }
}

fn read_stdin() -> std::io::Result<String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

fn titles(plugins: &[Plugin]) -> String {
    let title = |plugin: &Plugin| format!("{} (line {})", plugin.full_title(), plugin.line);
    plugins.iter().map(title).collect::<Vec<_>>().join(", ")
}
