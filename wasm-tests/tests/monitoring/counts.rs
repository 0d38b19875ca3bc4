//! The expression by which `splitctl watch` counts, in promtool: what Prometheus' own `increase` makes
//! of the same series is beside it.

use super::Programs;
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::fs;

/// The expression of `splitctl watch`, for a metric and its range.
fn count(series: &str) -> Result<String> {
    let path = wasm_tests::root().join("src/bin/splitctl/watch/count.promql");
    Ok(fs::read_to_string(path)?.replace("BY", "variant").replace("SERIES", series))
}

#[test]
fn counts_are_exact_and_do_not_grow_without_traffic() -> Result<()> {
    let Some(programs) = Programs::find()? else { return Ok(()) };
    let expect = |expression: String, at: &str, value: f64| {
        let sample = json!({"labels": "{variant=\"canary\"}", "value": value});
        json!({"expr": expression, "eval_time": at, "exp_samples": [sample]})
    };
    // Four scrapes in a minute, with 10 responses between two of them; no traffic from 5 minutes on; a
    // proxy that begins anew after ten.
    let labels = r#"{variant="canary",instance="shop:1"}"#;
    let series = json!({
        "series": format!("n{labels}"),
        "values": "0+10x20 200x20 0 10 20 30"
    });
    let exact = |range: &str| count(&format!("n[{range}]"));
    let increase = |range: &str| format!("sum by (variant) (increase(n[{range}]))");
    let tests: Vec<Value> = vec![
        // The window holds four scrapes with 30 responses between them; `increase` makes 39 of them.
        expect(exact("59s")?, "4m10s", 30.0),
        expect(format!("round({})", increase("59s")), "4m10s", 39.0),
        // Both windows begin after 1 minute, and the traffic ends within them.
        expect(exact("300s")?, "6m1s", 150.0),
        expect(exact("420s")?, "8m1s", 150.0),
        expect(format!("round({})", increase("300s")), "6m1s", 158.0),
        // In the beginning, `increase` reaches out to what it has not seen.
        expect(exact("30s")?, "5m5s", 10.0),
        expect(increase("30s"), "5m5s", 20.0),
        // 10 since the proxy began anew, less what the scale takes too much.
        expect(format!("round({})", exact("70s")?), "10m55s", 9.0),
    ];
    let test = json!({
        "evaluation_interval": "15s",
        "tests": [{"interval": "15s", "input_series": [series], "promql_expr_test": tests}]
    });
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("test.yaml"), test.to_string())?;
    let said = programs.promtool(folder.path(), &["test", "rules", "test.yaml"])?;
    ensure!(said.contains("SUCCESS"), "{said}");
    Ok(())
}
