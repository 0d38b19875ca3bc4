//! `manifests/argo-rollouts`: the weights are those of Argo Rollouts.

use crate::callers::Callers;
use crate::shell::Shell;
use anyhow::{Result, bail, ensure};
use wasm_tests::bootstrap::POINT_HEADER;
use wasm_tests::istio::analysis::Analysis;
use wasm_tests::istio::controller::Controller;
use wasm_tests::istio::place::Place;
use wasm_tests::istio::reports::Reports;
use wasm_tests::wait::eventually;

const FILE: &str = "argo-rollouts/rollout.yaml";

/// A namespace with a service, its Rollout, and the controller.
struct Stage {
    place: Place,
    analysis: Analysis,
    controller: Controller,
    _reports: Reports,
}

impl Stage {
    /// Applies the Rollout as it is in the folder, with pauses that the test ends, and waits until its first
    /// version is there.
    async fn set(namespace: &'static str) -> Result<Self> {
        let place = Place::new(namespace).await?;
        let reports = Reports::start(&place.mesh.kubernetes, namespace);
        // The pods of the Rollout's services are ours.
        let stable = place.service("reviews-stable", place.port, &[("v1", "v1")]);
        let canary = place.service("reviews-canary", place.port, &[("v3", "v3")]);
        place.mesh.kubernetes.apply(namespace, &[stable, canary])?;
        let analysis = Analysis::start().await?;
        let controller = Controller::argo_rollouts(&place).await?;
        place.folder.replace_all(FILE, 3, "port: 9080", &format!("port: {}", place.port))?;
        // Without an end, so that everyone can ask at each step.
        place.folder.replace_all(FILE, 4, "pause: { duration: 10m }", "pause: {}")?;
        // Without this step the controller leaves 100 % at once, and who looks now and then misses it.
        let last = "      - setWeight: 80\n      - pause: {}\n";
        let whole = format!("{last}      - setWeight: 100\n      - pause: {{}}\n");
        place.folder.replace(FILE, last, &whole)?;
        place.folder.replace(FILE, "interval: 1m", "interval: 2s")?;
        let address = format!("http://{}", analysis.address);
        place.folder.line(FILE, "        address: ", &address)?;
        place.kubectl(&["apply", "-f", &place.folder.path(FILE)])?;
        let stage = Self { place, analysis, controller, _reports: reports };
        stage.phase("Healthy").await?;
        Ok(stage)
    }

    async fn phase(&self, phase: &str) -> Result<()> {
        let namespace = self.place.namespace;
        let path = format!("/apis/argoproj.io/v1alpha1/namespaces/{namespace}/rollouts/reviews");
        eventually(phase, async || {
            let rollout = self.place.mesh.kubernetes.get(&path).await?;
            let is = &rollout["status"];
            let generation = rollout["metadata"]["generation"].to_string();
            let observed = is["observedGeneration"].as_str() == Some(generation.as_str());
            ensure!(is["phase"] == phase && observed, "{is}\n{}", self.controller.log());
            Ok(())
        })
        .await
    }

    /// Ends a pause as `kubectl argo rollouts promote` does.
    fn go_on(&self) -> Result<()> {
        let patch = r#"{"status": {"pauseConditions": null}}"#;
        let patch = ["--subresource=status", "--type=merge", "-p", patch];
        self.place.kubectl(&[&["patch", "rollout", "reviews"], &patch[..]].concat()).map(drop)
    }

    fn release(&self) -> Result<()> {
        let patch = r#"[{"op": "replace", "path": "/spec/template/spec/containers/0/image",
            "value": "registry.example.com/reviews:v2"}]"#;
        self.place.kubectl(&["patch", "rollout", "reviews", "--type=json", "-p", patch]).map(drop)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn argo_rollouts_promotes_a_canary_and_nobody_leaves_it_before() -> Result<()> {
    let stage = Stage::set("argo-rollouts").await?;
    let shell = Shell::new(&stage.place)?;
    let blocks = shell.blocks("argo-rollouts/README.md")?;
    let [apply, see] = blocks.as_slice() else { bail!("not two blocks: {blocks:?}") };
    shell.run(apply)?;
    let callers = Callers::start(&stage.place, "argo-rollouts").await?;
    callers.see(&shell, see, &[POINT_HEADER, "UP-TO-DATE"]).await?;
    let crowds = callers.crowds().await?;
    stage.release()?;
    for percent in [5, 20, 50, 80, 100] {
        crowds.with.has(percent).await?;
        crowds.with.everyone_asks().await?;
        stage.go_on()?;
    }
    // The promotion: the stable service gets the new version, and serves everyone.
    stage.phase("Healthy").await?;
    crowds.with.has(0).await?;
    let seen = callers.judge(crowds).await?;
    let weights = seen.weights();
    assert!(weights == [0, 5, 20, 50, 80, 100, 0], "{weights:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn argo_rollouts_rolls_a_canary_back_and_everyone_is_on_stable() -> Result<()> {
    let stage = Stage::set("argo-rollback").await?;
    stage.place.kubectl(&["apply", "-k", &stage.place.folder.path("argo-rollouts")])?;
    let callers = Callers::start(&stage.place, "argo-rollouts").await?;
    let crowds = callers.crowds().await?;
    stage.release()?;
    crowds.with.has(5).await?;
    stage.go_on()?;
    crowds.with.has(20).await?;
    crowds.with.everyone_asks().await?;
    stage.analysis.fail();
    stage.phase("Degraded").await?;
    crowds.with.has(0).await?;
    crowds.with.everyone_asks().await?;
    let seen = callers.judge(crowds).await?;
    assert_eq!(seen.weights(), [0, 5, 20, 0]);
    Ok(())
}
