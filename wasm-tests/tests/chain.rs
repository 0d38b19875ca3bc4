//! Several filters of this kind in one chain: the last one with a rule that matches decides, and a
//! client can pass for none of them.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use wasm_tests::bootstrap::Listener;
use wasm_tests::client::{Client, Protocol};
use wasm_tests::manifest;
use wasm_tests::message::{Reply, Request};
use wasm_tests::scene::Scene;
use wasm_tests::upstream::ANSWER;
use wasm_tests::wait::eventually;

const CLUSTERS: [&str; 3] = ["stable", "canary", "other"];

/// A filter that sends what begins with `prefix` to `variant`.
fn plugin(prefix: &str, variant: &str) -> Value {
    json!({
        "clusterHeader": "x-split-cluster",
        "variantHeader": "x-split-variant",
        "debugHeader": "x-split-debug",
        "variants": {"stable": {"cluster": "stable"}, "canary": {"cluster": "canary"},
                     "other": {"cluster": "other"}},
        "rules": [{"name": format!("rule{}", prefix.replace('/', "-")),
                   "match": [{"path": {"prefix": prefix}}], "to": variant}]
    })
}

/// A listener with these filters, in the order of a request.
fn listener(plugins: &[(&str, &Value)]) -> Result<Listener> {
    let mut listener = Listener::without_filter("scene");
    for (name, configuration) in plugins {
        listener.filters.extend(Listener::new(name, &configuration.to_string())?.filters);
    }
    listener.access_log = json!([]);
    Ok(listener)
}

async fn scene(plugins: &[(&str, &Value)]) -> Result<Scene> {
    Scene::with(&[listener(plugins)?], CLUSTERS.into_iter(), 1).await
}

/// A request with everything in it by which a client could pass for an earlier filter.
fn forged(path: &str) -> Request {
    ["x-split-cluster", "x-split-variant", "x-other-cluster", "x-split-debug"]
        .into_iter()
        .fold(Request::get(path), |request, name| request.with(name, "other"))
        .with("tsplit.by.x-split-cluster", "0000000000000000")
        .with("wasm.tsplit.by.x-split-cluster", "0000000000000000")
        .with("x-envoy-original-path", "/a")
}

/// Where a request went, the values of both routing headers that the upstream saw, and the answer's
/// debug headers.
fn fate(reply: &Reply) -> Result<(String, Vec<String>, Vec<String>)> {
    let seen = reply.seen()?;
    let texts = |name| seen.all(name).into_iter().map(|v| String::from_utf8_lossy(v).into_owned());
    let routing = texts("x-split-cluster").chain(texts("x-split-variant")).collect();
    Ok((seen.upstream.clone(), routing, reply.all("x-split-debug")))
}

/// Sends each path, plain and forged, over both protocols; `(path, upstream, debug header)`.
async fn expect(scene: &Scene, expected: &[(&str, &str, &[&str])]) -> Result<()> {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let mut client = Client::connect(protocol, scene.address).await?;
        for (path, upstream, debug) in expected {
            let routing = if *upstream == "default" { vec![] } else { vec![*upstream; 2] };
            for request in [Request::get(path), forged(path)] {
                let reply = client.send(&request).await?;
                let (at, written, told) = fate(&reply).with_context(|| format!("{request:?}"))?;
                assert_eq!(
                    (at.as_str(), &written, &told.iter().map(String::as_str).collect::<Vec<_>>()),
                    (
                        *upstream,
                        &routing.iter().map(|v| (*v).to_owned()).collect(),
                        &debug.to_vec()
                    ),
                    "{path} over {protocol:?}: {request:?}"
                );
            }
        }
    }
    Ok(())
}

const NOBODY: &[&str] = &["rule=-; variant=-; reason=unmatched"];

#[tokio::test]
async fn one_team_pins_a_and_another_team_pins_b_in_the_same_gateway() -> Result<()> {
    let (a, b) = (plugin("/a", "canary"), plugin("/b", "stable"));
    let expected: &[(&str, &str, &[&str])] = &[
        ("/a", "canary", &["rule=rule-a; variant=canary; reason=pinned"]),
        ("/b", "stable", &["rule=rule-b; variant=stable; reason=pinned"]),
        ("/c", "default", NOBODY),
    ];
    for order in [[("a", &a), ("b", &b)], [("b", &b), ("a", &a)]] {
        expect(&scene(&order).await?, expected).await?;
    }
    Ok(())
}

#[tokio::test]
async fn of_three_filters_the_last_one_that_matches_decides() -> Result<()> {
    let (all, a, ab) = (plugin("/", "stable"), plugin("/a", "canary"), plugin("/a/b", "other"));
    let (all, a, ab) = (("all", &all), ("a", &a), ("ab", &ab));
    let [by_all, by_a, by_ab]: [&[&str]; 3] = [
        &["rule=rule-; variant=stable; reason=pinned"],
        &["rule=rule-a; variant=canary; reason=pinned"],
        &["rule=rule-a-b; variant=other; reason=pinned"],
    ];
    let narrower = [("/c", "stable", by_all), ("/a", "canary", by_a), ("/a/b", "other", by_ab)];
    expect(&scene(&[all, a, ab]).await?, &narrower).await?;
    let wider = [("/c", "stable", by_all), ("/a", "stable", by_all), ("/a/b", "stable", by_all)];
    expect(&scene(&[ab, a, all]).await?, &wider).await?;
    let mixed = [("/c", "stable", by_all), ("/a", "canary", by_a), ("/a/b", "canary", by_a)];
    expect(&scene(&[ab, all, a]).await?, &mixed).await
}

#[tokio::test]
async fn filters_with_headers_of_their_own_leave_each_other_alone() -> Result<()> {
    let (a, mut b) = (plugin("/", "canary"), plugin("/b", "other"));
    b["clusterHeader"] = json!("x-other-cluster");
    b["debugHeader"] = json!("x-other-debug");
    b.as_object_mut().context("no object")?.remove("variantHeader");
    for order in [[("a", &a), ("b", &b)], [("b", &b), ("a", &a)]] {
        let scene = scene(&order).await?;
        let by_a: &[&str] = &["rule=rule-; variant=canary; reason=pinned"];
        expect(&scene, &[("/b", "canary", by_a), ("/c", "canary", by_a)]).await?;
        let mut client = Client::connect(Protocol::Http1, scene.address).await?;
        for (path, cluster, debug) in [
            ("/b", Some("other"), "rule=rule-b; variant=other; reason=pinned"),
            ("/c", None, "rule=-; variant=-; reason=unmatched"),
        ] {
            let reply = client.send(&forged(path)).await?;
            let seen = reply.seen()?;
            let expected = Vec::from_iter(cluster.map(str::as_bytes));
            assert_eq!(seen.all("x-other-cluster"), expected, "{path}");
            assert_eq!(reply.all("x-other-debug"), [debug], "{path}");
        }
    }
    Ok(())
}

/// An earlier filter wrote one of two headers: the other is still a client's.
#[tokio::test]
async fn what_an_earlier_filter_did_not_write_is_no_proof_for_another_header() -> Result<()> {
    let (mut a, b) = (plugin("/", "canary"), plugin("/b", "other"));
    a.as_object_mut().context("no object")?.remove("clusterHeader");
    let scene = scene(&[("a", &a), ("b", &b)]).await?;
    let mut client = Client::connect(Protocol::Http1, scene.address).await?;
    let seen = client.send(&forged("/c")).await?.seen()?;
    assert_eq!(seen.upstream, "default");
    assert!(seen.all("x-split-cluster").is_empty(), "{seen:?}");
    assert_eq!(seen.all("x-split-variant"), [b"canary"]);
    Ok(())
}

#[tokio::test]
async fn a_filter_in_shadow_leaves_what_another_wrote_and_removes_what_a_client_did() -> Result<()>
{
    let (a, mut dry) = (plugin("/a", "canary"), plugin("/", "other"));
    dry["mode"] = json!("shadow");
    let by_a: &[&str] = &["rule=rule-a; variant=canary; reason=pinned"];
    let tried: &[&str] = &["rule=rule-; variant=other; reason=shadow"];
    let expected = [("/a", "canary", by_a), ("/c", "default", tried)];
    expect(&scene(&[("a", &a), ("dry", &dry)]).await?, &expected).await?;
    expect(&scene(&[("dry", &dry), ("a", &a)]).await?, &expected).await?;
    // Alone, too.
    expect(&scene(&[("dry", &dry)]).await?, &[("/a", "default", tried)]).await
}

/// The counters that are not 0.
async fn counts(scene: &Scene) -> Result<BTreeMap<String, f64>> {
    let metrics = scene.envoy.prometheus().await?.into_iter();
    Ok(metrics.filter(|(name, value)| name.contains("_total") && *value != 0.0).collect())
}

fn named<const N: usize>(counts: [(&str, f64); N]) -> BTreeMap<String, f64> {
    counts.map(|(name, count)| (name.to_owned(), count)).into()
}

/// A rollout whose canary gets every request, with a guard.
fn guarded() -> Value {
    let mut guarded = plugin("/", "canary");
    guarded["metrics"] = json!("full");
    guarded["rules"] = json!([{
        "name": "rollout",
        "split": {"stable": 0, "canary": 1},
        "guard": {"watch": "canary", "fallback": "stable", "maxErrorRate": "5%",
                  "minRequests": 5, "window": "300s"}
    }]);
    guarded
}

/// Another team's filter sends `/fail` elsewhere, where it fails: that tells nothing of the canary.
#[tokio::test]
async fn a_decision_that_a_later_filter_undoes_is_not_counted() -> Result<()> {
    let (mut first, mut last) = (guarded(), plugin("/fail", "other"));
    first["rules"]
        .as_array_mut()
        .context("no rules")?
        .push(json!({"name": "tried", "mode": "shadow", "to": "stable"}));
    last["metrics"] = json!("full");
    let scene = scene(&[("first", &first), ("last", &last)]).await?;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let mut client = Client::connect(protocol, scene.address).await?;
        for _ in 0..10 {
            client.send(&Request::get("/fail").with(ANSWER, "503")).await?;
            client.send(&Request::get("/ok")).await?;
        }
    }
    let requests = "tsplit_requests_total";
    let expected = named([
        (&format!("{requests}{{rule=\"rollout\",variant=\"canary\",reason=\"random\"}}"), 20.0),
        (&format!("{requests}{{rule=\"rule-fail\",variant=\"other\",reason=\"pinned\"}}"), 20.0),
        (&format!("{requests}{{rule=\"tried\",variant=\"stable\",reason=\"shadow\"}}"), 40.0),
        ("tsplit_shadow_changed_total{rule=\"tried\",variant=\"stable\"}", 20.0),
        ("tsplit_responses_total{rule=\"rollout\",variant=\"canary\",class=\"2xx\"}", 20.0),
        ("tsplit_responses_total{rule=\"rule-fail\",variant=\"other\",class=\"5xx\"}", 20.0),
        ("tsplit_unmatched_total", 20.0),
    ]);
    assert_eq!(counts(&scene).await?, expected);
    // The same failures trip the guard where no other filter decides, and those alone.
    let mut client = Client::connect(Protocol::Http1, scene.address).await?;
    for _ in 0..10 {
        client.send(&Request::get("/own").with(ANSWER, "503")).await?;
    }
    eventually("the guard", async || {
        let log = scene.envoy.log();
        let (_, told) = log.split_once("guard tripped").context("it has not tripped")?;
        assert!(told.contains("10 errors in 30 responses, against 0 in 0"), "{told}");
        Ok(())
    })
    .await
}

/// A stream that ends without a response is settled as well.
#[tokio::test]
async fn a_client_that_leaves_is_counted_by_the_filter_that_decided() -> Result<()> {
    let (first, mut last) = (guarded(), plugin("/elsewhere", "other"));
    last["metrics"] = json!("full");
    let scene = scene(&[("first", &first), ("last", &last)]).await?;
    for (path, upstream) in [("/elsewhere", "other"), ("/here", "canary")] {
        scene.give_up(upstream, Request::get(path).with(ANSWER, "never")).await?;
    }
    let expected = named([
        ("tsplit_requests_total{rule=\"rollout\",variant=\"canary\",reason=\"random\"}", 1.0),
        ("tsplit_requests_total{rule=\"rule-elsewhere\",variant=\"other\",reason=\"pinned\"}", 1.0),
        ("tsplit_aborted_total{rule=\"rollout\",variant=\"canary\"}", 1.0),
        ("tsplit_aborted_total{rule=\"rule-elsewhere\",variant=\"other\"}", 1.0),
        ("tsplit_unmatched_total", 1.0),
    ]);
    eventually("the counts", async || {
        let counts = counts(&scene).await?;
        ensure!(counts == expected, "{counts:#?}");
        Ok(())
    })
    .await
}

/// The plain names tell of the filter that decided, those with a plugin's name of that plugin.
#[tokio::test]
async fn the_access_log_tells_the_plugins_apart() -> Result<()> {
    let (mut a, mut b) = (plugin("/a", "canary"), plugin("/b", "stable"));
    (a["metrics"], b["metrics"]) = (json!("full"), json!("full"));
    let mut listener = listener(&[("first", &a), ("second", &b)])?;
    listener.access_log = manifest::access_log()?;
    let format = &mut listener.access_log[0]["typed_config"]["log_format"]["json_format"];
    for name in ["first", "second"] {
        format[name] = json!(format!("%FILTER_STATE(wasm.tsplit.{name}.variant:PLAIN)%"));
    }
    let scene = Scene::with(&[listener], CLUSTERS.into_iter(), 1).await?;
    let mut client = Client::connect(Protocol::Http1, scene.address).await?;
    for path in ["/a", "/b", "/c"] {
        client.send(&forged(path)).await?;
    }
    let log = scene.envoy.stop()?;
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let said =
        |line: Value| json!(["rule", "variant", "first", "second"].map(|key| line[key].clone()));
    let expected = [
        json!(["rule-a", "canary", "canary", "-"]),
        json!(["rule-b", "stable", "-", "stable"]),
        json!(["-", "-", "-", "-"]),
    ];
    assert_eq!(lines.map(said).collect::<Vec<_>>(), expected);
    Ok(())
}
