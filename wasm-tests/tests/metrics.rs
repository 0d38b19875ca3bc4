//! The filter's metrics, as Prometheus reads them from a real Envoy.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use wasm_tests::client::{Client, Protocol};
use wasm_tests::envoy::Envoy;
use wasm_tests::message::Request;
use wasm_tests::scene::Scene;
use wasm_tests::upstream::ANSWER;
use wasm_tests::wait::eventually;

fn configuration(metrics: &str) -> Value {
    json!({
        "clusterHeader": "x-split-cluster",
        "metrics": metrics,
        "debugHeader": "x-split-debug",
        "variants": {"stable": {"cluster": "stable"}, "canary": {"cluster": "canary"}},
        "rules": [
            {
                "name": "testers",
                "match": [{"headers": {"x-user-group": {"exact": "beta"}}}],
                "to": "canary"
            },
            {
                "name": "rollout",
                "match": [{"path": {"prefix": "/reviews"}}],
                // All to one: every count is known.
                "split": {"stable": 0, "canary": 1},
                "sticky": {"key": [{"header": "x-user-id"}]},
                "persist": {
                    "cookie": "kept", "maxAge": "1h", "signing": {"env": "SPLIT_COOKIE_KEYS"}
                }
            }
        ]
    })
}

fn tester() -> Request {
    Request::get("/").with("x-user-group", "beta")
}

fn reviews() -> Request {
    Request::get("/reviews/1")
}

fn call(answer: &str) -> Request {
    let call = tester().with("content-type", "application/grpc").with(ANSWER, answer);
    Request { method: "POST".into(), ..call }
}

async fn send(client: &mut Client, times: usize, request: Request) -> Result<()> {
    for _ in 0..times {
        client.send(&request).await?;
    }
    Ok(())
}

/// The metrics that are not 0, once the one of this name has this value: Envoy merges histograms
/// every 5 seconds. Without their buckets and sums.
async fn counted(envoy: &Envoy, name: &str, value: f64) -> Result<BTreeMap<String, f64>> {
    let metrics = eventually(name, async || {
        let metrics = envoy.prometheus().await?;
        ensure!(metrics.get(name) == Some(&value), "{name} is not {value}: {metrics:#?}");
        Ok(metrics)
    });
    let steady = |name: &str| !name.contains("_bucket{") && !name.contains("_sum{");
    Ok(metrics.await?.into_iter().filter(|(k, v)| *v != 0.0 && steady(k)).collect())
}

#[tokio::test]
async fn every_metric_with_its_labels_exactly() -> Result<()> {
    let scene = Scene::start(&configuration("full"), 2).await?;
    let mut http1 = Client::connect(Protocol::Http1, scene.address).await?;
    let mut http2 = Client::connect(Protocol::Http2, scene.address).await?;
    for (times, status) in [(3, "200"), (2, "302"), (4, "404"), (5, "503")] {
        send(&mut http1, times, tester().with(ANSWER, status)).await?;
    }
    // Unavailable, not found, and unavailable after a message.
    send(&mut http2, 6, call("grpc-header-14")).await?;
    send(&mut http2, 2, call("grpc-header-5")).await?;
    send(&mut http2, 1, call("grpc-trailer-14")).await?;
    scene.give_up("canary", tester().with(ANSWER, "never")).await?;

    send(&mut http1, 6, reviews().with("x-user-id", "7")).await?;
    let kept = http1.send(&reviews().with("x-user-id", "7")).await?.cookies().concat();
    send(&mut http1, 3, reviews().with("cookie", kept.as_str())).await?;
    send(&mut http1, 8, reviews()).await?;

    // Each is treated as absent, and counted once however often it is looked at.
    let long = |bytes| "v".repeat(bytes);
    send(&mut http1, 2, reviews().with("x-user-id", long(9 << 10).as_str())).await?;
    send(&mut http1, 3, reviews().with("cookie", "kept=canary.1.forged")).await?;
    send(&mut http1, 4, reviews().with("cookie", "a=b; ".repeat(300).as_str())).await?;
    send(&mut http1, 9, Request::get("/")).await?;

    let latency = "tsplit_response_time_ms_count{rule=\"rollout\",variant=\"canary\"}";
    let mut metrics = counted(&scene.envoy, latency, 27.0).await?;
    let generation = metrics.remove("tsplit_config_generation").context("no generation")?;
    assert!(generation > 0.0 && generation <= f64::from(u32::MAX));
    let version = metrics.remove("tsplit_version").context("no version")? as u64;
    let parts = [version / 1_000_000, version / 1_000 % 1_000, version % 1_000];
    assert_eq!(parts.map(|part| part.to_string()).join("."), traffic_split::VERSION);
    let expected = [
        ("tsplit_requests_total{rule=\"testers\",variant=\"canary\",reason=\"pinned\"}", 24.0),
        ("tsplit_requests_total{rule=\"rollout\",variant=\"canary\",reason=\"sticky\"}", 7.0),
        ("tsplit_requests_total{rule=\"rollout\",variant=\"canary\",reason=\"persisted\"}", 3.0),
        ("tsplit_requests_total{rule=\"rollout\",variant=\"canary\",reason=\"random\"}", 17.0),
        // Each that came without the cookie.
        ("tsplit_assigned_total{rule=\"rollout\",variant=\"canary\"}", 24.0),
        ("tsplit_responses_total{rule=\"testers\",variant=\"canary\",class=\"2xx\"}", 3.0),
        ("tsplit_responses_total{rule=\"testers\",variant=\"canary\",class=\"3xx\"}", 2.0),
        ("tsplit_responses_total{rule=\"testers\",variant=\"canary\",class=\"4xx\"}", 6.0),
        ("tsplit_responses_total{rule=\"testers\",variant=\"canary\",class=\"5xx\"}", 12.0),
        ("tsplit_aborted_total{rule=\"testers\",variant=\"canary\"}", 1.0),
        ("tsplit_responses_total{rule=\"rollout\",variant=\"canary\",class=\"2xx\"}", 27.0),
        // Not of the one that has no response.
        ("tsplit_response_time_ms_count{rule=\"testers\",variant=\"canary\"}", 23.0),
        (latency, 27.0),
        // The other variant's is 0.
        ("tsplit_weight_ppm{rule=\"rollout\",variant=\"canary\"}", 1e6),
        ("tsplit_unmatched_total", 9.0),
        ("tsplit_absent_total{what=\"key\"}", 2.0),
        ("tsplit_absent_total{what=\"seal\"}", 3.0),
        ("tsplit_absent_total{what=\"cookies\"}", 4.0),
    ];
    let expected: BTreeMap<_, _> =
        expected.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    assert_eq!(metrics, expected);
    Ok(())
}

/// The names of all metrics there are, without labels.
async fn names(metrics: &str) -> Result<BTreeSet<String>> {
    let scene = Scene::start(&configuration(metrics), 1).await?;
    let mut client = Client::connect(Protocol::Http1, scene.address).await?;
    let reply = client.send(&tester()).await?;
    // It costs no metric, and is written under every level.
    assert_eq!(reply.header("x-split-debug"), Some("rule=testers; variant=canary; reason=pinned"));
    let reply = client.send(&Request::get("/")).await?;
    assert_eq!(reply.header("x-split-debug"), Some("rule=-; variant=-; reason=unmatched"));
    let bare = |name: &String| name.split('{').next().unwrap_or_default().to_owned();
    if metrics == "full" {
        let latency = "tsplit_response_time_ms_count{rule=\"testers\",variant=\"canary\"}";
        counted(&scene.envoy, latency, 1.0).await?;
    }
    let stats = scene.envoy.stats().await?;
    assert_eq!(metrics == "off", !stats.keys().any(|name| name.contains("tsplit_")));
    Ok(scene.envoy.prometheus().await?.keys().map(bare).collect())
}

#[tokio::test]
async fn each_level_defines_what_it_counts() -> Result<()> {
    assert_eq!(names("off").await?, BTreeSet::new());
    let mut expected = BTreeSet::from(
        [
            "tsplit_absent_total",
            "tsplit_assigned_total",
            "tsplit_config_generation",
            "tsplit_requests_total",
            "tsplit_unmatched_total",
            "tsplit_version",
            "tsplit_weight_ppm",
        ]
        .map(str::to_owned),
    );
    assert_eq!(names("counts").await?, expected);
    expected.extend(
        [
            "tsplit_aborted_total",
            "tsplit_response_time_ms_bucket",
            "tsplit_response_time_ms_count",
            "tsplit_response_time_ms_sum",
            "tsplit_responses_total",
        ]
        .map(str::to_owned),
    );
    assert_eq!(names("full").await?, expected);
    Ok(())
}

/// Lines of the access log, as the manifest writes them.
fn logged(log: &str) -> Vec<Value> {
    log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[tokio::test]
async fn the_access_log_says_why() -> Result<()> {
    let scene = Scene::logged(&configuration("full"), 1).await?;
    let mut client = Client::connect(Protocol::Http1, scene.address).await?;
    for request in [tester(), reviews().with("x-user-id", "7"), reviews(), Request::get("/")] {
        client.send(&request).await?;
    }
    let lines = logged(&scene.envoy.stop()?);
    let said = |line: &Value| {
        ["rule", "variant", "reason", "shadow", "cluster"].map(|key| line[key].clone())
    };
    let expected = [
        json!(["testers", "canary", "pinned", null, "canary"]),
        json!(["rollout", "canary", "sticky", null, "canary"]),
        json!(["rollout", "canary", "random", null, "canary"]),
        json!(["-", "-", "unmatched", null, "default"]),
    ];
    assert_eq!(lines.iter().map(|line| json!(said(line))).collect::<Vec<_>>(), expected);
    Ok(())
}
