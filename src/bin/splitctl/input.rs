//! The files given with `-f`, and the configurations chosen in them.

use std::collections::BTreeSet;
use std::io::Read;
use std::{fmt, fs};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::check::{Checked, check};
use crate::discovery;
use crate::document::{self, Node};
use crate::folder;
use crate::output::one_line;
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
    /// All documents, also those without a configuration; none if the file cannot be read.
    pub documents: Vec<Node>,
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
    /// Reads files and folders, and keeps the plugins that are chosen. A file without a configuration is
    /// no mistake if another one has one.
    pub fn read_all(&self, paths: &[String]) -> Result<Vec<File>> {
        let mut files = Vec::new();
        for path in paths {
            for path in folder::files(path)? {
                files.push(File::read(&path)?);
            }
        }
        let is_readable = |file: &File| file.is_readable;
        if files.iter().flat_map(|file| &file.plugins).any(Plugin::is_ours) {
            let several = files.len() > 1;
            for file in files.iter_mut().filter(|file| several && file.is_readable) {
                file.plugins.retain(Plugin::is_ours);
            }
        }
        if files.iter().all(|file| file.plugins.is_empty()) {
            let name = match files.as_slice() {
                [file] => file.name.clone(),
                _ => paths.join(", "),
            };
            let discovered =
                files.iter().flat_map(|file| &file.documents).flat_map(discovery::files);
            if let Some(path) = discovered.into_iter().next() {
                bail!(
                    "{name}: no configuration found; Envoy reads the filter from {path} \
                     (config_discovery): give that file"
                );
            }
            let others =
                files.iter().map(|file| file.others.as_str()).find(|others| !others.is_empty());
            bail!(
                "{name}: no configuration found{}; give one as JSON or YAML, or a WasmPlugin, \
                 TrafficExtension, EnvoyExtensionPolicy, EnvoyFilter or Envoy bootstrap that has one",
                others.unwrap_or_default()
            );
        }
        if let Some(name) = self.plugin.as_ref().filter(|_| files.iter().all(is_readable)) {
            let known = titles(&files);
            for file in &mut files {
                file.plugins.retain(|plugin| plugin.is_called(name));
            }
            if files.iter().all(|file| file.plugins.is_empty()) {
                let names: Vec<_> = files.iter().map(|file| file.name.as_str()).collect();
                bail!("{}: no plugin is named {name:?}; found: {known}", names.join(", "));
            }
        }
        Ok(files)
    }

    /// Reads a file or a folder, and returns its only chosen configuration, valid and at this time, in
    /// seconds since 1970.
    pub fn read_one(&self, path: &str, now: u64) -> Result<Checked> {
        let files = self.read_all(&[path.to_owned()])?;
        let (file, plugin) = only(path, &files)?;
        checked(&file.name, plugin, now)
    }

    /// Reads a file or a folder, and returns its only chosen configuration, or all that run in one
    /// chain, in their order.
    pub fn read_chain(&self, path: &str, now: u64) -> Result<Vec<(Plugin, Checked)>> {
        let files = self.read_all(&[path.to_owned()])?;
        let count = files.iter().flat_map(|file| &file.plugins).count();
        if count != 1 && !is_chain(&files) {
            bail!(
                "{}: {count} plugins found that are not of one chain; choose one with --plugin NAME: {}",
                shown(path),
                titles(&files)
            );
        }
        let named = |file: File| {
            let name = file.name;
            file.plugins.into_iter().map(move |plugin| (name.clone(), plugin))
        };
        let mut plugins: Vec<_> = files.into_iter().flat_map(named).collect();
        plugins.sort_by(|(_, a), (_, b)| a.place.order(&b.place).then_with(|| a.name.cmp(&b.name)));
        let checked = |(file, plugin): (String, Plugin)| {
            let checked = checked(&file, &plugin, now)?;
            Ok((plugin, checked))
        };
        plugins.into_iter().map(checked).collect()
    }
}

/// The only plugin of these files, which were read from a path.
fn only<'f>(path: &str, files: &'f [File]) -> Result<(&'f File, &'f Plugin)> {
    let plugins: Vec<_> = files
        .iter()
        .flat_map(|file| file.plugins.iter().map(move |plugin| (file, plugin)))
        .collect();
    match plugins.as_slice() {
        [only] => Ok(*only),
        several => bail!(
            "{}: {} plugins found, and this command decides by one (`splitctl explain` runs a chain of \
             them); choose it with --plugin NAME: {}",
            shown(path),
            several.len(),
            titles(files)
        ),
    }
}

fn shown(path: &str) -> &str {
    if path == "-" { "standard input" } else { path }
}

/// Whether one proxy runs all of these plugins: Istio's of one workload, or the filters of one list.
fn is_chain(files: &[File]) -> bool {
    let listed = files.iter().enumerate().flat_map(|(number, file)| {
        file.plugins.iter().map(move |it| Some((number, it.place.listed?)))
    });
    if let Some(listed) = listed.collect::<Option<Vec<_>>>() {
        let lists: BTreeSet<_> = listed.iter().map(|(file, it)| (file, it.list)).collect();
        // In a text of one line, two lists have the same line.
        let numbers: BTreeSet<_> = listed.iter().map(|(_, it)| it.number).collect();
        return lists.len() == 1 && numbers.len() == listed.len();
    }
    let plugins = || files.iter().flat_map(|file| &file.plugins);
    let is_istios = |plugin: &Plugin| ["WasmPlugin", "TrafficExtension"].contains(&plugin.kind);
    let meets = |a: &Plugin| plugins().all(|b| a.place.meets(&b.place));
    plugins().all(|plugin| is_istios(plugin) && meets(plugin))
}

/// The configuration of a plugin, valid and at this time, in seconds since 1970.
pub fn checked(file: &str, plugin: &Plugin, now: u64) -> Result<Checked> {
    check(plugin).map(|checked| checked.when(now)).map_err(|mistakes| {
        let lines: Vec<_> = mistakes.iter().map(|m| m.display(file)).collect();
        Invalid(lines.join("\n")).into()
    })
}

impl File {
    fn read(path: &str) -> Result<File> {
        let (name, text) = match path {
            "-" => ("standard input", read_stdin()),
            path => (path, fs::read_to_string(path)),
        };
        let text = text.with_context(|| format!("cannot read {name}"))?;
        let (documents, unreadable) = match parse(&text) {
            Ok(documents) => (documents, None),
            Err((line, problem)) => (Vec::new(), Some(Plugin::unreadable(line, problem))),
        };
        let (is_readable, others) = (unreadable.is_none(), kinds(&documents));
        let plugins = match unreadable {
            None => plugin::find(&documents, &text),
            Some(plugin) => vec![plugin],
        };
        Ok(File { name: one_line(name), plugins, documents, others, is_readable })
    }
}

/// The kinds of these documents, as in ` in Deployment, Service`.
fn kinds(documents: &[Node]) -> String {
    let kind = |document: &Node| Some(one_line(document.get("kind")?.text()?));
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
        (error.line, format!("Invalid value: not YAML ({})", one_line(&error.message)))
    })
}

fn read_stdin() -> std::io::Result<String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

fn titles(files: &[File]) -> String {
    let title = |plugin: &Plugin| format!("{} (line {})", plugin.full_title(), plugin.line);
    files.iter().flat_map(|file| &file.plugins).map(title).collect::<Vec<_>>().join(", ")
}
