//! The resources in files, and the system that each is from.

use anyhow::{Result, anyhow, bail};
use clap::ValueEnum;

use super::form::{Imported, Remark, Source};
use super::ingress::Ingress;
use super::{gateway, higress, ingress_nginx, istio, nginx, traffic_tag};
use crate::document::{self, Node};

/// A system whose canaries are imported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum From {
    /// Whatever the files have
    #[default]
    Auto,
    IngressNginx,
    Istio,
    GatewayApi,
    Nginx,
    Higress,
}

/// A file's name and its text.
pub struct File {
    pub name: String,
    pub text: String,
}

/// The resources of all files, by kind.
#[derive(Default)]
struct Found<'f> {
    ingresses: Vec<Ingress<'f>>,
    virtual_services: Vec<(Source<'f>, &'f Node)>,
    http_routes: Vec<(Source<'f>, &'f Node)>,
    tags: Vec<(Source<'f>, &'f Node)>,
    /// The remarks about resources that go on by themselves.
    answers: Vec<Remark>,
}

/// Translates files.
///
/// # Errors
/// A file that cannot be read, or files without a resource of the system asked for.
pub fn import(files: &[File], from: From, as_is: bool) -> Result<Imported> {
    let mut imported = Imported::default();
    let mut documents = Vec::new();
    for file in files {
        let source = Source { file: &file.name };
        if from == From::Nginx || from == From::Auto && nginx::is(&file.text) {
            let found = nginx::import(source, &file.text);
            let error = |(line, problem)| anyhow!("{}:{line}: {problem}", file.name);
            add(&mut imported, found.map_err(error)?);
            continue;
        }
        let read = document::parse(&file.text).map_err(|error| {
            let problem = error.message.escape_debug().to_string();
            anyhow!(
                "{}:{}: neither YAML ({problem}) nor nginx's configuration",
                file.name,
                error.line
            )
        })?;
        documents.push((source, read));
    }
    let mut found = Found::default();
    for (source, documents) in &documents {
        documents.iter().for_each(|document| found.add(*source, document));
    }
    let wants = |system| from == From::Auto || from == system;
    let is_higress = |it: &Ingress<'_>| match from {
        From::Auto => it.is_of_higress(),
        from => from == From::Higress,
    };
    let (higress, nginx): (Vec<_>, Vec<_>) = found.ingresses.into_iter().partition(is_higress);
    if wants(From::IngressNginx) {
        add(&mut imported, ingress_nginx::import(&nginx, as_is));
    }
    if wants(From::Higress) {
        add(&mut imported, higress::import(&higress, as_is));
        for (source, node) in found.tags {
            add(&mut imported, traffic_tag::import(source, node));
        }
    }
    if wants(From::Istio) {
        add(&mut imported, istio::import(found.virtual_services));
    }
    if wants(From::GatewayApi) {
        add(&mut imported, gateway::import(found.http_routes));
    }
    imported.remarks.extend(found.answers);
    if imported.hosts.iter().all(|host| host.routes.is_empty()) {
        let remarks = imported.remarks.iter().map(|remark| format!("; {}", remark.display()));
        bail!("nothing to import was found{}", remarks.collect::<String>());
    }
    Ok(imported)
}

fn add(all: &mut Imported, more: Imported) {
    for host in more.hosts {
        match all.hosts.iter_mut().find(|known| known.name == host.name) {
            Some(known) => known.routes.extend(host.routes),
            None => all.hosts.push(host),
        }
    }
    all.remarks.extend(more.remarks);
    all.header = all.header.take().or(more.header);
}

impl<'f> Found<'f> {
    /// Adds the resources of a document, or of a list of them.
    fn add(&mut self, source: Source<'f>, node: &'f Node) {
        let text = |name: &str| node.get(name).and_then(Node::text).unwrap_or_default();
        let (kind, version) = (text("kind"), text("apiVersion"));
        let answer = |text: &str| source.note(node, "kind", text);
        match kind {
            "Ingress" => self.ingresses.push(Ingress::read(node, source)),
            "VirtualService" => self.virtual_services.push((source, node)),
            "HTTPRoute" => self.http_routes.push((source, node)),
            "Canary" if version.starts_with("flagger.app/") => self.answers.push(answer(
                "Flagger goes on by itself, and writes the weights into the route: \
                 manifests/flagger/README.md",
            )),
            "Rollout" if version.starts_with("argoproj.io/") => self.answers.push(answer(
                "Argo Rollouts goes on by itself, and writes the weights into the route: \
                 manifests/argo-rollouts/README.md",
            )),
            "WasmPlugin" => {
                let spec = node.get("spec");
                let configs = ["defaultConfig", "pluginConfig"];
                let configs = configs.iter().filter_map(|name| spec?.get(name));
                self.tags.extend(configs.filter(|it| traffic_tag::is(it)).map(|it| (source, it)));
            }
            _ if node.get("items").is_some() => {
                let items = node.get("items").map_or(&[][..], Node::elements);
                items.iter().for_each(|node| self.add(source, node));
            }
            "" if traffic_tag::is(node) => self.tags.push((source, node)),
            _ => {}
        }
    }
}
