//! The ways for a client to change cookies, one a test. A cookie that the filter has not issued
//! exactly so is ignored: it is reissued, and everything else the client sent still reaches the
//! upstream.

mod forgery;
mod parsing;

use anyhow::Result;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};
use wasm_tests::client::{Client, Protocol};
use wasm_tests::message::{Reply, Request, pair};
use wasm_tests::native;
use wasm_tests::scene::Scene;

const BOTH: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

/// One identity for each name, both signed with the same keys, and a condition on another cookie.
fn configuration(name: &str) -> Value {
    let issue = |name: &str| {
        json!({"cookie": name, "maxAge": "1h", "secure": true,
               "signing": {"env": "SPLIT_COOKIE_KEYS"}})
    };
    json!({
        "clusterHeader": "x-split-cluster",
        "variants": {"a": {"cluster": "a"}, "b": {"cluster": "b"}, "pinned": {"cluster": "pinned"}},
        "rules": [
            {
                "name": "pinned",
                "match": [{"cookies": {"preview": {"exact": "\"on\""}}}],
                "to": "pinned"
            },
            {
                "name": "other",
                "match": [{"path": {"exact": "/other"}}],
                "split": {"a": 1, "b": 1},
                "sticky": {"issue": issue("other")}
            },
            {
                "name": "rollout",
                "split": {"a": 1, "b": 1},
                "sticky": {"key": [{"header": "x-user-id"}], "issue": issue(name)}
            }
        ]
    })
}

async fn start(name: &str) -> Result<Scene> {
    Scene::start(&configuration(name), 1).await
}

fn now() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

/// `split=...` as it was issued at that time, to the usual host, by the native core.
fn issued_at(now: u64) -> Result<String> {
    let plan = native::plan(&configuration("split").to_string())?;
    let mut chosen = native::issuing([7; 16], now);
    Ok(pair(&native::set_cookie(&plan, &Request::get("/"), &mut chosen)?).to_owned())
}

fn with(cookies: &str) -> Request {
    Request::get("/").with("cookie", cookies)
}

/// The answer to a request with these cookies.
async fn answer(scene: &Scene, protocol: Protocol, cookies: &str) -> Result<Reply> {
    Client::connect(protocol, scene.address).await?.send(&with(cookies)).await
}

/// The one identity that counts was sent: nothing is set, and nothing changes on the way.
async fn assert_believed(scene: &Scene, cookies: &str) -> Result<()> {
    for protocol in BOTH {
        let reply = answer(scene, protocol, cookies).await?;
        assert!(reply.all("set-cookie").is_empty(), "{protocol:?} {cookies}: {reply:?}");
        let sent = cookies.trim_matches([' ', '\t']).as_bytes();
        assert_eq!(reply.seen()?.all("cookie"), [sent], "{protocol:?}");
    }
    Ok(())
}

/// A new identity is set, and stands behind what is kept of the cookies sent.
async fn assert_reissued(scene: &Scene, cookies: &str, kept: &str) -> Result<()> {
    for protocol in BOTH {
        let reply = answer(scene, protocol, cookies).await?;
        let set = reply.cookies();
        assert_eq!(set.len(), 1, "{protocol:?} {cookies}: {reply:?}");
        let expected = format!("{kept}{}", set[0]);
        let seen = reply.seen()?;
        let seen =
            seen.all("cookie").iter().map(|line| String::from_utf8_lossy(line)).collect::<Vec<_>>();
        assert_eq!(seen, [expected], "{protocol:?}");
    }
    Ok(())
}
