//! `manifests/flagger`: the weights are Flagger's.

use crate::callers::Callers;
use crate::shell::Shell;
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use wasm_tests::bootstrap::POINT_HEADER;
use wasm_tests::istio::analysis::Analysis;
use wasm_tests::istio::controller::Controller;
use wasm_tests::istio::place::Place;
use wasm_tests::istio::reports::Reports;
use wasm_tests::wait::eventually;

const CANARY: &str = "flagger/canary.yaml";

/// A namespace with a service, its Canary, and Flagger.
struct Stage {
    place: Place,
    analysis: Analysis,
    flagger: Controller,
    _reports: Reports,
}

impl Stage {
    /// Applies the Canary as it is in the folder, and waits until Flagger has taken it over.
    async fn set(place: Place) -> Result<Self> {
        let namespace = place.namespace;
        let reports = Reports::start(&place.mesh.kubernetes, namespace);
        // Flagger makes these services; their pods are ours.
        let primary = place.service("reviews-primary", place.port, &[("v1", "v1")]);
        let canary = place.service("reviews-canary", place.port, &[("v3", "v3")]);
        place.mesh.kubernetes.apply(namespace, &[deployment(), primary, canary])?;
        let analysis = Analysis::start().await?;
        let flagger = Controller::flagger(&place, analysis.address).await?;
        place.folder.replace(CANARY, "port: 9080", &format!("port: {}", place.port))?;
        // 10 seconds are the least that Flagger takes.
        let interval = "interval: 1m\n    threshold";
        place.folder.replace(CANARY, interval, "interval: 10s\n    threshold")?;
        place.kubectl(&["apply", "-f", &place.folder.path(CANARY)])?;
        let stage = Self { place, analysis, flagger, _reports: reports };
        stage.phase("Initialized").await?;
        Ok(stage)
    }

    async fn phase(&self, phase: &str) -> Result<()> {
        let namespace = self.place.namespace;
        let path = format!("/apis/flagger.app/v1beta1/namespaces/{namespace}/canaries/reviews");
        eventually(phase, async || {
            let canary = self.place.mesh.kubernetes.get(&path).await?;
            let is = canary["status"]["phase"].as_str().context("no phase");
            let is = is.with_context(|| self.flagger.log())?;
            ensure!(is == phase, "{is}\n{}", self.flagger.log());
            Ok(())
        })
        .await
    }

    fn release(&self) -> Result<()> {
        let image = "reviews=registry.example.com/reviews:v2";
        self.place.kubectl(&["set", "image", "deployment/reviews", image]).map(drop)
    }
}

fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "reviews"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "reviews"}},
            "template": {
                "metadata": {"labels": {"app": "reviews"}},
                "spec": {"containers": [
                    {"name": "reviews", "image": "registry.example.com/reviews:v1"}
                ]}
            }
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flagger_promotes_a_canary_and_nobody_leaves_it_before() -> Result<()> {
    let stage = Stage::set(Place::new("flagger").await?).await?;
    let shell = Shell::new(&stage.place)?;
    let blocks = shell.blocks("flagger/README.md")?;
    let [apply, see] = blocks.as_slice() else { bail!("not two blocks: {blocks:?}") };
    shell.run(apply)?;
    let callers = Callers::start(&stage.place, "flagger").await?;
    callers.see(&shell, see, &[POINT_HEADER, "Initialized"]).await?;
    let crowds = callers.crowds().await?;
    stage.release()?;
    for percent in (10..=100).step_by(10) {
        crowds.with.has(percent).await?;
    }
    // The promotion: the primary runs the new version, and serves everyone.
    stage.phase("Succeeded").await?;
    let seen = callers.judge(crowds).await?;
    assert_eq!(seen.weights(), [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 0]);
    Ok(())
}

/// Here the route has a name, and the filter is there before Flagger has made the route.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flagger_rolls_a_canary_back_and_everyone_is_on_stable() -> Result<()> {
    let place = Place::new("flagger-rollback").await?;
    let (line, name) = ("match: [ { name: weights, uri: { prefix: / } } ]", ".weights");
    let text = std::fs::read_to_string(place.folder.path("flagger/README.md"))?;
    ensure!(text.contains(line) && text.contains(&format!("`{name}`")), "{text}");
    place.folder.replace(CANARY, "  service:\n", &format!("  service:\n    {line}\n"))?;
    let path = "path: /spec/configPatches/0/match/routeConfiguration/vhost/route/name\n";
    let (from, to) = (format!("op: remove\n      {path}"), format!("op: replace\n      {path}"));
    let to = format!("{to}      value: {name}\n");
    place.folder.replace("flagger/kustomization.yaml", &from, &to)?;
    place.kubectl(&["apply", "-k", &place.folder.path("flagger")])?;
    let stage = Stage::set(place).await?;
    let callers = Callers::start(&stage.place, "flagger").await?;
    let crowds = callers.crowds().await?;
    stage.release()?;
    crowds.with.has(20).await?;
    stage.analysis.fail();
    stage.phase("Failed").await?;
    crowds.with.has(0).await?;
    crowds.with.everyone_asks().await?;
    let seen = callers.judge(crowds).await?;
    assert_eq!(seen.weights(), [0, 10, 20, 0]);
    Ok(())
}
