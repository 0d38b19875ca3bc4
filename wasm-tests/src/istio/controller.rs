//! The controllers that write weights into routes, as released: Flagger and Argo Rollouts.

use super::free_port;
use super::place::Place;
use crate::process::Process;
use anyhow::{Result, ensure};
use std::net::SocketAddr;

/// A running controller of one namespace. It ends when this value is dropped.
pub struct Controller(Process);

impl Controller {
    /// Starts Flagger, whose analysis asks a Prometheus at this address.
    pub async fn flagger(place: &Place, analysis: SocketAddr) -> Result<Self> {
        let tools = &place.mesh.flagger;
        let module = tools.module("github.com/fluxcd/flagger")?;
        place.mesh.kubernetes.types(&module.join("artifacts/flagger/crd.yaml"))?;
        let options = [
            format!("-kubeconfig={}", place.mesh.kubernetes.kubeconfig.display()),
            format!("-namespace={}", place.namespace),
            format!("-metrics-server=http://{analysis}"),
            format!("-port={}", free_port()?),
            "-mesh-provider=istio".into(),
            "-control-loop-interval=1s".into(),
        ];
        let mut process = Process::spawn(tools.path("flagger"), options, log(place, "flagger"))?;
        says(&mut process, "Started operator workers").await?;
        Ok(Self(process))
    }

    /// Starts the controller of Argo Rollouts.
    pub async fn argo_rollouts(place: &Place) -> Result<Self> {
        let tools = &place.mesh.argo_rollouts;
        let types = tools.module("github.com/argoproj/argo-rollouts")?.join("manifests/crds");
        let analysis = ["analysis-run", "analysis-template", "cluster-analysis-template"];
        for each in ["rollout", "experiment"].iter().chain(&analysis) {
            place.mesh.kubernetes.types(&types.join(format!("{each}-crd.yaml")))?;
        }
        let options = [
            format!("--kubeconfig={}", place.mesh.kubernetes.kubeconfig.display()),
            format!("--namespace={}", place.namespace),
            "--namespaced".into(),
            "--leader-elect=false".into(),
            format!("--metricsPort={}", free_port()?),
            format!("--healthzPort={}", free_port()?),
        ];
        let log = log(place, "argo-rollouts");
        let mut process = Process::spawn(tools.path("rollouts-controller"), options, log)?;
        says(&mut process, "Started rollout workers").await?;
        Ok(Self(process))
    }

    /// The controller's output so far.
    pub fn log(&self) -> String {
        self.0.log()
    }
}

fn log(place: &Place, name: &str) -> std::path::PathBuf {
    place.mesh.folder.join(place.namespace).join(format!("{name}.log"))
}

async fn says(process: &mut Process, line: &str) -> Result<()> {
    let log = process.log_path().to_owned();
    process
        .until("the controller", async || {
            let said = crate::process::read(&log).contains(line);
            ensure!(said, "it has not said `{line}`");
            Ok(())
        })
        .await
}
