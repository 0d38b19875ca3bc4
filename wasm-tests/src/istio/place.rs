//! A test's part of the mesh: a namespace of its own, with the service to split.

use super::folder::{Folder, Settings};
use super::free_port;
use super::mesh::Mesh;
use super::proxy::{Pod, Proxy};
use crate::message::Request;
use crate::upstream::{self, Upstream};
use anyhow::Result;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

/// A namespace with the service to split: version v1 and version v3, both real servers.
pub struct Place {
    /// The mesh that it is part of.
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

    /// A sidecar of the workload `app` that listens at another address of the loopback interface:
    /// two of one namespace would share the first.
    pub async fn sidecar_at(&self, app: &str, address: Ipv4Addr) -> Result<(Proxy, SocketAddr)> {
        let sidecar = json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "Sidecar",
            "metadata": {"name": app},
            "spec": {
                "workloadSelector": {"labels": {"app": app}},
                "egress": [{
                    "bind": address,
                    "port": {"number": self.port, "name": "http", "protocol": "HTTP"},
                    "hosts": ["./*"]
                }]
            }
        });
        self.mesh.kubernetes.apply(self.namespace, &[sidecar])?;
        let labels = json!({"app": app});
        let pod = Pod { kind: "sidecar", namespace: self.namespace, labels, environment: &[] };
        let proxy = Proxy::start(self.mesh, &pod).await?;
        let address = proxy.listens_at((address, self.port).into()).await?;
        Ok((proxy, address))
    }

    /// The same sidecar, with these variables in its environment.
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
