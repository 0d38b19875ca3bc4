//! Identities that are issued: on the answer to the first request, on to the upstream, and back.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};
use wasm_tests::bootstrap::{self, Listener};
use wasm_tests::client::{Client, Protocol};
use wasm_tests::message::{Reply, Request, pair};
use wasm_tests::raw;
use wasm_tests::scene::Scene;
use wasm_tests::upstream::ANSWER_COOKIE;

const BOTH: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

fn configuration(issue: Value) -> Value {
    json!({
        "clusterHeader": "x-split-cluster",
        "variantHeader": "x-split-variant",
        "variants": {"a": {"cluster": "a"}, "b": {"cluster": "b"}, "gone": {"cluster": "gone"}},
        "rules": [
            {
                "name": "nowhere",
                "match": [{"path": {"exact": "/nowhere"}}],
                "split": {"gone": 1},
                "sticky": {"issue": issue}
            },
            {
                "name": "rollout",
                "split": {"a": 1, "b": 1},
                "sticky": {"key": [{"header": "x-user-id"}], "issue": issue}
            }
        ]
    })
}

fn signed() -> Value {
    json!({"cookie": "split-id", "maxAge": "30d", "signing": {"env": "SPLIT_COOKIE_KEYS"}})
}

/// The only cookie that is set.
fn only(reply: &Reply) -> Result<String> {
    let cookies = reply.all("set-cookie");
    assert_eq!(cookies.len(), 1, "{reply:?}");
    cookies.into_iter().next().context("no cookie")
}

fn is_base64url(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[tokio::test]
async fn the_first_answer_sets_the_cookie_with_every_attribute() -> Result<()> {
    let plain = json!({"cookie": "split-id", "maxAge": "30d"});
    let full = json!({
        "cookie": "__Secure-id", "maxAge": "1h", "path": "/shop", "domain": "Example.com",
        "sameSite": "None", "secure": true, "httpOnly": false, "partitioned": true,
        "signing": {"env": "SPLIT_COOKIE_KEYS"}
    });
    let configurations = [configuration(plain), configuration(full)];
    let [plain, full] = &configurations;
    let listeners =
        [Listener::new("plain", &plain.to_string())?, Listener::new("full", &full.to_string())?];
    let scene = Scene::with(&listeners, bootstrap::clusters(plain), 1).await?;
    for protocol in BOTH {
        let mut client = Client::connect(protocol, scene.envoy.address("plain")?).await?;
        let set = only(&client.send(&Request::get("/")).await?)?;
        let (pair, attributes) = set.split_once(';').context("no attributes")?;
        assert_eq!(attributes, " Max-Age=2592000; Path=/; SameSite=Lax; HttpOnly");
        let id = pair.strip_prefix("split-id=").context("another name")?;
        // 128 bits in base64url.
        assert!(id.len() == 22 && is_base64url(id), "{id}");

        let mut client = Client::connect(protocol, scene.envoy.address("full")?).await?;
        let set = only(&client.send(&Request::get("/")).await?)?;
        let (pair, attributes) = set.split_once(';').context("no attributes")?;
        assert_eq!(
            attributes,
            " Max-Age=3600; Path=/shop; Domain=example.com; SameSite=None; Secure; Partitioned"
        );
        let value = pair.strip_prefix("__Secure-id=").context("another name")?;
        let parts: Vec<_> = value.split('.').collect();
        let [id, issued, expires, mac] = parts[..] else { panic!("{value}") };
        assert!(id.len() == 22 && is_base64url(id) && mac.len() == 43 && is_base64url(mac));
        let [issued, expires] = [issued, expires].map(|time| u64::from_str_radix(time, 16));
        let (issued, expires) = (issued?, expires?);
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        assert!(issued <= now && now - issued < 60, "issued at {issued}, it is {now}");
        assert_eq!(expires, issued + 3600);
    }
    Ok(())
}

#[tokio::test]
async fn an_upstreams_own_cookies_survive() -> Result<()> {
    let scene = Scene::start(&configuration(signed()), 1).await?;
    let theirs = ["session=1; Path=/; HttpOnly", "theme=dark", "split-id=theirs; Path=/x"];
    for protocol in BOTH {
        let mut client = Client::connect(protocol, scene.address).await?;
        let request = theirs
            .iter()
            .fold(Request::get("/"), |request, cookie| request.with(ANSWER_COOKIE, *cookie));
        let reply = client.send(&request).await?;
        let set = reply.all("set-cookie");
        assert_eq!(set.get(..3).unwrap_or_default(), theirs, "{protocol:?}");
        assert_eq!(set.len(), 4, "{protocol:?}: {set:?}");
        // To one who is known, they go alone.
        let known = request.with("cookie", pair(&set[3]));
        assert_eq!(client.send(&known).await?.all("set-cookie"), theirs, "{protocol:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_identity_reaches_the_upstream_beside_the_clients_cookies() -> Result<()> {
    let scene = Scene::start(&configuration(signed()), 1).await?;
    for protocol in BOTH {
        let mut client = Client::connect(protocol, scene.address).await?;
        for (sent, kept) in [
            (&[][..], ""),
            (&["x=1; y=\"2\""], "x=1; y=\"2\"; "),
            (&["x=1; split-id=forged; y=2", "split-id=", "z"], "x=1; y=2; z; "),
            (&["a=\"x;y\""], "a=\"x;y\"; "),
            (&["a=1;b=2;  c = 3;;=4; $Version=1"], "a=1;b=2;  c = 3;;=4; $Version=1; "),
            (&["split-id=forged;a=\"x;y\"", "b=\"; \""], "a=\"x;y\"; b=\"; \"; "),
        ] {
            let request = Request::get("/");
            let request = sent.iter().fold(request, |request, line| request.with("cookie", *line));
            let reply = client.send(&request).await?;
            let pair = pair(&only(&reply)?).to_owned();
            let seen = reply.seen()?;
            // As the client will send it the next time, and in one header.
            assert_eq!(seen.all("cookie"), [format!("{kept}{pair}").as_bytes()], "{protocol:?}");
            let variant = seen.all("x-split-variant").concat();
            assert_eq!(variant, seen.upstream.as_bytes());

            // A hop behind this one, or the client's next request, agrees.
            let cookies = format!("{kept}{pair}");
            let next = client.send(&Request::get("/").with("cookie", cookies.as_str())).await?;
            assert!(next.all("set-cookie").is_empty(), "{next:?}");
            assert_eq!(next.upstream(), reply.upstream());
            assert_eq!(next.seen()?.all("cookie"), [cookies.as_bytes()], "left as it was");
        }
    }
    Ok(())
}

/// All of 64 ids in one variant by chance: once in 10^19 runs.
#[tokio::test]
async fn who_returns_stays_and_who_has_a_key_is_issued_nothing() -> Result<()> {
    let scene = Scene::start(&configuration(signed()), 2).await?;
    let mut reached = Vec::new();
    for protocol in BOTH {
        for _ in 0..32 {
            // A connection each: every other visit comes to the other worker.
            let mut client = Client::connect(protocol, scene.address).await?;
            let first = client.send(&Request::get("/")).await?;
            let known = Request::get("/").with("cookie", pair(&only(&first)?));
            for protocol in BOTH {
                let mut client = Client::connect(protocol, scene.address).await?;
                let again = client.send(&known).await?;
                assert!(again.all("set-cookie").is_empty(), "{again:?}");
                assert_eq!(again.upstream(), first.upstream());
            }
            reached.extend(first.upstream().map(str::to_owned));
        }
        let mut client = Client::connect(protocol, scene.address).await?;
        let keyed = client.send(&Request::get("/").with("x-user-id", "7")).await?;
        assert!(keyed.all("set-cookie").is_empty(), "{keyed:?}");
        assert!(keyed.seen()?.all("cookie").is_empty());
    }
    reached.sort_unstable();
    reached.dedup();
    assert_eq!(reached, ["a", "b"]);
    Ok(())
}

#[tokio::test]
async fn whatever_the_answer_is_it_sets_the_cookie() -> Result<()> {
    let mut scene = Scene::start(&configuration(signed()), 1).await?;
    // An upstream that is there no more: Envoy answers itself.
    scene.upstreams.remove("gone");
    for protocol in BOTH {
        let mut client = Client::connect(protocol, scene.address).await?;
        let reply = client.send(&Request::get("/nowhere")).await?;
        assert_eq!((reply.status, reply.upstream()), (503, None));
        let set = only(&reply)?;
        let known = client.send(&Request::get("/").with("cookie", pair(&set))).await?;
        assert!(known.all("set-cookie").is_empty(), "{known:?}");
    }
    let mut call = Request::get("/echo.Echo/Say").with("content-type", "application/grpc");
    call = call.with("te", "trailers");
    call.method = "POST".into();
    let mut client = Client::connect(Protocol::Http2, scene.address).await?;
    let reply = client.send(&call).await?;
    assert_eq!(reply.header("grpc-status"), Some("0"));
    only(&reply)?;

    let upgrade = raw::upgrade(scene.address, &Request::get("/"), "websocket", b"hi").await?;
    assert_eq!(upgrade.0.status, 101);
    only(&upgrade.0).map(drop)
}

#[tokio::test]
async fn with_a_domain_the_cookie_holds_on_all_its_hosts() -> Result<()> {
    let mut issue = signed();
    issue["domain"] = json!("example.com");
    let scene = Scene::start(&configuration(issue), 1).await?;
    let at = |host: &str| Request { authority: host.into(), ..Request::get("/") };
    for protocol in BOTH {
        let mut client = Client::connect(protocol, scene.address).await?;
        let first = client.send(&at("www.example.com")).await?;
        let set = only(&first)?;
        assert!(set.contains("; Domain=example.com;"), "{set}");
        let again = client.send(&at("shop.example.com:8080").with("cookie", pair(&set))).await?;
        assert!(again.all("set-cookie").is_empty(), "{again:?}");
        assert_eq!(again.upstream(), first.upstream());
    }
    Ok(())
}
