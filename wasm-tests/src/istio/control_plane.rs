//! istiod.

use super::free_port;
use super::kubernetes::Kubernetes;
use super::tools::Tools;
use crate::process::Process;
use anyhow::Result;
use serde_json::json;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

/// A running istiod. It ends when this value is dropped.
pub struct ControlPlane {
    /// The address at which it serves xDS and certificates.
    pub address: SocketAddr,
    http: SocketAddr,
    _process: Process,
}

/// Envoy as its project releases it lacks two filters of Istio's own, which exchange metadata and
/// choose ALPN. The last two make a hundred updates quick
/// and allow waypoints.
const ENVIRONMENT: [&str; 5] = [
    "POD_NAMESPACE=istio-system",
    "PILOT_ENABLE_METADATA_EXCHANGE=false",
    "PILOT_ENABLE_ALPN_FILTER=false",
    "PILOT_DEBOUNCE_AFTER=10ms",
    "PILOT_ENABLE_AMBIENT=true",
];

impl ControlPlane {
    /// Starts it, and waits until it has read everything.
    pub async fn start(tools: &Tools, kubernetes: &Kubernetes, folder: &Path) -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let http = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let mesh = folder.join("mesh.yaml");
        // istiod's certificate names the host that proxies reach it by.
        let config = json!({"defaultConfig": {"discoveryAddress": address.to_string()}});
        fs::write(&mesh, config.to_string())?;
        let mut arguments = vec![format!("--chdir={}", folder.display())];
        arguments.extend(ENVIRONMENT.map(Into::into));
        arguments.push(tools.path("pilot-discovery").display().to_string());
        arguments.push("discovery".into());
        arguments.push(format!("--kubeconfig={}", kubernetes.kubeconfig.display()));
        arguments.push(format!("--meshConfig={}", mesh.display()));
        arguments.push(format!("--secureGRPCAddr={address}"));
        arguments.push(format!("--httpAddr={http}"));
        let others = ["--grpcAddr", "--httpsAddr", "--monitoringAddr"];
        arguments.extend(others.map(|option| format!("{option}=127.0.0.1:0")));
        arguments.push("--ctrlz_port=0".into());
        let mut process = Process::spawn("env", arguments, folder.join("istiod.log"))?;
        process.until("istiod", async || crate::envoy::get(http, "/ready").await).await?;
        Ok(Self { address, http, _process: process })
    }

    /// The configuration that it sends to a proxy, as Envoy's own dump would show it.
    pub async fn dump(&self, pod: &str, namespace: &str) -> Result<String> {
        let page = format!("/debug/config_dump?proxyID={pod}.{namespace}");
        Ok(String::from_utf8(crate::envoy::get(self.http, &page).await?)?)
    }
}
