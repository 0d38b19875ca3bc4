//! The whole: one Kubernetes API, istiod and registry for every test, a namespace for each.

use super::control_plane::ControlPlane;
use super::folder::{Folder, Settings};
use super::kubernetes::Kubernetes;
use super::proxy::{Pod, Proxy};
use super::registry::Registry;
use super::tools::Tools;
use super::{ENVOY, free_port};
use crate::message::Request;
use crate::upstream::{self, Upstream};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;
use tokio::sync::OnceCell;

/// What every test shares. It ends with the process.
pub struct Mesh {
    /// The programs.
    pub tools: Tools,
    /// The API that resources are applied to.
    pub kubernetes: Kubernetes,
    /// istiod.
    pub control_plane: ControlPlane,
    /// Where images are.
    pub registry: Registry,
    /// The module's image, by digest.
    pub image: String,
    /// The Envoy that the agents start.
    pub envoy: PathBuf,
    /// Logs and working files, until the next run.
    pub folder: PathBuf,
    _lock: File,
}

static MESH: OnceCell<Mesh> = OnceCell::const_new();

impl Mesh {
    /// The one of this process.
    pub async fn shared() -> Result<&'static Self> {
        MESH.get_or_try_init(Self::start).await
    }

    async fn start() -> Result<Self> {
        let tools = Tools::install()?;
        let envoy = match std::env::var_os("ENVOY") {
            Some(envoy) => envoy.into(),
            None => crate::find::install(ENVOY)?,
        };
        let folder = crate::target().join("istio/run");
        let lock = File::create(crate::target().join("istio/run.lock"))?;
        lock.lock().context("waiting for another run of this suite")?;
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let kubernetes = Kubernetes::start(&tools, &folder).await?;
        let control_plane = ControlPlane::start(&tools, &kubernetes, &folder).await?;
        let registry = Registry::start(&tools, &folder).await?;
        let image = registry.push(&tools, &folder)?;
        let mesh =
            Self { tools, kubernetes, control_plane, registry, image, envoy, folder, _lock: lock };
        mesh.kubernetes.namespace("istio-system")?;
        Ok(mesh)
    }
}

/// A namespace with the service to split: version v1 and version v3, both real servers.
pub struct Place {
    /// What it is part of.
    pub mesh: &'static Mesh,
    /// Its name.
    pub namespace: &'static str,
    /// The service.
    pub host: String,
    /// The service's port, where sidecars of this namespace listen for it.
    pub port: u16,
    /// The user's copy of the manifests.
    pub folder: Folder,
    _upstreams: BTreeMap<String, Upstream>,
}

impl Place {
    /// Makes one.
    pub async fn new(namespace: &'static str) -> Result<Self> {
        let mesh = Mesh::shared().await?;
        mesh.kubernetes.namespace(namespace)?;
        let upstreams = upstream::start(["v1", "v3"]).await?;
        let folder = Folder::copy(&mesh.folder.join(namespace).join("manifests"))?;
        let host = format!("reviews.{namespace}.svc.cluster.local");
        let port = free_port()?;
        folder.set(&Settings { image: &mesh.image, host: &host, port })?;
        let place = Self { mesh, namespace, host, port, folder, _upstreams: upstreams };
        let versions = ["v1", "v3"].map(|version| (version, version));
        let service = place.service("reviews", port, &versions);
        mesh.kubernetes.apply(namespace, &[service, only_this_namespace()])?;
        Ok(place)
    }

    /// A service whose versions are these upstreams. A Kubernetes service cannot have endpoints on
    /// the loopback interface; a `ServiceEntry` can, and Istio treats the two alike.
    pub fn service(&self, name: &str, port: u16, versions: &[(&str, &str)]) -> Value {
        let endpoint = |(version, upstream): &(&str, &str)| {
            json!({
                "address": "127.0.0.1",
                "ports": {"http": self._upstreams[*upstream].address.port()},
                "labels": {"version": version}
            })
        };
        json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "ServiceEntry",
            "metadata": {"name": name},
            "spec": {
                "hosts": [format!("{name}.{}.svc.cluster.local", self.namespace)],
                "ports": [{"number": port, "name": "http", "protocol": "HTTP"}],
                "resolution": "STATIC",
                "location": "MESH_INTERNAL",
                "endpoints": versions.iter().map(endpoint).collect::<Vec<_>>()
            }
        })
    }

    /// Runs kubectl in this namespace.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let namespace = ["--namespace", self.namespace];
        self.mesh.kubernetes.run(&[&namespace, arguments].concat())
    }

    /// A sidecar of the workload `app`, and where it listens for the service.
    pub async fn sidecar(&self, app: &str) -> Result<(Proxy, SocketAddr)> {
        self.sidecar_with(app, &[]).await
    }

    /// The same, with this in its environment.
    pub async fn sidecar_with(
        &self,
        app: &str,
        environment: &[&str],
    ) -> Result<(Proxy, SocketAddr)> {
        let labels = json!({"app": app});
        let pod = Pod { kind: "sidecar", namespace: self.namespace, labels, environment };
        let proxy = Proxy::start(self.mesh, &pod).await?;
        let address = proxy.listens(self.port).await?;
        Ok((proxy, address))
    }

    /// A request for the service.
    pub fn request(&self) -> Request {
        Request { authority: format!("{}:{}", self.host, self.port), ..Request::get("/reviews/0") }
    }
}

/// Every test's services are visible to every proxy otherwise, with their ports.
fn only_this_namespace() -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "Sidecar",
        "metadata": {"name": "default"},
        "spec": {"egress": [{"hosts": ["./*"]}]}
    })
}
