//! The command line of `splitctl import`.

use std::io::Read;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use super::form::{Host, Imported, Key, Name, Remark};
use super::names::Variants;
use super::sources::{self, File, From};
use super::write::{self, Draft};
use super::{arrange, check};
use crate::output::{self, Answer};

/// Translate the canaries of other systems
///
/// Reads ingress-nginx' and Higress' canaries, Istio's VirtualServices, HTTPRoutes of the Gateway API
/// and nginx's split_clients. What is lost or unusual is a line on standard error, and a comment at
/// its place. The exit code is 1 with --strict and a loss.
#[derive(Args)]
#[command(after_help = "Examples:
  splitctl import -f ingress.yaml > rules.yaml
  kubectl get ingress -A -o yaml | splitctl import -f - --key cookie=uid
  splitctl import -f virtual-service.yaml --host shop.example -o wasmplugin")]
pub struct Import {
    /// A file, or - for standard input; may be repeated
    #[arg(short, long = "filename", value_name = "FILE", required = true)]
    files: Vec<String>,
    /// The system that the files are from
    #[arg(long, value_enum, default_value_t)]
    from: From,
    /// The only host to import
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// The only service to import, with what splits its traffic
    #[arg(long, value_name = "SERVICE")]
    service: Option<String>,
    /// What a client is known by, so that weights are sticky: cookie=NAME, header=NAME,
    /// queryParam=NAME or sourceIp; may be repeated
    #[arg(long = "key", value_name = "KEY", value_parser = key)]
    keys: Vec<Key>,
    /// Keep quirks that nobody asked for, such as a canary of ingress-nginx on every path of its
    /// service
    #[arg(long)]
    as_is: bool,
    /// Make a loss an error
    #[arg(long)]
    strict: bool,
    /// The form of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: Form,
}

/// The form of the output.
#[derive(Clone, Copy, Default, ValueEnum)]
enum Form {
    /// The configuration alone
    #[default]
    Yaml,
    /// In Istio's WasmPlugin
    Wasmplugin,
    /// In a bootstrap of Envoy
    Envoy,
}

impl Import {
    pub fn run(&self) -> Result<Answer> {
        let files = self.files.iter().map(|path| read(path)).collect::<Result<Vec<_>>>()?;
        let mut imported = sources::import(&files, self.from, self.as_is)?;
        self.choose(&mut imported)?;
        let draft = draft(imported, self.keys.clone())?;
        let remarks = draft.rules.iter().flat_map(|rule| &rule.remarks);
        let mut remarks: Vec<&Remark> = draft.remarks.iter().chain(remarks).collect();
        remarks.sort();
        remarks.dedup();
        for remark in &remarks {
            output::complain(&remark.display().to_string());
        }
        let text = match self.output {
            Form::Yaml => write::configuration(&draft, false),
            Form::Wasmplugin => write::wasm_plugin(&draft),
            Form::Envoy => write::envoy(&draft)?,
        };
        let good = !self.strict || remarks.iter().all(|remark| !remark.lost);
        Ok(Answer { text, good })
    }

    /// Keeps the host and the service that are asked for.
    fn choose(&self, imported: &mut Imported) -> Result<()> {
        if let Some(host) = &self.host {
            let name = Name::new(host);
            let known: Vec<_> = imported.hosts.iter().map(|host| host.name.text()).collect();
            let has = |it: &Host| it.name == name;
            let is_known = imported.hosts.iter().any(has);
            imported.hosts.retain(|it| if is_known { has(it) } else { it.name.covers(&name) });
            if imported.hosts.is_empty() {
                bail!("no route is for the host {host:?}; there are: {}", known.join(", "));
            }
        }
        if let Some(service) = &self.service {
            let routes = imported.hosts.iter().flat_map(|host| &host.routes);
            let mut known: Vec<_> = routes.flat_map(|route| route.services.clone()).collect();
            known.sort();
            known.dedup();
            if !known.contains(service) {
                bail!("no route is for the service {service:?}; there are: {}", known.join(", "));
            }
            for host in &mut imported.hosts {
                host.routes.retain(|route| route.services.contains(service));
            }
        }
        Ok(())
    }
}

/// The rules for what was read, all of which the filter accepts.
///
/// # Errors
/// The filter would refuse the configuration as a whole.
pub fn draft(mut imported: Imported, keys: Vec<Key>) -> Result<Draft> {
    let rules = arrange::rules(&mut imported);
    let destinations = rules.iter().flat_map(|rule| rule.action.destinations());
    let variants = Variants::new(destinations);
    let header = imported.header.unwrap_or_else(|| "x-split-variant".to_owned());
    let header = header.to_ascii_lowercase();
    let mut draft = Draft { rules, variants, header, remarks: imported.remarks, keys };
    check::check(&mut draft)?;
    Ok(draft)
}

fn read(path: &str) -> Result<File> {
    let mut text = String::new();
    let (name, read) = match path {
        "-" => ("standard input", std::io::stdin().read_to_string(&mut text).map(drop)),
        path => (path, std::fs::read_to_string(path).map(|read| text = read)),
    };
    read.with_context(|| format!("cannot read {name}"))?;
    Ok(File { name: name.to_owned(), text })
}

/// Reads a key, as in `cookie=uid`.
fn key(text: &str) -> Result<Key, String> {
    let named = text.split_once('=').filter(|(_, name)| !name.is_empty());
    match (text, named) {
        ("sourceIp", _) => Ok(Key::SourceIp),
        (_, Some(("cookie", name))) => Ok(Key::Cookie(name.to_owned())),
        (_, Some(("header", name))) => Ok(Key::Header(name.to_ascii_lowercase())),
        (_, Some(("queryParam", name))) => Ok(Key::Query(name.to_owned())),
        _ => Err("give it as cookie=NAME, header=NAME, queryParam=NAME or sourceIp".to_owned()),
    }
}
