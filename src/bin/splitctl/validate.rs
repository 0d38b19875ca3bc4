//! `splitctl validate`: every error of a configuration and every doubt about it, with path and line.

use anyhow::Result;
use clap::Args;
use clap::builder::PossibleValuesParser;
use serde::Serialize;

use crate::check::{Checked, Mistake, check};
use crate::discovery;
use crate::document::Node;
use crate::effort;
use crate::input::{Choice, File};
use crate::lint::{self, Circumstances, Source, Warning};
use crate::output::{Answer, BAD, Format, GOOD};
use crate::plugin::Plugin;
use crate::routes::{self, Routes};
use crate::when::When;

/// Report every error of a configuration, and what it hardly means
///
/// Reads JSON or YAML, and finds the configuration inside a WasmPlugin (Istio's or Higress'),
/// TrafficExtension, EnvoyExtensionPolicy, EnvoyFilter or Envoy bootstrap. The exit code is 1 if there is an error.
///
/// A warning tells of a rule that can never decide, of a condition that no request meets, and the like,
/// also across resources: give the plugins of a namespace together with their routes. Each ends with the
/// name of its lint. With --strict, a warning fails as well, unless its lint is one to --allow.
#[derive(Args)]
#[command(after_help = "Examples:
  splitctl validate -f wasm-plugin.yaml
  splitctl validate --strict -f manifests/
  splitctl validate --strict --allow ramp-ahead --allow insecure-cookie -f split.yaml
  splitctl validate -f envoy.yaml -f gateway.yaml -o json
  splitctl validate --rate 200 -f wasm-plugin.yaml
  kubectl get wasmplugin,virtualservice,destinationrule -A -o yaml | splitctl validate -f -")]
pub struct Validate {
    /// A file, a folder, or - for standard input; may be repeated
    #[arg(short, long = "filename", value_name = "FILE", required = true)]
    files: Vec<String>,
    #[command(flatten)]
    choice: Choice,
    /// Fail on warnings too
    #[arg(long)]
    strict: bool,
    /// Leave out the warnings of this lint, as in ramp-ahead; may be repeated
    #[arg(long, value_name = "LINT", value_parser = lints(), hide_possible_values = true)]
    allow: Vec<String>,
    /// The requests a second that a rule gets in one proxy: warns of guards that are blind at this rate
    #[arg(long, value_name = "RATE", value_parser = rate)]
    rate: Option<f64>,
    #[command(flatten)]
    when: When,
    /// The output format
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Serialize)]
struct Report {
    valid: bool,
    configurations: Vec<Found>,
    warnings: Vec<Warning>,
}

#[derive(Serialize)]
struct Found {
    file: String,
    kind: &'static str,
    name: Option<String>,
    line: usize,
    /// The number that the log line and the gauge `tsplit_config_generation` show; none of a wrong
    /// configuration.
    generation: Option<u32>,
    errors: Vec<Mistake>,
    #[serde(skip)]
    line_of_text: String,
}

/// A file with its plugins, each checked.
struct Validated {
    file: File,
    results: Vec<Result<Checked, Vec<Mistake>>>,
}

impl Validate {
    pub fn run(&self) -> Result<Answer> {
        let now = self.when.seconds();
        let result = |plugin: &Plugin| check(plugin).map(|checked| checked.when(now));
        let validated = |file: File| {
            let results = file.plugins.iter().map(result).collect();
            Validated { file, results }
        };
        let files = self.choice.read_all(&self.files)?.into_iter();
        let files: Vec<_> = files.map(validated).collect();
        let configurations: Vec<_> = files.iter().flat_map(Validated::found).collect();
        let valid = configurations.iter().all(|found| found.errors.is_empty());
        let report = Report { valid, configurations, warnings: self.warnings(&files) };
        let text = self.output.write(&report, || table(&report))?;
        Ok(Answer { text, good: valid && (!self.strict || report.warnings.is_empty()) })
    }

    /// All warnings, file by file and in the order of their lines.
    fn warnings(&self, files: &[Validated]) -> Vec<Warning> {
        let mut routes = Routes::default();
        for Validated { file, .. } in files {
            file.documents.iter().for_each(|document| routes.find(document, &file.name));
        }
        let sources: Vec<_> = files.iter().map(Validated::source).collect();
        let mut warnings = lint::across(&sources);
        for (source, Validated { file, .. }) in sources.iter().zip(files) {
            let names = file.documents.iter().flat_map(discovery::resources);
            let names: Vec<_> = names.map(|(name, _)| name).collect();
            let documents = files.iter().flat_map(|it| &it.file.documents);
            let mut hosts =
                documents.filter(|it| names.iter().any(|name| discovery::is_host(it, name)));
            let is_plain = file.documents.iter().any(is_plain) || hosts.any(is_plain);
            let circumstances = Circumstances { rate: self.rate, is_plain };
            for (_, checked) in &source.checked {
                let own = lint::of(checked, circumstances).into_iter();
                warnings.extend(own.map(|finding| finding.at(&file.name, &checked.tree)));
                warnings.extend(routes::warnings(&checked.config, &routes));
            }
        }
        warnings.retain(|warning| !self.allow.iter().any(|allowed| allowed == warning.lint));
        let place = |file: &str| files.iter().position(|it| it.file.name == file);
        warnings.sort_by_key(|warning| (place(&warning.file), warning.line));
        warnings.dedup();
        warnings
    }
}

impl Validated {
    fn plugins(&self) -> impl Iterator<Item = (&Plugin, &Result<Checked, Vec<Mistake>>)> {
        self.file.plugins.iter().zip(&self.results)
    }

    fn source(&self) -> Source<'_> {
        let valid = |(plugin, result): (&Plugin, &'_ Result<Checked, Vec<Mistake>>)| {
            result.is_ok().then_some(plugin.line)
        };
        let lines = self.plugins().filter_map(valid);
        let checked = lines.zip(self.results.iter().filter_map(|result| result.as_ref().ok()));
        Source {
            file: &self.file.name,
            documents: &self.file.documents,
            checked: checked.collect(),
        }
    }

    fn found(&self) -> Vec<Found> {
        let found = |(plugin, result): (&Plugin, &Result<Checked, Vec<Mistake>>)| {
            let (generation, summary, errors) = match result {
                Ok(checked) => (Some(checked.plan.generation()), summary(checked), Vec::new()),
                Err(errors) => (None, String::new(), errors.clone()),
            };
            Found {
                file: self.file.name.clone(),
                kind: plugin.kind,
                name: plugin.name.clone(),
                line: plugin.line,
                generation,
                errors,
                line_of_text: format!("{}: {summary}", plugin.title()),
            }
        };
        self.plugins().map(found).collect()
    }
}

/// The names of all lints.
fn lints() -> PossibleValuesParser {
    lint::TABLE.map(|(_, name, _)| name).into()
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if rate > 0.0 && f64::is_finite(rate) => Ok(rate),
        _ => Err("give a number above 0".into()),
    }
}

/// Whether a document has listeners of Envoy, and none of them has TLS.
fn is_plain(document: &Node) -> bool {
    fn has_tls(node: &Node) -> bool {
        let fields = node.fields().iter();
        let named = |(name, node): &(String, Node)| {
            matches!(name.as_str(), "transport_socket" | "transportSocket") || has_tls(node)
        };
        fields.into_iter().any(named) || node.elements().iter().any(has_tls)
    }
    let listeners = document.at(&["static_resources", "listeners"]);
    let listeners = listeners.or_else(|| document.at(&["staticResources", "listeners"]));
    listeners.is_some_and(|listeners| !has_tls(listeners))
}

fn summary(checked: &Checked) -> String {
    let mut text = format!("valid, {}", checked.plan);
    if let Some(effort) = effort::told(&checked.config, &checked.plan) {
        text += &format!("; {effort}");
    }
    for (name, signs) in checked.unset() {
        let what = if signs { "signing" } else { "unit" };
        text += &format!("; {what} needs {name} in the VM's environment");
    }
    text
}

fn table(report: &Report) -> String {
    let mut lines = Vec::new();
    for found in &report.configurations {
        if found.errors.is_empty() {
            lines.push(format!(
                "{}:{}: {GOOD}{}{GOOD:#}",
                found.file, found.line, found.line_of_text
            ));
        }
        let error = |error: &Mistake| format!("{BAD}{}{BAD:#}", error.display(&found.file));
        lines.extend(found.errors.iter().map(error));
    }
    lines.extend(report.warnings.iter().map(Warning::display));
    lines.join("\n")
}
