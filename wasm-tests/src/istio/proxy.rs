//! A pilot-agent and its Envoy, where Kubernetes would run them in a pod.

use super::free_port;
use super::mesh::Mesh;
use crate::process::Process;
use crate::wait::eventually;
use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// The agent keeps modules in /var/lib/istio/data, a constant of its source. In a mount namespace
/// of its own that is an empty folder which goes with it; root is root only in there.
const PRIVATE: &str =
    "mount -t tmpfs tmpfs /var/lib && mkdir -p /var/lib/istio/data && exec \"$@\"";

/// The proxy's pod, as Kubernetes would describe it.
pub struct Pod<'a> {
    /// `sidecar`, `router` (a gateway) or `waypoint`.
    pub kind: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its labels.
    pub labels: Value,
    /// The variables that it adds to the environment, as `NAME=value`.
    pub environment: &'a [&'a str],
}

/// A running proxy. It ends when this value is dropped.
pub struct Proxy {
    pub(super) admin: SocketAddr,
    process: Process,
}

impl Proxy {
    /// Starts it, and waits until Envoy has taken clusters and listeners from istiod.
    pub async fn start(mesh: &Mesh, pod: &Pod<'_>) -> Result<Self> {
        let folder = mesh.folder.join(format!("{}-{}", pod.namespace, free_port()?));
        fs::create_dir_all(&folder)?;
        credentials(mesh, pod, &folder).await?;
        let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let mut arguments = vec![format!("--chdir={}", folder.display())];
        arguments.extend(environment(mesh, pod, &folder, admin)?);
        let private =
            ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", PRIVATE, "sh"];
        arguments.extend(private.map(Into::into));
        arguments.push(mesh.tools.path("pilot-agent").display().to_string());
        arguments.extend(["proxy", pod.kind, "--proxyLogLevel=info"].map(Into::into));
        let mut process = Process::spawn("env", arguments, folder.join("agent.log"))?;
        let ready = async || {
            let stats = crate::envoy::stats(admin).await?;
            let ready = stats.get("listener_manager.workers_started") == Some(&1);
            ensure!(ready, "its workers have not started");
            Ok(())
        };
        process.until("the proxy", ready).await?;
        Ok(Self { admin, process })
    }

    /// A page of Envoy's admin interface.
    pub async fn admin(&self, path: &str) -> Result<Vec<u8>> {
        crate::envoy::get(self.admin, path).await
    }

    /// Every counter and gauge of Envoy.
    pub async fn stats(&self) -> Result<BTreeMap<String, u64>> {
        crate::envoy::stats(self.admin).await
    }

    /// Waits until Envoy listens on this port of the loopback interface, and serves the plugin's
    /// configuration there.
    pub async fn listens(&self, port: u16) -> Result<SocketAddr> {
        self.listens_at((Ipv4Addr::LOCALHOST, port).into()).await
    }

    /// The same for any address.
    pub async fn listens_at(&self, address: SocketAddr) -> Result<SocketAddr> {
        let page = format!("{address}");
        eventually("the listener", async || {
            let listeners = String::from_utf8(self.admin("/listeners").await?)?;
            ensure!(listeners.contains(&page), "{listeners}\n{}", self.log());
            Ok(())
        })
        .await?;
        Ok(address)
    }

    /// Waits until Envoy has a plugin whose configuration satisfies `what`.
    pub async fn plugin(&self, what: impl Fn(&Value) -> bool) -> Result<()> {
        eventually("the plugin", async || {
            let plugins = self.plugins().await?;
            ensure!(plugins.iter().any(&what), "{plugins:?}\n{}", self.log());
            Ok(())
        })
        .await
    }

    /// The plugins as Envoy runs them: what the agent made of what istiod sent.
    pub async fn plugins(&self) -> Result<Vec<Value>> {
        let dump: Value = serde_json::from_slice(&self.admin("/config_dump").await?)?;
        let parts = dump["configs"].as_array().into_iter().flatten();
        let filters = parts.filter_map(|part| part["ecds_filters"].as_array()).flatten();
        Ok(filters.map(|filter| filter["ecds_filter"]["typed_config"].clone()).collect())
    }

    /// The log of the agent and of Envoy.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

/// The files that Kubernetes mounts: a token to ask istiod for a certificate with, and istiod's
/// own root, which it puts into a ConfigMap of every namespace.
async fn credentials(mesh: &Mesh, pod: &Pod<'_>, folder: &Path) -> Result<()> {
    let kubernetes = &mesh.kubernetes;
    let secrets = folder.join("var/run/secrets");
    fs::create_dir_all(secrets.join("tokens"))?;
    fs::create_dir_all(secrets.join("istio"))?;
    let create =
        ["create", "token", "default", "--audience", "istio-ca", "--namespace", pod.namespace];
    fs::write(secrets.join("tokens/istio-token"), kubernetes.run(&create)?)?;
    let path = "jsonpath={.data.root-cert\\.pem}";
    let read = ["get", "configmap", "istio-ca-root-cert", "-o", path, "--namespace", pod.namespace];
    let root = eventually("istiod's root certificate", async || {
        let root = kubernetes.run(&read)?;
        if root.is_empty() { bail!("empty") } else { Ok(root) }
    })
    .await?;
    fs::write(secrets.join("istio/root-cert.pem"), root)?;
    Ok(())
}

fn environment(
    mesh: &Mesh,
    pod: &Pod<'_>,
    folder: &Path,
    admin: SocketAddr,
) -> Result<Vec<String>> {
    let config = json!({
        "discoveryAddress": mesh.control_plane.address.to_string(),
        "proxyAdminPort": admin.port(),
        "statusPort": free_port()?,
        "concurrency": 2,
        "binaryPath": mesh.envoy,
        "configPath": folder.join("proxy"),
        "proxyBootstrapTemplatePath": template(mesh, folder)?,
        "terminationDrainDuration": "0.1s",
        "extraStatTags": stat_tags()?,
        "proxyMetadata": {"METRICS_LOCALHOST_ACCESS_ONLY": "true"}
    });
    let name = pod.labels["app"].as_str().unwrap_or(pod.kind);
    let mut environment = vec![
        format!("POD_NAME={name}"),
        format!("POD_NAMESPACE={}", pod.namespace),
        "INSTANCE_IP=127.0.0.1".into(),
        "ISTIO_META_CLUSTER_ID=Kubernetes".into(),
        format!("ISTIO_METAJSON_LABELS={}", pod.labels),
        format!("ENVOY_PROMETHEUS_PORT={}", free_port()?),
        format!("ENVOY_STATUS_PORT={}", free_port()?),
        format!("PROXY_CONFIG={config}"),
    ];
    if pod.kind == "sidecar" {
        // Clients come to the listeners themselves: no iptables send them there.
        environment.push("ISTIO_META_INTERCEPTION_MODE=NONE".into());
    }
    environment.extend(pod.environment.iter().map(|&each| each.into()));
    Ok(environment)
}

/// The labels of metrics, which istiod would write into a pod from its mesh configuration.
fn stat_tags() -> Result<Value> {
    let text = fs::read_to_string(crate::root().join("manifests/istio/mesh.yaml"))?;
    let mesh: Value = serde_saphyr::from_str(&text)?;
    let tags = &mesh["spec"]["meshConfig"]["defaultConfig"]["extraStatTags"];
    ensure!(tags.is_array(), "no extraStatTags in mesh.yaml");
    Ok(tags.clone())
}

/// Istio's own template of Envoy's bootstrap, without an extension that only Istio's own build of
/// Envoy has: a waypoint's telemetry names its peers with it.
fn template(mesh: &Mesh, folder: &Path) -> Result<PathBuf> {
    let istio = mesh.tools.module("istio.io/istio")?;
    let text = fs::read_to_string(istio.join("tools/packaging/common/envoy_bootstrap.json"))?;
    let path = folder.join("bootstrap-template.json");
    fs::write(&path, text.replace("{{- if .metadata_discovery }}", "{{- if false }}"))?;
    Ok(path)
}
