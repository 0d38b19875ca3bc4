//! Envoy Gateway as released, on this machine: it reads resources from a folder, and starts an Envoy.

use crate::envoy;
use crate::istio::free_port;
use crate::istio::tools::{Tools, output};
use crate::process::{Process, read};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The Envoy that it starts, where Envoy Gateway looks for one that it has downloaded.
const ENVOY: &str = "1.40.0";

/// A running Envoy Gateway. It ends with its Envoy when this value is dropped.
pub struct Gateway {
    /// The address of the listener.
    pub address: SocketAddr,
    folder: PathBuf,
    process: Process,
    _lock: File,
}

impl Gateway {
    /// Runs the commands of a page: one that makes certificates, and one that starts the server. `etc` is
    /// the copy of the page's folder.
    pub async fn start(
        tools: &Tools,
        folder: &Path,
        config: &Path,
        commands: [&str; 2],
    ) -> Result<Self> {
        // Its ports are fixed: 18000 to 18002, and others.
        let lock = File::create(std::env::temp_dir().join("envoy-gateway.lock"))?;
        lock.lock().context("waiting for another Envoy Gateway")?;
        let program = match std::env::var_os("ENVOY") {
            Some(envoy) => envoy.into(),
            None => crate::find::install(ENVOY)?,
        };
        let bin = folder.join(format!("data/envoy-versions/{ENVOY}/bin"));
        fs::create_dir_all(&bin)?;
        symlink(program, bin.join("envoy"))?;
        fs::create_dir_all(folder.join("config/resources"))?;
        fs::write(config, moved(&fs::read_to_string(config)?, folder))?;
        let path = format!("{}:{}", tools.path("").display(), std::env::var("PATH")?);
        let line = |command: &str| {
            [
                // The cache of modules.
                format!("HOME={}", folder.display()),
                format!("PATH={path}"),
                format!("--chdir={}", config.ancestors().nth(3).unwrap_or(folder).display()),
                "sh".into(),
                "-ec".into(),
                moved(command, folder),
            ]
        };
        let [certificates, server] = commands;
        let [home, path, directory, rest @ ..] = line(certificates);
        output(Command::new("env").args([directory, home, path]).args(rest))?;
        let [home, path, directory, rest @ ..] = line(&format!("exec {server}"));
        let arguments = [directory, home, path].into_iter().chain(rest);
        let process = Process::spawn("env", arguments, folder.join("envoy-gateway.log"))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        Ok(Self { address, folder: folder.to_owned(), process, _lock: lock })
    }

    /// Puts these resources of the API server into the folder, with what differs on one machine:
    /// Backends at these ports in place of Services, and the port of the listener.
    pub fn put(&self, resources: &[Value], more: &[Value], ports: [u16; 2]) -> Result<()> {
        let mut written = Vec::new();
        for resource in resources {
            let mut resource = resource.clone();
            let metadata = &resource["metadata"];
            resource["metadata"] =
                json!({"name": metadata["name"], "namespace": metadata["namespace"]});
            if resource["kind"] == "Gateway" {
                resource["spec"]["listeners"][0]["port"] = self.address.port().into();
            }
            if resource["kind"] == "HTTPRoute" {
                backends(&mut resource, ports, &mut written);
            }
            written.push(resource);
        }
        for resource in more {
            let text = moved(&resource.to_string(), &self.folder);
            let mut resource: Value = serde_json::from_str(&text)?;
            if resource["kind"] == "GatewayClass" {
                resource["spec"]["parametersRef"] = json!({
                    "group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "name": "host",
                    "namespace": "default"
                });
            }
            // Those of the routes are there.
            if resource["kind"] != "Backend" {
                written.push(resource);
            }
        }
        written.push(json!({
            "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyProxy",
            "metadata": {"name": "host", "namespace": "default"},
            "spec": {"provider": {"type": "Host", "host": {"envoyVersion": ENVOY}}}
        }));
        let documents: Vec<_> = written.iter().map(Value::to_string).collect();
        let next = self.folder.join("next.yaml");
        fs::write(&next, documents.join("\n---\n"))?;
        Ok(fs::rename(&next, self.folder.join("config/resources/all.yaml"))?)
    }

    /// The lines that it and its Envoy have printed.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// A page of its Envoy's admin interface.
    pub async fn admin(&self, page: &str) -> Result<String> {
        let runs = fs::read_dir(self.folder.join("run"))?.flatten();
        let file = runs.map(|run| run.path().join("admin-address.txt")).find(|it| it.is_file());
        let address = read(&file.context("Envoy has not started")?).trim().parse()?;
        Ok(String::from_utf8(envoy::get(address, page).await?)?)
    }
}

/// A text with the paths of this run in place of those of a machine.
fn moved(text: &str, folder: &Path) -> String {
    let at = |name: &str| folder.join(name).display().to_string();
    text.replace("/etc/envoy-gateway", &at("config"))
        .replace("/var/lib/envoy-gateway", &at("data"))
        .replace("/run/envoy-gateway", &at("run"))
}

/// Has the rules of a route name Backends, and adds these.
fn backends(route: &mut Value, [stable, canary]: [u16; 2], written: &mut Vec<Value>) {
    let namespace = route["metadata"]["namespace"].clone();
    let rules = route["spec"]["rules"].as_array_mut().into_iter().flatten();
    let backends = rules.filter_map(|rule| rule["backendRefs"].as_array_mut());
    for backend in backends.flatten() {
        backend["group"] = "gateway.envoyproxy.io".into();
        backend["kind"] = "Backend".into();
        if let Some(fields) = backend.as_object_mut() {
            fields.remove("port");
        }
        let is_canary = backend["name"].as_str().is_some_and(|name| name.ends_with("canary"));
        let port = if is_canary { canary } else { stable };
        written.push(json!({
            "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "Backend",
            "metadata": {"name": backend["name"], "namespace": namespace},
            "spec": {"endpoints": [{"ip": {"address": "127.0.0.1", "port": port}}]}
        }));
    }
}

/// Adds the resource types of Envoy Gateway to those of the Gateway API.
pub fn types(tools: &Tools, kubernetes: &crate::istio::kubernetes::Kubernetes) -> Result<()> {
    let module = tools.module("github.com/envoyproxy/gateway")?;
    let types = module.join("charts/gateway-helm/charts/crds/crds/generated");
    ensure!(types.is_dir(), "{} is not there", types.display());
    kubernetes.types(&types)
}
