//! The reader that kubectl and the Kubernetes API server have for YAML. `splitctl` is held to the same
//! answers by its own tests, without Go.

use anyhow::Result;
use serde_json::Value;
use wasm_tests::istio::tools;

/// Scalars, and what the reader made of each.
const RECORDED: &str = include_str!("../../splitctl/scalars.json");

#[test]
fn kubernetes_reads_each_scalar_as_recorded() -> Result<()> {
    let recorded: Vec<Value> = serde_json::from_str(RECORDED)?;
    let scalars: Vec<_> = recorded.iter().map(|answer| &answer["scalar"]).collect();
    let answers = tools::go_run("istio/yaml", &serde_json::to_string(&scalars)?)?;
    let answers = answers.lines().map(serde_json::from_str);
    assert_eq!(answers.collect::<Result<Vec<Value>, _>>()?, recorded);
    Ok(())
}
