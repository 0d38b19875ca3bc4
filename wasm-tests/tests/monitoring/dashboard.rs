//! `manifests/monitoring/dashboard.json`, its queries asked as Grafana asks them.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use wasm_tests::picture::{Event, Line, Panel};
use wasm_tests::prometheus::Prometheus;

/// The rule whose panels have data: the dashboard shows one at a time.
fn rule(title: &str) -> &'static str {
    match title {
        "Guard" => "guarded",
        "New users, and expected" => "lost",
        "Shadow: would go elsewhere" => "tried",
        _ => "rollout",
    }
}

/// Every panel with what its queries return; fails where one returns nothing.
pub async fn panels(prometheus: &Prometheus, event: &Event) -> Result<Vec<Panel>> {
    let dashboard: Value = serde_json::from_str(&crate::manifest("dashboard.json")?)?;
    let mut panels = Vec::new();
    for panel in dashboard["panels"].as_array().context("no panels")? {
        let title = text(&panel["title"])?;
        let rule = rule(title);
        let mut lines = Vec::new();
        for target in panel["targets"].as_array().context("no targets")? {
            let expression = asked(text(&target["expr"])?, rule)?;
            let found = prometheus.range(&expression, event.start, event.end).await?;
            let values = found.iter().flat_map(|series| &series.values);
            let known = values.filter(|(_, value)| value.is_finite()).count();
            ensure!(known > 0, "the panel {title} has no data: {expression}");
            let dashed = dashed(panel, &target["refId"]);
            for series in found {
                let name = legend(text(&target["legendFormat"])?, &series.labels);
                lines.push(Line { name, dashed, series });
            }
        }
        // What never happened is not worth a line in a picture.
        let happened = |line: &Line| line.series.values.iter().any(|(_, value)| *value > 0.0);
        if lines.iter().any(happened) {
            lines.retain(happened);
        }
        let shown = if rule == "rollout" { String::new() } else { format!(" ({rule})") };
        let unit = text(&panel["fieldConfig"]["defaults"]["unit"])?.to_owned();
        panels.push(Panel { title: format!("{title}{shown}"), unit, lines });
    }
    ensure!(panels.len() == 13, "{} panels", panels.len());
    Ok(panels)
}

/// The expression with Grafana's variables filled in.
fn asked(expression: &str, rule: &str) -> Result<String> {
    let app = if rule == "rollout" { "shop" } else { ".*" };
    let mut text = expression.to_owned();
    for (variable, value) in
        [("$__rate_interval", "10s"), ("$namespace", ".*"), ("$app", app), ("$rule", rule)]
    {
        text = text.replace(variable, value);
    }
    ensure!(!text.contains('$'), "{text}");
    Ok(text)
}

fn legend(format: &str, labels: &BTreeMap<String, String>) -> String {
    let fill = |text: String, (label, value): (&String, &String)| {
        text.replace(&format!("{{{{{label}}}}}"), value)
    };
    labels.iter().fold(format.to_owned(), fill)
}

fn dashed(panel: &Value, query: &Value) -> bool {
    let overrides = panel["fieldConfig"]["overrides"].as_array();
    overrides.into_iter().flatten().any(|change| change["matcher"]["options"] == *query)
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().with_context(|| format!("{value} is no text"))
}
