//! `manifests/monitoring/` and `splitctl watch`, with a real Prometheus that scrapes real Envoys:
//! what each panel, each alert and each verdict says while a canary begins to fail.

mod access;
mod counts;
mod dashboard;
mod honest;
mod refused;
mod watch;
mod world;

use anyhow::{Result, ensure};
use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use wasm_tests::picture::{self, Event};
use wasm_tests::prometheus::{Programs, Prometheus, Series};
use wasm_tests::wait::eventually;
use wasm_tests::{readme, root};
use world::World;

/// A file of `manifests/monitoring/`.
fn manifest(name: &str) -> Result<String> {
    Ok(fs::read_to_string(root().join("manifests/monitoring").join(name))?)
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

#[test]
fn promtool_takes_the_files_and_their_tests_pass() -> Result<()> {
    let Some(programs) = Programs::find()? else { return Ok(()) };
    let folder = root().join("manifests/monitoring");
    for arguments in [
        &["check", "config", "prometheus.yaml"][..],
        &["check", "rules", "rules.yaml"],
        &["test", "rules", "rules-test.yaml"],
    ] {
        programs.promtool(&folder, arguments)?;
    }
    // Debian's Prometheus is built without Kubernetes; the rest of the file can be checked.
    let istio = manifest("prometheus-istio.yaml")?;
    let discovery = "  kubernetes_sd_configs:\n  - role: pod\n";
    ensure!(istio.contains(discovery), "the pods are not found");
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("istio.yaml"), istio.replace(discovery, ""))?;
    fs::write(folder.path().join("rules.yaml"), manifest("rules.yaml")?)?;
    programs.promtool(folder.path(), &["check", "config", "istio.yaml"])?;
    Ok(())
}

/// The rules, their five minutes made ten seconds, and their patience none.
fn hasty(rules: &str) -> Result<String> {
    let mut lines = Vec::new();
    for line in rules.lines() {
        let hold = line.trim_start().starts_with("for: ");
        lines.push(if hold {
            "    for: 0s".into()
        } else {
            line.replace("[5m]", "[10s]").replace(":5m]", ":10s]")
        });
    }
    // Ten seconds of this traffic are less than 500 responses of a canary.
    let text =
        lines.join("\n").replace("* 300 >= 500", "* 10 >= 100").replace("* 300 >=", "* 10 >=");
    ensure!(text.matches("10s]").count() == 13 && text.matches("* 10 >=").count() == 3, "{text}");
    Ok(text)
}

type Alert = [String; 4];

/// Name, app, rule and variant of every alert that fires.
async fn firing(prometheus: &Prometheus) -> Result<BTreeSet<Alert>> {
    let alert = |labels: std::collections::BTreeMap<String, String>| {
        ["alertname", "app", "rule", "variant"]
            .map(|label| labels.get(label).cloned().unwrap_or_default())
    };
    Ok(prometheus.firing().await?.into_iter().map(alert).collect())
}

/// Waits until exactly these fire.
async fn wait_for(prometheus: &Prometheus, expected: &[[&str; 4]]) -> Result<()> {
    let expected: BTreeSet<Alert> = expected.iter().map(|alert| alert.map(str::to_owned)).collect();
    eventually("the alerts", async || {
        let firing = firing(prometheus).await?;
        ensure!(firing == expected, "firing {firing:#?}\nexpected {expected:#?}");
        Ok(())
    })
    .await
}

/// The alerts that fire throughout: the other app is in disorder, as its canary is, and so is a proxy
/// without the filter.
const ALWAYS: [[&str; 4]; 9] = [
    ["TrafficSplitVariantFails", "other", "kept", "canary"],
    ["TrafficSplitVariantFails", "other", "lost", "canary"],
    ["TrafficSplitShareOff", "other", "one-user", "stable"],
    ["TrafficSplitShareOff", "other", "one-user", "canary"],
    ["TrafficSplitSampleRatio", "other", "lost", "stable"],
    ["TrafficSplitSampleRatio", "other", "lost", "canary"],
    ["TrafficSplitGuardTripped", "other", "guarded", "canary"],
    ["TrafficSplitConfigurationsDiffer", "other", "", ""],
    ["TrafficSplitMissing", "bare", "", ""],
];

/// The alerts that a failing canary adds.
const FAILING: [[&str; 4]; 4] = [
    ["TrafficSplitVariantFails", "shop", "rollout", "canary"],
    ["TrafficSplitVariantFails", "shop", "sample", "canary"],
    ["TrafficSplitVariantSlow", "shop", "rollout", "canary"],
    ["TrafficSplitVariantSlow", "shop", "sample", "canary"],
];

#[tokio::test(flavor = "multi_thread")]
async fn panels_alerts_and_verdicts_tell_of_a_failing_canary() -> Result<()> {
    let Some(programs) = Programs::find()? else { return Ok(()) };
    let picture = std::env::var_os("MONITORING_PICTURE").filter(|path| !path.is_empty());
    // A picture shows more than a test needs.
    let seconds = if picture.is_some() { 45 } else { 12 };
    let splitctl = watch::program()?;
    let world = World::start().await?;
    let rules = hasty(&manifest("rules.yaml")?)?;
    let config = world.scraped(&manifest("prometheus.yaml")?)?;
    let prometheus = programs.start(&config, &[("rules.yaml", &rules)]).await?;

    let _traffic = world.traffic().await?;
    let start = now();
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    wait_for(&prometheus, &ALWAYS).await?;
    watch::while_all_is_well(&splitctl, &prometheus)?;

    world.canary_fails();
    let at = now();
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    wait_for(&prometheus, &[&ALWAYS[..], &FAILING].concat()).await?;
    watch::while_the_canary_fails(&splitctl, &prometheus)?;
    recorded(&prometheus).await?;
    asked_by_controllers(&prometheus).await?;

    let title = "A canary with 10 % of the users; from the grey line on, three in ten of its \
                 requests fail and all take 40 ms more";
    let event = Event { start: start + 10.0, at, end: now(), title: title.into() };
    let panels = dashboard::panels(&prometheus, &event).await?;
    let path = picture.map_or(wasm_tests::target().join("monitoring.svg"), Into::into);
    fs::write(&path, picture::draw(&panels, &event)?)?;
    Ok(())
}

/// The queries that `manifests/monitoring/README.md` gives to a controller; the guard is that of
/// the other app.
async fn asked_by_controllers(prometheus: &Prometheus) -> Result<()> {
    let queries = readme::blocks("promql")?.concat();
    let [success, tripped] = queries.lines().collect::<Vec<_>>()[..] else {
        anyhow::bail!("not two queries: {queries}");
    };
    for (query, low, high) in [
        (success.replace("[5m]", "[10s]"), 0.5, 0.9),
        (tripped.replace("\"rollout\"", "\"guarded\""), 1.0, 1.0),
    ] {
        let series = prometheus.query(&query).await?;
        let values: Vec<_> = series.iter().flat_map(|series| &series.values).collect();
        let [(_, value)] = values[..] else { anyhow::bail!("{query}: {series:?}") };
        ensure!(low <= *value && *value <= high, "{query}: {value}");
    }
    Ok(())
}

/// The recording rules, by what is true of the failing canary.
async fn recorded(prometheus: &Prometheus) -> Result<()> {
    let of = async |metric: &str, variant: &str| {
        let labels = format!("app=\"shop\",rule=\"rollout\",variant=\"{variant}\"");
        let series = prometheus.query(&format!("{metric}{{{labels}}}")).await?;
        let [Series { values, .. }] = series.as_slice() else {
            anyhow::bail!("{metric} of {variant}: {series:?}");
        };
        Ok(values.first().map_or(f64::NAN, |(_, value)| *value))
    };
    let requests = of("variant:tsplit_requests:rate5m", "canary").await? * 10.0;
    let all = requests + of("variant:tsplit_requests:rate5m", "stable").await? * 10.0;
    let near = |name: &str, value: f64, expected: f64, n: f64| {
        // Five standard errors, and two seconds' worth for the ends of the window.
        let tolerance = 5.0 * (expected * (1.0 - expected) / n).sqrt() + 0.02;
        ensure!((value - expected).abs() <= tolerance, "{name}: {value}, n {n}");
        Ok(())
    };
    near("share", of("variant:tsplit_requests:share5m", "canary").await?, 0.1, all)?;
    near("success", of("variant:tsplit_success:ratio5m", "canary").await?, 0.7, requests)?;
    for (metric, variant, low, high) in [
        ("variant:tsplit_weight:ratio", "canary", 0.1, 0.1),
        ("variant:tsplit_success:ratio5m", "stable", 1.0, 1.0),
        ("others:tsplit_success:ratio5m", "canary", 1.0, 1.0),
        ("variant:tsplit_response_time_ms:p50_5m", "canary", 30.0, 500.0),
        ("variant:tsplit_response_time_ms:p95_5m", "canary", 40.0, 1000.0),
        ("variant:tsplit_response_time_ms:p99_5m", "canary", 40.0, 1000.0),
        ("others:tsplit_response_time_ms:p95_5m", "canary", 0.0, 500.0),
    ] {
        let value = of(metric, variant).await?;
        ensure!(low <= value && value <= high, "{metric} of {variant}: {value}");
    }
    Ok(())
}
