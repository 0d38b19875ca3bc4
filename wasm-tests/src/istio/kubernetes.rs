//! The Kubernetes API: etcd and the API server. There is no node and no controller, so nothing
//! that is applied is ever run; Istio only reads it.

use super::free_port;
use super::tools::{Tools, output};
use crate::process::Process;
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A running Kubernetes API. It ends when this value is dropped.
pub struct Kubernetes {
    kubectl: PathBuf,
    /// The file by which clients reach it.
    pub kubeconfig: PathBuf,
    /// The address at which `kubectl proxy` serves it without TLS.
    plain: SocketAddr,
    // In the order in which they end.
    _proxy: Process,
    _api: Process,
    _etcd: Process,
}

impl Kubernetes {
    /// Starts it, with the resource types of Istio and the Gateway API.
    pub async fn start(tools: &Tools, folder: &Path) -> Result<Self> {
        let (etcd, store) = etcd(tools, folder).await?;
        let port = free_port()?;
        fs::write(folder.join("tokens"), "secret,admin,admin,\"system:masters\"\n")?;
        let kubeconfig = folder.join("kubeconfig");
        fs::write(&kubeconfig, config(port))?;
        let key = folder.join("etcd/fixtures/peer/key.pem");
        let key = key.to_str().context("the path is not UTF-8")?;
        let options = [
            format!("--etcd-servers={store}"),
            format!("--secure-port={port}"),
            format!("--cert-dir={}", folder.join("certs").display()),
            format!("--token-auth-file={}", folder.join("tokens").display()),
            // etcd has made itself a key; tokens of service accounts are signed with the same.
            format!("--service-account-key-file={key}"),
            format!("--service-account-signing-key-file={key}"),
            "--service-account-issuer=https://kubernetes.default.svc".into(),
            "--bind-address=127.0.0.1".into(),
            "--endpoint-reconciler-type=none".into(),
            "--service-cluster-ip-range=10.96.0.0/16".into(),
            "--authorization-mode=AlwaysAllow".into(),
            // Accounts come from a controller, which there is none of.
            "--disable-admission-plugins=ServiceAccount".into(),
        ];
        let log = folder.join("kube-apiserver.log");
        let mut api = Process::spawn(tools.path("kube-apiserver"), options, log)?;
        let kubectl = tools.path("kubectl");
        let ready = async || run(&kubectl, &kubeconfig, &["get", "--raw", "/readyz"]);
        api.until("the API server", ready).await?;
        let (proxy, plain) = proxy(&kubectl, &kubeconfig, folder).await?;
        let kubernetes = Self { kubectl, kubeconfig, plain, _proxy: proxy, _api: api, _etcd: etcd };
        let istio = tools.module("istio.io/istio")?;
        kubernetes.types(&istio.join("manifests/charts/base/files/crd-all.gen.yaml"))?;
        let gateway = tools.module("sigs.k8s.io/gateway-api")?;
        kubernetes.types(&gateway.join("config/crd/standard"))?;
        kubernetes.run(&["create", "namespace", "istio-system"])?;
        Ok(kubernetes)
    }

    /// Runs kubectl; what it prints.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        run(&self.kubectl, &self.kubeconfig, arguments)
    }

    /// Adds the resource types of a file or folder.
    pub fn types(&self, path: &Path) -> Result<()> {
        self.run(&["apply", "--server-side", "-f", &path.to_string_lossy()]).map(drop)
    }

    /// Reads a path of the API, such as `/api/v1/namespaces`: quicker than [`Self::run`].
    pub async fn get(&self, path: &str) -> Result<Value> {
        Ok(serde_json::from_slice(&crate::envoy::get(self.plain, path).await?)?)
    }

    /// Applies resources.
    pub fn apply(&self, namespace: &str, resources: &[Value]) -> Result<()> {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": resources});
        let mut child = Command::new(&self.kubectl)
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(["--namespace", namespace, "apply", "-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        child
            .stdin
            .take()
            .context("kubectl has no input")?
            .write_all(list.to_string().as_bytes())?;
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!("kubectl apply: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    /// A namespace with the account that its workloads run as.
    pub fn namespace(&self, name: &str) -> Result<()> {
        if name != "istio-system" {
            self.run(&["create", "namespace", name])?;
        }
        self.run(&["create", "serviceaccount", "default", "--namespace", name])?;
        Ok(())
    }
}

async fn etcd(tools: &Tools, folder: &Path) -> Result<(Process, String)> {
    let client = format!("http://127.0.0.1:{}", free_port()?);
    let peer = format!("https://127.0.0.1:{}", free_port()?);
    let options = [
        format!("--data-dir={}", folder.join("etcd").display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        "--peer-auto-tls".into(),
        "--unsafe-no-fsync".into(),
    ];
    // The program's name in its module is `server`.
    let log = folder.join("etcd.log");
    let mut etcd = Process::spawn(tools.path("server"), options, log.clone())?;
    let ready = async || {
        let ready = fs::read_to_string(&log)?.contains("serving client traffic");
        ensure!(ready, "it does not serve");
        Ok(())
    };
    etcd.until("etcd", ready).await?;
    Ok((etcd, client))
}

async fn proxy(kubectl: &Path, kubeconfig: &Path, folder: &Path) -> Result<(Process, SocketAddr)> {
    let plain = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
    let options = [
        format!("--kubeconfig={}", kubeconfig.display()),
        "proxy".into(),
        format!("--port={}", plain.port()),
        // A client may name any host.
        "--accept-hosts=.*".into(),
    ];
    let mut proxy = Process::spawn(kubectl, options, folder.join("kubectl-proxy.log"))?;
    proxy.until("kubectl proxy", async || crate::envoy::get(plain, "/readyz").await).await?;
    Ok((proxy, plain))
}

fn run(kubectl: &Path, kubeconfig: &Path, arguments: &[&str]) -> Result<String> {
    output(Command::new(kubectl).arg("--kubeconfig").arg(kubeconfig).args(arguments))
}

fn config(port: u16) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": {
            "server": format!("https://127.0.0.1:{port}"),
            "insecure-skip-tls-verify": true
        }}],
        "users": [{"name": "admin", "user": {"token": "secret"}}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": "admin"}}],
        "current-context": "local"
    })
    .to_string()
}
