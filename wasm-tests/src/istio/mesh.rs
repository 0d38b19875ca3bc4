//! One Kubernetes API, istiod and registry, which all tests share.

use super::ENVOY;
use super::control_plane::ControlPlane;
use super::kubernetes::Kubernetes;
use super::registry::Registry;
use super::tools::Tools;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::path::PathBuf;
use tokio::sync::OnceCell;

/// The programs that every test shares. They end with the process.
pub struct Mesh {
    /// Istio's programs, and those that it needs.
    pub tools: Tools,
    /// Flagger.
    pub flagger: Tools,
    /// The controller of Argo Rollouts.
    pub argo_rollouts: Tools,
    /// The API that resources are applied to.
    pub kubernetes: Kubernetes,
    /// istiod.
    pub control_plane: ControlPlane,
    /// The registry of images.
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
        // All are built before anything runs, which a build would slow down.
        let tools = Tools::install("istio")?;
        let flagger = Tools::install("flagger")?;
        let argo_rollouts = Tools::install("argo-rollouts")?;
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
        let mesh = Self {
            tools,
            flagger,
            argo_rollouts,
            kubernetes,
            control_plane,
            registry,
            image,
            envoy,
            folder,
            _lock: lock,
        };
        mesh.kubernetes.namespace("istio-system")?;
        Ok(mesh)
    }
}
