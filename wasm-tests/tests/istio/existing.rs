//! `manifests/istio/existing.md`: what a user adds to the routes that are there, step by step.

use crate::steer::{self, reaches, stable_user};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::fs;
use wasm_tests::istio::folder::Settings;
use wasm_tests::istio::place::Place;
use wasm_tests::wait::eventually;

const OVERLAY: &str = "overlays/existing";

/// A resource before and after its change.
struct Change {
    before: String,
    after: String,
}

/// The changes of the document, whose diffs show the whole resource.
fn changes(place: &Place) -> Result<Vec<Change>> {
    let text = fs::read_to_string(place.folder.path("istio/existing.md"))?;
    let blocks = text.split("```diff\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0));
    let side = |block: &str, sign: char| -> String {
        let lines = block.lines().filter(|line| line.starts_with([' ', sign]));
        lines.filter_map(|line| line.get(1..)).map(|line| format!("{line}\n")).collect()
    };
    let change = |block| Change { before: side(block, '-'), after: side(block, '+') };
    Ok(blocks.map(change).collect())
}

fn apply(place: &Place, yaml: &str) -> Result<()> {
    let file = place.folder.path("applied.yaml");
    fs::write(&file, yaml)?;
    place.mesh.tools.validate(file.as_ref())?;
    place.kubectl(&["apply", "-f", &file]).map(drop)
}

#[tokio::test]
async fn what_is_added_to_existing_routes_serves_stable_until_the_plugin_comes() -> Result<()> {
    let place = Place::new("existing").await?;
    let changes = changes(&place)?;
    let [rule, service, http] = changes.as_slice() else { anyhow::bail!("not three diffs") };
    for yaml in [&http.before, &http.after] {
        apply(&place, yaml)?;
    }
    for yaml in [&rule.before, &service.before] {
        apply(&place, yaml)?;
    }
    let (proxy, address) = place.sidecar("productpage").await?;
    let request = place.request();
    let versions = async |expected: &[&str]| {
        eventually("the routes", async || {
            let mut reached = BTreeSet::new();
            for _ in 0..40 {
                let reply = steer::ask(address, &request).await?;
                reached.insert(reply.upstream().context("no upstream")?.to_owned());
            }
            ensure!(reached.iter().eq(expected), "{reached:?}");
            Ok(())
        })
        .await
    };
    versions(&["v1", "v3"]).await?;
    // Steps 1 and 2: from here on the stable version serves everyone.
    apply(&place, &rule.after)?;
    versions(&["v1", "v3"]).await?;
    apply(&place, &service.after)?;
    versions(&["v1"]).await?;
    // Step 3.
    let settings = Settings { image: &place.mesh.image, host: &place.host, port: place.port };
    place.folder.set_in(&format!("{OVERLAY}/settings.yaml"), &settings)?;
    let file = format!("{OVERLAY}/kustomization.yaml");
    place.folder.line(&file, "namespace: ", place.namespace)?;
    place.kubectl(&["apply", "-k", &place.folder.path(OVERLAY)])?;
    proxy.plugin(|_| true).await?;
    let plan = steer::plan(&place, OVERLAY)?;
    let tester = stable_user(&request, &plan)?.with("x-user-group", "beta");
    eventually("the canary", async || reaches(address, &tester, "v3").await).await?;
    steer::steers(address, &request, &plan).await?;
    steer::is_not_fooled(address, &request, &plan, "x-split-variant", "canary").await
}
