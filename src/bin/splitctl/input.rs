//! The files given with `-f`, read and checked.

use std::cell::RefCell;
use std::env;
use std::fmt;
use std::io::Read;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_saphyr::{MessageFormatter, UserMessageFormatter};
use traffic_split::config::{Config, format_time};
use traffic_split::{Errors, Plan, Snapshot};

use crate::document::{self, Node, Value};
use crate::plugin::{self, Plugin};
use crate::{curve, when};

/// The choice of a configuration among those of a file.
#[derive(Args)]
pub struct Choice {
    /// The name of the plugin to use, if the file has several
    #[arg(long, value_name = "NAME")]
    pub plugin: Option<String>,
}

/// A file and the configurations found in it.
pub struct File {
    /// Its name as given, with which errors begin.
    pub name: String,
    pub plugins: Vec<Plugin>,
    is_readable: bool,
}

/// A valid configuration.
pub struct Checked {
    pub plan: Plan,
    /// The plan at the time asked for, which decides how far its ramps are.
    pub snapshot: Snapshot,
    pub config: Config,
    pub tree: Node,
    /// The environment variables with signing keys that are not set here. The filter finds them in
    /// its VM's environment. Without them, signed cookies cannot be verified here.
    pub unset: Vec<String>,
}

/// The signing key in place of keys that are not set here: the VM may have them, so that their absence
/// is no error.
const STAND_IN_KEY: &str = "a key that has signed no cookie at all";

/// An error of a configuration, and its place in the file.
#[derive(serde::Serialize)]
pub struct Mistake {
    pub path: String,
    pub line: usize,
    pub message: String,
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
                "{}: no configuration found; give one as JSON or YAML, or a WasmPlugin, \
                 TrafficExtension, EnvoyFilter or Envoy bootstrap that has one",
                file.name
            );
        }
        if let Some(name) = self.plugin.as_ref().filter(|_| file.is_readable) {
            file.plugins.retain(|plugin| plugin.name.as_ref() == Some(name));
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
        match file.plugins.as_slice() {
            [plugin] => match check(plugin) {
                Ok(checked) => Ok(checked.when(now)),
                Err(mistakes) => {
                    let lines: Vec<_> = mistakes.iter().map(|m| m.display(&file.name)).collect();
                    Err(Invalid(lines.join("\n")).into())
                }
            },
            plugins => bail!(
                "{}: {} plugins found, choose one with --plugin NAME: {}",
                file.name,
                plugins.len(),
                titles(plugins)
            ),
        }
    }
}

impl File {
    fn read(path: &str) -> Result<File> {
        let (name, text) = match path {
            "-" => ("standard input", read_stdin()),
            path => (path, std::fs::read_to_string(path)),
        };
        let text = text.with_context(|| format!("cannot read {name}"))?;
        let (plugins, is_readable) = match parse(&text) {
            Ok(documents) => (plugin::find(&documents, &text), true),
            Err((line, problem)) => (vec![Plugin::unreadable(line, problem)], false),
        };
        Ok(File { name: name.to_owned(), plugins, is_readable })
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
        let line = error.location().map_or(1, |location| location.line());
        let message = UserMessageFormatter.format_message(error.without_snippet());
        (line as usize, format!("Invalid value: not YAML ({})", message.escape_debug()))
    })
}

fn read_stdin() -> std::io::Result<String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

fn titles(plugins: &[Plugin]) -> String {
    let title = |plugin: &Plugin| format!("{} (line {})", plugin.title(), plugin.line);
    plugins.iter().map(title).collect::<Vec<_>>().join(", ")
}

/// Checks a configuration as the filter does. The mistakes are in the order of their lines.
pub fn check(plugin: &Plugin) -> Result<Checked, Vec<Mistake>> {
    compile(plugin).map_err(|mut mistakes| {
        mistakes.sort_by_key(|mistake| mistake.line);
        mistakes
    })
}

fn compile(plugin: &Plugin) -> Result<Checked, Vec<Mistake>> {
    let mistake = |path: &str, message: &str| {
        let node = plugin.tree.as_ref().filter(|_| !path.is_empty()).map(|tree| tree.find(path));
        Mistake {
            path: path.to_owned(),
            line: node.map_or(plugin.line, |node| node.line),
            message: format!("{message}{}", node.map_or("", |node| quote_it(node, message))),
        }
    };
    let bytes = plugin.bytes.as_ref().map_err(|problem| vec![mistake("", problem)])?;
    let mistakes = |errors: Errors| {
        let each = errors.iter().map(|error| mistake(&error.path, &error.message));
        each.chain(errors.omitted().map(|message| mistake("", &message))).collect::<Vec<_>>()
    };
    let unset = RefCell::new(Vec::new());
    let env = |name: &str| {
        env::var(name).ok().or_else(|| {
            let mut unset = unset.borrow_mut();
            if !unset.iter().any(|known| known == name) {
                unset.push(name.to_owned());
            }
            Some(STAND_IN_KEY.to_owned())
        })
    };
    let plan = Plan::compile(bytes, &env).map_err(mistakes)?;
    let config = Config::parse(bytes).map_err(mistakes)?;
    let tree = plugin.tree.clone().unwrap_or(Node { line: plugin.line, value: Value::Null });
    let snapshot = Snapshot::new(&plan, when::now());
    Ok(Checked { plan, snapshot, config, tree, unset: unset.take() })
}

impl Checked {
    fn when(self, now: u64) -> Self {
        Checked { snapshot: Snapshot::new(&self.plan, now), ..self }
    }

    /// The time at which it is evaluated, if a ramp makes that a difference.
    pub fn at(&self) -> Option<String> {
        let ramped = |rule: &traffic_split::Rule| curve::ramp(&self.config, rule.name()).is_some();
        let ramped = self.plan.rules().iter().any(ramped);
        ramped.then(|| format_time(self.snapshot.now()))
    }
}

/// The advice to quote a value that YAML does not read as a string.
fn quote_it(node: &Node, message: &str) -> &'static str {
    match node.value {
        _ if !message.ends_with("must be a string") => "",
        Value::Bool(_) => {
            "; quote it: unquoted yes, no, on and off are booleans in Kubernetes and Envoy"
        }
        Value::Number(_) => "; quote it",
        _ => "",
    }
}

impl Mistake {
    /// Writes the mistake in one line as compilers do, so that editors find its place.
    pub fn display(&self, file: &str) -> String {
        let path = if self.path.is_empty() { "configuration" } else { &self.path };
        format!("{file}:{}: {path}: {}", self.line, self.message)
    }
}
