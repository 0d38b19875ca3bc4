//! The commands of `manifests/overlays/README.md`, which refuse a bad change.

use crate::shell::Shell;
use anyhow::{Result, ensure};
use wasm_tests::istio::place::Place;
use wasm_tests::splitctl;

#[tokio::test]
async fn a_pipeline_refuses_a_bad_change() -> Result<()> {
    let place = Place::new("pipeline").await?;
    let shell = Shell::new(&place)?;
    let blocks = shell.blocks("overlays/README.md")?;
    let [check] = blocks.as_slice() else { anyhow::bail!("not one block: {blocks:?}") };
    let program = splitctl::program()?;
    let check = format!("PATH={}:$PATH\n{check}", program.parent().unwrap_or(&program).display());
    shell.run(&check)?;
    let weight = "  canary: ";
    place.folder.line("overlays/prod/settings.yaml", weight, "\"-1\"")?;
    let error = shell.run(&check).expect_err("a weight below 0").to_string();
    ensure!(error.contains("must be at least 0"), "{error}");
    place.folder.line("overlays/prod/settings.yaml", weight, "\"1\"")?;
    place.folder.replace(
        "istio/components/variant-header/virtual-service.yaml",
        "- name: canary\n",
        "- name: canary\n    tiemout: 1s\n",
    )?;
    let error = shell.run(&check).expect_err("an unknown field").to_string();
    ensure!(error.contains("tiemout"), "{error}");
    Ok(())
}
