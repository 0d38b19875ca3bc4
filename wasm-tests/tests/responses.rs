//! A response is counted once, by what its client got.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use wasm_tests::client::{Client, Protocol};
use wasm_tests::message::Request;
use wasm_tests::redirects;
use wasm_tests::scene::Scene;
use wasm_tests::upstream::ANSWER;
use wasm_tests::wait::eventually;

const BOTH: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];
const TRIPPED: &str = "tsplit_guard_tripped{rule=\"rollout\",variant=\"canary\"}";

/// These weights, drawn anew each time; a guard that trips at 20 responses.
fn configuration([stable, canary]: [u32; 2]) -> Value {
    json!({
        "clusterHeader": "x-split-cluster",
        "metrics": "full",
        "variants": {"stable": {"cluster": "stable"}, "canary": {"cluster": "canary"}},
        "rules": [{
            "name": "rollout",
            "split": {"stable": stable, "canary": canary},
            "guard": {"watch": "canary", "fallback": "stable", "maxErrorRate": "5%",
                      "minRequests": 20, "window": "60s", "cooldown": "60s"}
        }]
    })
}

async fn start() -> Result<Scene> {
    start_with([50, 50]).await
}

async fn start_with(weights: [u32; 2]) -> Result<Scene> {
    let listener = redirects::listener("site", &configuration(weights))?;
    Scene::with(&[listener], ["stable", "canary"].into_iter(), 2).await
}

/// The responses counted so far, by class.
async fn classes(scene: &Scene) -> Result<BTreeMap<String, u64>> {
    let mut classes = BTreeMap::new();
    for (name, value) in scene.envoy.prometheus().await? {
        let class = name.strip_prefix("tsplit_responses_total").and_then(|labels| {
            Some(labels.split_once("class=\"")?.1.trim_end_matches("\"}").to_owned())
        });
        let aborted = || name.starts_with("tsplit_aborted_total").then(|| "aborted".to_owned());
        let class = class.or_else(aborted);
        if let Some(class) = class.filter(|_| value > 0.0) {
            *classes.entry(class).or_default() += value as u64;
        }
    }
    Ok(classes)
}

/// Waits until these responses are counted, `aborted` ones by their own counter; no others are.
async fn counted(scene: &Scene, expected: &[(&str, u64)]) -> Result<()> {
    let expected: BTreeMap<_, _> = expected.iter().map(|(c, n)| ((*c).to_owned(), *n)).collect();
    eventually("the responses", async || {
        let counted = classes(scene).await?;
        ensure!(counted == expected, "{counted:?}, not {expected:?}");
        Ok(())
    })
    .await
}

async fn connect(scene: &Scene, protocol: Protocol) -> Result<Client> {
    Client::connect(protocol, scene.address).await
}

/// Whether the guard has tripped, after three seconds: workers share what they count once a second.
async fn is_tripped(scene: &Scene) -> Result<bool> {
    tokio::time::sleep(Duration::from_secs(3)).await;
    let metrics = scene.envoy.prometheus().await?;
    Ok(*metrics.get(TRIPPED).context("no gauge")? > 0.0)
}

#[tokio::test]
async fn a_redirect_that_envoy_follows_is_one_response_and_trips_no_guard() -> Result<()> {
    let scene = start().await?;
    for protocol in BOTH {
        let mut client = connect(&scene, protocol).await?;
        for path in ["/to?http://example.com/new", "/to?http://example.com/to?http://example.com/"]
        {
            for _ in 0..30 {
                assert_eq!(client.send(&Request::get(path)).await?.status, 200, "{protocol:?}");
            }
        }
    }
    counted(&scene, &[("2xx", 120)]).await?;
    assert!(!is_tripped(&scene).await?, "{}", scene.envoy.log());
    Ok(())
}

#[tokio::test]
async fn what_comes_behind_a_redirect_is_what_the_client_got() -> Result<()> {
    let scene = start().await?;
    for protocol in BOTH {
        let mut client = connect(&scene, protocol).await?;
        // A page for a 503, which keeps its status: one response, and an error.
        for _ in 0..5 {
            assert_eq!(client.send(&Request::get("/failing")).await?.status, 503);
            let failing = Request::get("/to?http://example.com/failing");
            assert_eq!(client.send(&failing).await?.status, 503);
        }
        // More redirects than the route follows: the client gets the last one.
        let loops = "/to?http://example.com".repeat(8) + "/";
        assert_eq!(client.send(&Request::get(&loops)).await?.status, 302);
        let not_found = Request::get("/to?http://example.com/").with(ANSWER, "404");
        assert_eq!(client.send(&not_found).await?.status, 404);
    }
    counted(&scene, &[("3xx", 2), ("4xx", 2), ("5xx", 20)]).await
}

#[tokio::test]
async fn a_response_that_breaks_off_in_its_middle_is_one_reset_and_trips_a_guard() -> Result<()> {
    // All to the canary: where both fail, no guard trips.
    let scene = start_with([0, 100]).await?;
    for protocol in BOTH {
        for _ in 0..15 {
            let mut client = connect(&scene, protocol).await?;
            let breaks = Request::get("/").with(ANSWER, "breaks");
            // Not every Envoy tells a client of HTTP/2 that it is an error.
            let got = client.send(&breaks).await.map_or(Vec::new(), |reply| reply.body);
            ensure!(matches!(got.as_slice(), b"" | b"part"), "{protocol:?}: {got:?}");
        }
    }
    counted(&scene, &[("reset", 30)]).await?;
    ensure!(is_tripped(&scene).await?, "{}", scene.envoy.log());
    Ok(())
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_is_no_response_but_from_an_event_stream() -> Result<()>
{
    let scene = start().await?;
    let hangs = Request::get("/").with(ANSWER, "hangs");
    let events = hangs.clone().with("accept", "text/event-stream");
    for protocol in BOTH {
        let mut client = connect(&scene, protocol).await?;
        assert_eq!(client.head(&hangs).await?.status(), 200);
        drop(client);
        let mut client = connect(&scene, protocol).await?;
        assert_eq!(client.head(&events).await?.status(), 200);
        drop(client);
    }
    counted(&scene, &[("aborted", 2), ("2xx", 2)]).await?;
    // HTTP/2 resets the stream, and the connection goes on.
    let mut client = connect(&scene, Protocol::Http2).await?;
    drop(client.head(&hangs).await?);
    drop(client.head(&events).await?);
    counted(&scene, &[("aborted", 3), ("2xx", 3)]).await?;
    client.send(&Request::get("/")).await?;
    counted(&scene, &[("aborted", 3), ("2xx", 4)]).await
}

#[tokio::test]
async fn a_client_that_leaves_before_the_response_is_none() -> Result<()> {
    let scene = start().await?;
    let never = Request::get("/").with(ANSWER, "never");
    for protocol in BOTH {
        let before: u64 = scene.upstreams.values().map(|upstream| upstream.count()).sum();
        let mut client = connect(&scene, protocol).await?;
        let request = never.clone();
        let waiting = tokio::spawn(async move { client.send(&request).await.map(drop) });
        eventually("the request", async || {
            let now: u64 = scene.upstreams.values().map(|upstream| upstream.count()).sum();
            ensure!(now > before, "it did not arrive");
            Ok(())
        })
        .await?;
        waiting.abort();
    }
    counted(&scene, &[("aborted", 2)]).await
}

/// It is counted while it is open, and its end is no error.
#[tokio::test]
async fn a_websocket_is_counted_when_it_opens() -> Result<()> {
    let scene = start().await?;
    for count in 1..=3 {
        let mut connection = wasm_tests::raw::Connection::open(scene.address, None).await?;
        let request = Request::get("/");
        let upgrade = "connection: upgrade\r\nupgrade: websocket\r\n";
        connection.write(&wasm_tests::raw::written(&request, upgrade)).await?;
        assert_eq!(connection.read().await?.status, 101);
        counted(&scene, &[("2xx", count)]).await?;
    }
    // All three are closed by now.
    let mut client = connect(&scene, Protocol::Http1).await?;
    client.send(&Request::get("/")).await?;
    counted(&scene, &[("2xx", 4)]).await
}

/// The statuses of calls, those of a client that speaks gRPC-Web among them. (gRPC's own client and
/// server are in `grpc.rs`; they send none of these.)
#[tokio::test]
async fn a_call_without_a_status_is_one_reset() -> Result<()> {
    let scene = start().await?;
    let call = |kind: &str, answer: &str| {
        let call = Request::get("/echo.Echo/Say").with("content-type", kind).with(ANSWER, answer);
        Request { method: "POST".into(), ..call }
    };
    let mut client = connect(&scene, Protocol::Http2).await?;
    for (kind, answer) in [
        ("application/grpc", "grpc-none"),
        ("application/grpc+proto", "breaks"),
        ("application/grpc", "grpc-trailer-x"),
        ("application/grpc", "grpc-trailer-14"),
        ("application/grpc", "grpc-header-5"),
        ("application/grpc", "200"),
    ] {
        let _ = client.send(&call(kind, answer)).await;
    }
    counted(&scene, &[("reset", 2), ("5xx", 2), ("4xx", 1), ("2xx", 1)]).await?;
    // Its status is in the body.
    let mut client = connect(&scene, Protocol::Http1).await?;
    client.send(&call("application/grpc-web+proto", "200")).await?;
    counted(&scene, &[("reset", 2), ("5xx", 2), ("4xx", 1), ("2xx", 2)]).await
}
