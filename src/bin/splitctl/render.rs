//! `splitctl render`: a configuration as what each host of the filter takes, and back.

mod host;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use traffic_split::config::{Config, RuleSpec};

use crate::document::Node;
use crate::input::Choice;
use crate::output::Answer;
use crate::when;
use host::Host;

/// The module in the manifests for Envoy.
const MODULE: &str = "/etc/envoy/traffic_split.wasm";

/// The name of the filter where nobody gave it another one.
const NAME: &str = "traffic-split";

/// Print a configuration as what Istio, Envoy Gateway or Envoy takes, or the configuration in such a thing
///
/// Reads what validate reads. What is printed has the filter's own part, and is complete but for where it
/// applies: add a selector or targetRefs to a WasmPlugin, and targetRefs to an EnvoyExtensionPolicy. Comments are lost. A configuration that is not
/// valid is not rendered.
#[derive(Args)]
#[command(after_help = "Examples:
  splitctl render -f rules.yaml --to wasm-plugin --code oci://registry.example.com/traffic-split:1.0
  splitctl render -f rules.yaml --to ecds > new.yaml && mv new.yaml /etc/envoy/traffic-split.yaml
  splitctl render -f rules.yaml --to bootstrap -o json
  splitctl render -f envoy.yaml --to configuration")]
pub struct Render {
    /// A file, a folder, or - for standard input
    #[arg(short, long = "filename", value_name = "FILE")]
    file: String,
    #[command(flatten)]
    choice: Choice,
    /// The form to print
    #[arg(long, value_enum)]
    to: Target,
    /// The name of the resource and of the filter in it
    #[arg(long, default_value = NAME)]
    name: String,
    /// The namespace of the resource
    #[arg(long)]
    namespace: Option<String>,
    /// The filter's module: the URL of its image for a WasmPlugin or an EnvoyExtensionPolicy, else its path
    /// in Envoy's file system
    /// [default: /etc/envoy/traffic_split.wasm, for Envoy]
    #[arg(long)]
    code: Option<String>,
    /// The output format
    #[arg(short, long, value_enum, default_value_t)]
    output: Written,
}

/// A form of a configuration.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    /// The configuration alone
    Configuration,
    /// Istio's WasmPlugin
    WasmPlugin,
    /// Istio's EnvoyFilter
    EnvoyFilter,
    /// Envoy Gateway's EnvoyExtensionPolicy
    EnvoyExtensionPolicy,
    /// A file for Envoy's extension config discovery: a path_config_source
    Ecds,
    /// The field `configuration` of a Wasm filter in Envoy's own configuration
    Bootstrap,
}

/// The language of what is printed.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Written {
    #[default]
    Yaml,
    Json,
}

impl Render {
    pub fn run(&self) -> Result<Answer> {
        let checked = self.choice.read_one(&self.file, when::now())?;
        let host = Host {
            name: &self.name,
            namespace: self.namespace.as_deref(),
            code: self.code()?,
            environment: environment(&checked.config),
            generation: checked.plan.generation(),
        };
        let tree = match self.to {
            Target::Configuration => checked.tree,
            Target::WasmPlugin => host.wasm_plugin(checked.tree),
            Target::EnvoyFilter => host.envoy_filter(&checked.tree)?,
            Target::EnvoyExtensionPolicy => host.extension_policy(checked.tree),
            Target::Ecds => host.discovery(&checked.tree)?,
            Target::Bootstrap => {
                host::object([("configuration", host::string_value(&checked.tree)?)])
            }
        };
        Ok(Answer::good(match self.output {
            Written::Json => serde_json::to_string_pretty(&tree)?,
            Written::Yaml => yaml(&tree)?,
        }))
    }

    fn code(&self) -> Result<&str> {
        match (&self.code, self.to) {
            (None, Target::WasmPlugin | Target::EnvoyExtensionPolicy) => {
                bail!("give the image by --code, as in --code oci://HOST/NAME:TAG")
            }
            (Some(code), Target::EnvoyFilter | Target::Ecds) if code.contains("://") => {
                bail!("Envoy reads the module from a file: give its path by --code, and not {code}")
            }
            (code, _) => Ok(code.as_deref().unwrap_or(MODULE)),
        }
    }
}

/// Writes YAML in which a reader of YAML 1.1 finds the same as one of 1.2.
fn yaml(tree: &Node) -> Result<String> {
    Ok(serde_saphyr::to_string(tree)?)
}

/// The environment variables that hold keys of cookies and of units, each once.
fn environment(config: &Config) -> Vec<String> {
    let cookies = config.rules.iter().flat_map(RuleSpec::cookies);
    let signing = cookies.filter_map(|it| it.signing.as_ref());
    let mut names: Vec<_> = signing.chain(&config.unit).map(|keys| keys.env.clone()).collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document;

    /// Every scalar that Kubernetes reads in its own way, and others that need quotes.
    #[test]
    fn what_is_written_reads_the_same() {
        let recorded = include_str!("../../../wasm-tests/splitctl/scalars.json");
        let recorded: Vec<serde_json::Value> = serde_json::from_str(recorded).unwrap();
        let scalars = recorded.iter().map(|answer| answer["scalar"].as_str().unwrap());
        let others = [
            "",
            " a",
            "a ",
            "a: b",
            "a #b",
            "- a",
            "é\u{202e}",
            "{\n  \"a\": 1\n}\n",
            "\u{1b}",
            "@type",
            "a\n\nb",
            "|",
        ];
        for text in scalars.chain(others) {
            let tree = host::object([
                (text, host::text(text)),
                ("the number", Node::new(0, document::Value::Number(90.0))),
            ]);
            let written = yaml(&tree).unwrap();
            let read =
                document::parse(&written).unwrap_or_else(|e| panic!("{text:?}: {e:?}\n{written}"));
            assert_eq!(
                serde_json::to_string(&read[0]).unwrap(),
                serde_json::to_string(&tree).unwrap(),
                "{written}"
            );
        }
    }
}
