//! `splitctl validate`: every error of a configuration, with its path and line.

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::check::{Checked, Mistake, check};
use crate::effort;
use crate::input::Choice;
use crate::output::{Answer, BAD, Format, GOOD};
use crate::routes::{self, Routes, Warning};

/// Report every error of a configuration
///
/// Reads JSON or YAML, and finds the configuration inside a WasmPlugin (Istio's or Higress'),
/// TrafficExtension, EnvoyExtensionPolicy, EnvoyFilter or Envoy bootstrap. The exit code is 1 if there is an error.
#[derive(Args)]
#[command(after_help = "Examples:
  splitctl validate -f wasm-plugin.yaml
  splitctl validate -f envoy.yaml -f gateway.yaml -o json
  kubectl get wasmplugin -A -o yaml | splitctl validate -f -")]
pub struct Validate {
    /// A file, or - for standard input; may be repeated
    #[arg(short, long = "filename", value_name = "FILE", required = true)]
    files: Vec<String>,
    #[command(flatten)]
    choice: Choice,
    /// The output format
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Serialize)]
struct Report {
    valid: bool,
    configurations: Vec<Found>,
    /// The reasons for which routes may not do what the rules rely on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Warning>,
}

#[derive(Serialize)]
struct Found {
    file: String,
    kind: &'static str,
    name: Option<String>,
    line: usize,
    errors: Vec<Mistake>,
    #[serde(skip)]
    line_of_text: String,
}

impl Validate {
    pub fn run(&self) -> Result<Answer> {
        let mut configurations = Vec::new();
        let mut routes = Routes::default();
        for path in &self.files {
            // A file that cannot be read is reported below.
            let _ = routes.add(path);
        }
        let mut warnings = Vec::new();
        for path in &self.files {
            let file = match self.choice.read(path) {
                // A file may have routes alone.
                Err(_) if routes.are_in(path) => continue,
                file => file?,
            };
            for plugin in file.plugins {
                let (errors, summary) = match check(&plugin) {
                    Ok(checked) => {
                        warnings.extend(routes::warnings(&checked.config, &routes));
                        (Vec::new(), summary(&checked))
                    }
                    Err(errors) => (errors, String::new()),
                };
                configurations.push(Found {
                    line_of_text: format!("{}: {}", plugin.title(), summary),
                    file: file.name.clone(),
                    kind: plugin.kind,
                    name: plugin.name,
                    line: plugin.line,
                    errors,
                });
            }
        }
        let valid = configurations.iter().all(|found| found.errors.is_empty());
        let report = Report { valid, configurations, warnings };
        let text = match self.output {
            Format::Json => serde_json::to_string_pretty(&report)?,
            Format::Table => table(&report),
        };
        Ok(Answer { text, good: valid })
    }
}

fn summary(checked: &Checked) -> String {
    let mut text = format!("valid, {}", checked.plan);
    if let Some(effort) = effort::told(&checked.config, &checked.plan) {
        text += &format!("; {effort}");
    }
    for name in &checked.unset {
        text += &format!("; signing needs {name} in the VM's environment");
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
    let warning = |it: &Warning| format!("{}:{}: warning: {}", it.file, it.line, it.message);
    lines.extend(report.warnings.iter().map(warning));
    lines.join("\n")
}
