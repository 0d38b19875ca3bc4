//! HTTP/1.1, HTTP/2, gRPC and WebSocket are decided alike.

use anyhow::Result;
use serde_json::{Value, json};
use wasm_tests::client::{Client, Protocol};
use wasm_tests::message::Request;
use wasm_tests::raw;
use wasm_tests::scene::Scene;

fn configuration() -> Value {
    json!({
        "clusterHeader": "x-split-cluster",
        "variantHeader": "x-split-variant",
        "variants": {"stable": {"cluster": "stable"}, "canary": {"cluster": "canary"}},
        "rules": [
            {
                "name": "testers",
                "match": [{"headers": {"x-user-group": {"exact": "beta"}}}],
                "to": "canary"
            },
            {
                "name": "preview",
                "match": [{"cookies": {"preview": {"exact": "on"}}}],
                "to": "canary"
            },
            {
                "name": "rollout",
                "match": [{"headers": {"x-user-id": {"present": true}}}],
                "split": {"stable": 1, "canary": 1},
                "sticky": {"key": [{"header": "x-user-id"}]}
            }
        ]
    })
}

/// Requests, with the upstream of each where it is no split's.
fn requests() -> Vec<(Request, Option<&'static str>)> {
    let plain = || Request::get("/echo.Echo/Say");
    let mut requests = vec![
        (plain(), Some("default")),
        (plain().with("x-split-cluster", "canary"), Some("default")),
        (plain().with("x-user-group", "beta"), Some("canary")),
        (plain().with("cookie", "a=b; preview=on"), Some("canary")),
        (plain().with("cookie", "a=b").with("cookie", "preview=on"), Some("canary")),
    ];
    requests.extend((0..32).map(|n| (plain().with("x-user-id", n.to_string().as_str()), None)));
    requests
}

#[tokio::test]
async fn decided_alike() -> Result<()> {
    let scene = Scene::start(&configuration(), 2).await?;
    let mut http1 = Client::connect(Protocol::Http1, scene.address).await?;
    let mut http2 = Client::connect(Protocol::Http2, scene.address).await?;
    let mut split = Vec::new();
    for (request, expected) in requests() {
        let first = http1.send(&request).await?;
        let second = http2.send(&request).await?;

        let mut call =
            request.clone().with("content-type", "application/grpc").with("te", "trailers");
        call.method = "POST".into();
        let grpc = http2.send(&call).await?;
        assert_eq!(grpc.header("grpc-status"), Some("0"), "{grpc:?}");
        assert_eq!(Some(grpc.seen()?.upstream.as_str()), grpc.upstream());

        let (upgraded, echoed) =
            raw::upgrade(scene.address, &request, "websocket", b"\x81\x02hi").await?;
        assert_eq!(upgraded.status, 101, "{upgraded:?}");
        assert_eq!(echoed, b"\x81\x02hi");

        let reached = [&first, &second, &grpc, &upgraded].map(|reply| reply.upstream());
        let expected = expected.or(first.upstream());
        assert_eq!(reached, [expected; 4], "{request:?}");
        if request.headers.iter().any(|(name, _)| name == "x-user-id") {
            split.extend(expected.map(str::to_owned));
        }
    }
    // Nothing would be shown by a split that always says the same.
    split.sort_unstable();
    split.dedup();
    assert_eq!(split, ["canary", "stable"]);
    Ok(())
}

#[tokio::test]
async fn cookie_crumbs_are_one_cookie_header() -> Result<()> {
    let scene = Scene::start(&configuration(), 1).await?;
    // RFC 9113 section 8.2.3: HTTP/2 may send each pair in a field of its own.
    let mut request = Request::get("/");
    for n in 0..90 {
        request = request.with("cookie", format!("c{n}={n}").as_str());
    }
    request = request.with("cookie", "preview=on");
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let reply = Client::connect(protocol, scene.address).await?.send(&request).await?;
        assert_eq!(reply.upstream(), Some("canary"), "{protocol:?}");
    }
    Ok(())
}
