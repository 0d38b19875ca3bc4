//! A configuration, checked as the filter does, with the line of each mistake.

use std::cell::RefCell;
use std::env;

use traffic_split::config::{Config, format_time};
use traffic_split::{Errors, Plan, Snapshot};

use crate::document::{Node, Value};
use crate::misread::{self, Misread};
use crate::plugin::Plugin;
use crate::{curve, when};

/// A valid configuration.
pub struct Checked {
    pub plan: Plan,
    /// The plan at the time asked for, which decides how far its ramps are.
    pub snapshot: Snapshot,
    pub config: Config,
    pub tree: Node,
    /// The environment variables with keys that are not set here. The filter finds them in
    /// its VM's environment. Without them, signed cookies cannot be verified here.
    unset: Vec<String>,
}

/// An error of a configuration, and its place in the file.
#[derive(Clone, serde::Serialize)]
pub struct Mistake {
    pub path: String,
    pub line: usize,
    pub message: String,
}

/// The signing key in place of keys that are not set here: the VM may have them, so that their absence
/// is no error.
const STAND_IN_KEY: &str = "a key that has signed no cookie at all";

/// The beginning of the advice to quote a scalar.
const QUOTE_IT: &str = "; quote it: ";

/// Checks a configuration. The mistakes are in the order of their lines.
pub fn check(plugin: &Plugin) -> Result<Checked, Vec<Mistake>> {
    let misread = plugin.tree.as_ref().map(misread::find).unwrap_or_default();
    if misread.is_empty() {
        return compile(plugin).map_err(in_order);
    }
    // The rest is checked with the names that were meant: else each would be wrong wherever another
    // place has it in quotes.
    let meant = plugin.tree.as_ref().map(|tree| plugin.with_tree(misread::as_written(tree)));
    let mut mistakes = meant.and_then(|plugin| compile(&plugin).err()).unwrap_or_default();
    let advised = |it: &Misread| {
        mistakes.iter().any(|known| known.path == it.path && known.message.contains(QUOTE_IT))
    };
    let misread: Vec<_> = misread.into_iter().filter(|it| !advised(it)).collect();
    mistakes.retain(|mistake| misread.iter().all(|it| it.path != mistake.path));
    let misread = misread.into_iter();
    mistakes.extend(misread.map(|Misread { path, line, message }| Mistake { path, line, message }));
    Err(in_order(mistakes))
}

fn in_order(mut mistakes: Vec<Mistake>) -> Vec<Mistake> {
    mistakes.sort_by_key(|mistake| mistake.line);
    mistakes
}

fn compile(plugin: &Plugin) -> Result<Checked, Vec<Mistake>> {
    let mistake = |path: &str, message: &str| {
        let node = plugin.tree.as_ref().filter(|_| !path.is_empty()).map(|tree| tree.find(path));
        let advice = node.and_then(|node| quoting(plugin, node, path)).unwrap_or_default();
        Mistake {
            path: path.to_owned(),
            line: node.map_or(plugin.line, |node| node.line),
            message: format!("{message}{advice}"),
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
    let tree = plugin.tree.clone().unwrap_or(Node::new(plugin.line, Value::Null));
    let snapshot = Snapshot::new(&plan, when::now());
    Ok(Checked { plan, snapshot, config, tree, unset: unset.take() })
}

impl Checked {
    pub fn when(self, now: u64) -> Self {
        Checked { snapshot: Snapshot::new(&self.plan, now), ..self }
    }

    /// Whether the configuration needs this environment variable, which is not set here.
    pub fn lacks(&self, name: &str) -> bool {
        self.unset.iter().any(|unset| unset == name)
    }

    /// The environment variables that are not set here, and whether each holds keys of cookies: units
    /// decide nothing.
    pub fn unset(&self) -> impl Iterator<Item = (&str, bool)> {
        let unit = self.config.unit.as_ref().map(|unit| unit.env.as_str());
        self.unset.iter().map(move |name| (name.as_str(), unit != Some(name.as_str())))
    }

    /// The same configuration without its `hold`: what comes back when that is taken out.
    pub fn without_hold(&self) -> anyhow::Result<Self> {
        let plugin = Plugin::of_tree("configuration", None, &self.tree.without("hold"));
        let released = check(&plugin).map_err(|mistakes| {
            let lines: Vec<_> = mistakes.iter().map(|it| it.display("without hold")).collect();
            anyhow::anyhow!(lines.join("; "))
        })?;
        Ok(released.when(self.snapshot.now()))
    }

    /// The time at which it is evaluated, if a ramp makes that a difference.
    pub fn at(&self) -> Option<String> {
        let ramped = |rule: &traffic_split::Rule| curve::ramp(&self.config, rule.name()).is_some();
        let ramped = self.plan.rules().iter().any(ramped);
        ramped.then(|| format_time(self.snapshot.now()))
    }
}

/// The advice to quote a scalar, where its text would be right.
fn quoting(plugin: &Plugin, node: &Node, path: &str) -> Option<String> {
    // The parser writes a value that is left out as `~`.
    let written = node.written.as_ref().filter(|text| *text != "~")?;
    let quoted = plugin.tree.as_ref()?.with_text(node, written);
    let bytes = serde_json::to_vec(&quoted).ok()?;
    let env = |_: &str| Some(STAND_IN_KEY.to_owned());
    let still = Plan::compile(&bytes, &env).err().is_some_and(|errors| {
        errors.omitted().is_some() || errors.iter().any(|error| error.path == path)
    });
    let reading = match node.value {
        Value::Bool(value) if *written != value.to_string() => {
            format!("; Kubernetes reads an unquoted {written} as {value}")
        }
        _ => String::new(),
    };
    (!still).then(|| format!("{QUOTE_IT}{written:?}{reading}"))
}

impl Mistake {
    /// Writes the mistake in one line as compilers do, so that editors find its place.
    pub fn display(&self, file: &str) -> String {
        let path = if self.path.is_empty() { "configuration" } else { &self.path };
        format!("{file}:{}: {path}: {}", self.line, self.message)
    }
}
