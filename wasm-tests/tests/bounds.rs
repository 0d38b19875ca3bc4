//! Requests as large as Envoy lets through by default, in a real Envoy: what real clients send is
//! looked at, and what lies beyond a bound is named.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use wasm_tests::client::{Client, Protocol};
use wasm_tests::message::{Reply, Request, pair};
use wasm_tests::scene::Scene;

const BOTH: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];
const DEBUG: &str = "x-split-debug";

/// Rules for requests that a header `x-rule` names, and a layer that takes all clients with a key.
fn configuration(issue: &Value) -> Value {
    let named = |name: &str| json!({"x-rule": {"exact": name}});
    json!({
        "clusterHeader": "x-split-cluster",
        "debugHeader": DEBUG,
        "metrics": "counts",
        "variants": {"stable": {"cluster": "stable"}, "canary": {"cluster": "canary"}},
        "rules": [
            {
                "name": "reviews",
                "match": [{"headers": named("path"), "path": {"prefix": "/reviews"}}],
                "to": "canary"
            },
            {
                "name": "parameter",
                "match": [{"headers": named("query"), "queryParams": {"beta": {"exact": "1"}}}],
                "to": "canary"
            },
            {
                "name": "search",
                "match": [{"headers": {"x-rule": {"exact": "search"}, "x-long": {"contains": "b"}}}],
                "to": "canary"
            },
            {
                "name": "keyed",
                "match": [{"headers": named("key")}],
                "layer": "clients", "slice": [0, 100], "to": "canary",
                "sticky": {"key": [{"header": "authorization"}, {"cookie": "session"}]}
            },
            {
                "name": "issued",
                "match": [{"headers": named("issue")}],
                "split": {"stable": 50, "canary": 50},
                "sticky": {"issue": issue}
            }
        ]
    })
}

fn request(rule: &str, path: &str) -> Request {
    Request::get(path).with("x-rule", rule)
}

fn debug(reply: &Reply) -> Result<&str> {
    ensure!(reply.status == 200, "{reply:?}");
    reply.header(DEBUG).context("no debug header")
}

/// A session that oauth2-proxy keeps in a cookie of 17 KB stands before the identity.
#[tokio::test]
async fn an_identity_behind_a_session_of_17_kb_is_found() -> Result<()> {
    let unsigned = json!({"cookie": "split-id", "maxAge": "30d"});
    let signed =
        json!({"cookie": "split-id", "maxAge": "30d", "signing": {"env": "SPLIT_COOKIE_KEYS"}});
    for issue in [unsigned, signed] {
        let scene = Scene::start(&configuration(&issue), 1).await?;
        for protocol in BOTH {
            let mut client = Client::connect(protocol, scene.address).await?;
            for bytes in [17_000, 57_000] {
                let session = format!("_oauth2_proxy={}", "s".repeat(bytes));
                let first = request("issue", "/").with("cookie", session.as_str());
                let reply = client.send(&first).await?;
                let issued = reply.all("set-cookie");
                let [issued] = &issued[..] else { panic!("{issued:?}") };
                let both = format!("{session}; {}", pair(issued));
                let next = request("issue", "/").with("cookie", both.as_str());
                for _ in 0..2 {
                    let again = client.send(&next).await?;
                    ensure!(again.all("set-cookie").is_empty(), "{protocol:?}: issued again");
                    assert_eq!(again.upstream(), reply.upstream(), "{protocol:?}");
                    assert!(debug(&again)?.ends_with("reason=sticky"), "{protocol:?}");
                }
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_lies_beyond_a_bound_is_named() -> Result<()> {
    let issue = json!({"cookie": "split-id", "maxAge": "30d"});
    let scene = Scene::start(&configuration(&issue), 1).await?;
    let long = |bytes: usize| "a".repeat(bytes);
    let token = |bytes: usize| format!("Bearer {}", "t".repeat(bytes - 7));
    let matched =
        |rule: &str, reason: &str| format!("rule={rule}; variant=canary; reason={reason}");
    let missed = |absent: &str| format!("rule=-; variant=-; reason=unmatched{absent}");
    let cases = [
        // A search of 8,300 characters, as a page with many filters has.
        (request("path", &format!("/reviews?q={}", long(8_300))), matched("reviews", "pinned")),
        (request("path", &format!("/reviews?q={}", long(55_000))), matched("reviews", "pinned")),
        (request("path", &format!("/{}", long(55_000))), missed("")),
        (request("query", &format!("/?q={}&beta=1", long(8_300))), matched("parameter", "pinned")),
        (
            request("query", &format!("/?{}beta=1", "a=1&".repeat(255))),
            matched("parameter", "pinned"),
        ),
        (request("query", &format!("/?{}beta=1", "a=1&".repeat(256))), missed("; absent=query")),
        (
            request("search", "/").with("x-long", format!("{}b", long(8_191)).as_str()),
            matched("search", "pinned"),
        ),
        (
            request("search", "/").with("x-long", format!("{}b", long(8_192)).as_str()),
            missed("; absent=search"),
        ),
        // Tokens of an identity provider.
        (
            request("key", "/").with("authorization", token(1_025).as_str()),
            matched("keyed", "pinned"),
        ),
        (
            request("key", "/").with("authorization", token(8_192).as_str()),
            matched("keyed", "pinned"),
        ),
        (request("key", "/").with("authorization", token(8_193).as_str()), missed("; absent=key")),
        (
            request("key", "/")
                .with("authorization", token(8_193).as_str())
                .with("cookie", "session=7"),
            format!("{}; absent=key", matched("keyed", "pinned")),
        ),
        (
            request("key", "/")
                .with("cookie", "a=1; ".repeat(256).as_str())
                .with("cookie", "session=7"),
            missed("; absent=cookies"),
        ),
    ];
    for protocol in BOTH {
        let mut client = Client::connect(protocol, scene.address).await?;
        for (request, expected) in &cases {
            let reply = client.send(request).await?;
            assert_eq!(debug(&reply)?, expected, "{protocol:?}");
        }
    }
    let metrics = scene.envoy.prometheus().await?;
    for (what, count) in [("query", 2.0), ("search", 2.0), ("key", 4.0), ("cookies", 2.0)] {
        let name = format!("tsplit_absent_total{{what=\"{what}\"}}");
        assert_eq!(metrics.get(&name), Some(&count), "{name}");
    }
    assert_eq!(
        metrics.get("tsplit_absent_total{what=\"value\"}").copied().unwrap_or_default(),
        0.0
    );
    Ok(())
}
