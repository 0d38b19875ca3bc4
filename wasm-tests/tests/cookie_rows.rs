//! What a client can do to cookies, one way a test. What is not exactly what the filter has issued
//! is absent: it is reissued, and everything else the client sent still reaches the upstream.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};
use wasm_tests::bootstrap::{self, Listener};
use wasm_tests::client::{Client, Protocol};
use wasm_tests::message::{Reply, Request, pair};
use wasm_tests::native::{self, Chosen};
use wasm_tests::raw;
use wasm_tests::scene::Scene;

const BOTH: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];
/// What `limits::CLOCK_SKEW` allows.
const SKEW: u64 = 300;
const HOUR: u64 = 3600;

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
    let mut chosen = Chosen { id: [7; 16], now };
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

/// HTTP/2 crumbs; thousands, where Envoy is told to let them in.
#[tokio::test]
async fn row_16_thousands_of_crumbs_are_joined_and_the_scan_is_capped() -> Result<()> {
    let configuration = configuration("split");
    let mut listener = Listener::new("crumbs", &configuration.to_string())?;
    listener.max_headers = Some(8192);
    let scene = Scene::with(&[listener], bootstrap::clusters(&configuration), 1).await?;
    let ours = issued_at(now()?)?;
    let mut client = Client::connect(Protocol::Http2, scene.address).await?;
    // Ours is the pair of this number, counted from 1: the cap is 256 pairs.
    for (crumbs, place, believed) in
        [(90, 90, true), (256, 256, true), (257, 257, false), (4000, 7, true), (4000, 4000, false)]
    {
        let others: Vec<_> = (1..crumbs).map(|n| format!("c{n}={n}")).collect();
        let mut sent = others.clone();
        sent.insert(place - 1, ours.clone());
        let request = sent.iter().fold(Request::get("/"), |r, c| r.with("cookie", c.as_str()));
        let reply = client.send(&request).await?;
        let set = reply.cookies();
        assert_eq!(set.is_empty(), believed, "{crumbs} crumbs, ours the {place}th: {set:?}");
        let expected = match set.first() {
            None => sent.join("; "),
            Some(set) => format!("{}; {set}", others.join("; ")),
        };
        let seen = reply.seen()?;
        // One line, and none of the client's cookies is lost.
        assert!(seen.all("cookie") == [expected.as_bytes()], "{crumbs} crumbs, {place}");
    }
    Ok(())
}

#[tokio::test]
async fn row_17_two_cookie_lines_are_one() -> Result<()> {
    let scene = start("split").await?;
    let ours = issued_at(now()?)?;
    let cookie = |reply: &Reply| -> Result<Vec<String>> {
        let seen = reply.seen()?;
        Ok(seen.all("cookie").iter().map(|v| String::from_utf8_lossy(v).into_owned()).collect())
    };
    for (first, second) in [("x=1", ours.as_str()), (ours.as_str(), "x=1")] {
        let request = with(first).with("Cookie", second);
        let reply = raw::send(scene.address, &request).await?;
        assert!(reply.all("set-cookie").is_empty(), "{reply:?}");
        assert_eq!(cookie(&reply)?.join("; "), format!("{first}; {second}"));
    }
    let reply = raw::send(scene.address, &with("x=1; y=2").with("COOKIE", "z=3")).await?;
    assert_eq!(cookie(&reply)?, [format!("x=1; y=2; z=3; {}", reply.cookies()[0])]);
    let reply = raw::send(scene.address, &with("x=1").with("cookie", "preview=\"on\"")).await?;
    assert_eq!(reply.upstream(), Some("pinned"), "a condition sees the second line too");
    Ok(())
}

#[tokio::test]
async fn row_18_of_two_cookies_of_a_name_the_first_valid_one_wins() -> Result<()> {
    let scene = start("split").await?;
    let ours = issued_at(now()?)?;
    let old = issued_at(now()? - 2 * HOUR)?;
    assert_believed(&scene, &format!("split=; split=forged; {old}; {ours}")).await?;

    // Two that are valid: the first is hashed, whichever the second.
    let mut client = Client::connect(Protocol::Http1, scene.address).await?;
    let mut issued: [Option<String>; 2] = [None, None];
    while issued.iter().any(Option::is_none) {
        let reply = client.send(&Request::get("/")).await?;
        let index = usize::from(reply.upstream() == Some("b"));
        issued[index] = reply.cookies().pop();
    }
    let [a, b] = issued.map(Option::unwrap_or_default);
    for (cookies, expected) in [(format!("{a}; {b}"), "a"), (format!("{b}; {a}"), "b")] {
        for protocol in BOTH {
            assert_eq!(answer(&scene, protocol, &cookies).await?.upstream(), Some(expected));
        }
    }
    Ok(())
}

#[tokio::test]
async fn row_19_what_is_no_pair_is_passed_over() -> Result<()> {
    let scene = start("split").await?;
    let ours = issued_at(now()?)?;
    assert_believed(&scene, &format!("=x; ;; a; ;{ours};")).await?;
    assert_reissued(&scene, "=x; ;; a; ;split;=split;b=c;", "=x; a; split; =split; b=c; ").await
}

#[tokio::test]
async fn row_20_quotes_and_dollars_are_bytes_like_others() -> Result<()> {
    let scene = start("split").await?;
    let ours = issued_at(now()?)?;
    assert_believed(&scene, &format!("$Version=1; {ours}; $Path=/")).await?;
    let (name, value) = ours.split_once('=').context("no pair")?;
    let quoted = format!("$Version=1; {name}=\"{value}\"");
    assert_reissued(&scene, &quoted, "$Version=1; ").await?;
    for (cookie, expected) in [("preview=\"on\"", true), ("preview=on", false)] {
        for protocol in BOTH {
            let reply = answer(&scene, protocol, cookie).await?;
            assert_eq!(reply.upstream() == Some("pinned"), expected, "{cookie}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn row_21_a_blank_of_unicode_makes_another_name() -> Result<()> {
    let scene = start("__Host-split").await?;
    let mut client = Client::connect(Protocol::Http1, scene.address).await?;
    let ours = client.send(&Request::get("/")).await?.cookies().pop().context("no cookie")?;
    assert!(ours.starts_with("__Host-split="), "{ours}");
    for blank in ["\u{2000}", "\u{a0}", "\u{3000}", "\u{feff}"] {
        let cookies = format!("x=1; {blank}{ours}");
        assert_reissued(&scene, &cookies, &format!("{cookies}; ")).await?;
    }
    let (name, value) = ours.split_once('=').context("no pair")?;
    assert_believed(&scene, &format!("x=1; \t {name} \t=\t {value} \t; y=2")).await
}

#[tokio::test]
async fn row_22_a_name_that_ours_is_part_of_is_another() -> Result<()> {
    let scene = start("split").await?;
    let ours = issued_at(now()?)?;
    let (_, value) = ours.split_once('=').context("no pair")?;
    let cookies = format!("xsplit={value}; split2={value}; Split={value}; x=split={value}");
    assert_reissued(&scene, &cookies, &format!("{cookies}; ")).await?;
    assert_believed(&scene, &format!("{cookies}; {ours}")).await
}

#[tokio::test]
async fn row_23_too_long_or_no_base64_is_reissued() -> Result<()> {
    let scene = start("split").await?;
    let ours = issued_at(now()?)?;
    let (body, mac) = ours.rsplit_once('.').context("no MAC")?;
    for wrong in [
        format!("split={}", "A".repeat(5000)),
        format!("{body}.{}{mac}", "A".repeat(300)),
        format!("{body}.{mac}="),
        format!("{body}.{mac}=="),
        format!("{body}.+/{}", &mac[2..]),
        format!("{body}. {}", &mac[1..]),
        format!("{body}."),
        body.to_owned(),
        "split=".into(),
        "split=.".into(),
        "split=....".into(),
        // The last letter holds two bits beyond the 256: they must be 0.
        format!("{body}.{}", &mac[..42]),
    ] {
        assert_reissued(&scene, &format!("x=1; {wrong}; y=2"), "x=1; y=2; ").await?;
    }
    assert_believed(&scene, &ours).await
}

/// Every bit of the cookie's value, where what comes out can stand in a header.
#[tokio::test]
async fn row_24_no_bit_can_be_flipped() -> Result<()> {
    let scene = start("split").await?;
    let ours = issued_at(now()?)?;
    let mut client = Client::connect(Protocol::Http1, scene.address).await?;
    assert!(client.send(&with(&ours)).await?.all("set-cookie").is_empty());
    let mut flipped = 0;
    for at in "split=".len()..ours.len() {
        for bit in 0..7 {
            let mut altered = ours.clone().into_bytes();
            altered[at] ^= 1 << bit;
            let altered = String::from_utf8(altered)?;
            if altered.bytes().any(|byte| byte.is_ascii_control()) {
                continue;
            }
            let reply = client.send(&with(&altered)).await?;
            assert_eq!(reply.cookies().len(), 1, "{altered}: {reply:?}");
            flipped += 1;
        }
    }
    assert!(flipped > 400, "only {flipped} bits");
    Ok(())
}

#[tokio::test]
async fn row_25_a_replay_under_another_name_or_host_is_reissued() -> Result<()> {
    let scene = start("split").await?;
    let ours = issued_at(now()?)?;
    let (_, value) = ours.split_once('=').context("no pair")?;
    for protocol in BOTH {
        let mut client = Client::connect(protocol, scene.address).await?;
        let other = Request { path: "/other".into(), ..with(&format!("other={value}")) };
        assert_eq!(client.send(&other).await?.cookies().len(), 1, "another experiment");
        for (host, believed) in [
            ("example.com", true),
            ("EXAMPLE.com:8443", true),
            ("www.example.com", false),
            ("example.com.evil.test", false),
            ("example.org", false),
        ] {
            let request = Request { authority: host.into(), ..with(&ours) };
            let reply = client.send(&request).await?;
            assert_eq!(reply.all("set-cookie").is_empty(), believed, "{protocol:?} {host}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn row_26_expired_or_from_the_future_is_reissued() -> Result<()> {
    let scene = start("split").await?;
    // A minute on each side, for a slow machine and a clock that is set.
    for (issued, believed) in [
        (now()? - HOUR + 60, true),
        (now()? - HOUR, false),
        (now()? - 365 * 24 * HOUR, false),
        (0, false),
        (now()? + SKEW - 60, true),
        (now()? + SKEW + 60, false),
        (now()? + 365 * 24 * HOUR, false),
    ] {
        let cookie = issued_at(issued)?;
        match believed {
            true => assert_believed(&scene, &cookie).await?,
            false => assert_reissued(&scene, &cookie, "").await?,
        }
    }
    Ok(())
}

/// All of 32 in one variant by chance, for one of 6 kinds: once in 10^8 runs.
#[tokio::test]
async fn row_28_no_key_and_an_empty_one_are_not_hashed_but_issued_an_identity() -> Result<()> {
    let scene = start("split").await?;
    for protocol in BOTH {
        let mut client = Client::connect(protocol, scene.address).await?;
        for value in [None, Some(""), Some(" \t ")] {
            let request = Request::get("/");
            let request = value.into_iter().fold(request, |r, value| r.with("x-user-id", value));
            let (mut reached, mut issued) = (Vec::new(), Vec::new());
            for _ in 0..32 {
                let reply = client.send(&request).await?;
                issued.extend(reply.cookies());
                reached.extend(reply.upstream().map(str::to_owned));
            }
            issued.sort_unstable();
            issued.dedup();
            reached.sort_unstable();
            reached.dedup();
            assert_eq!(issued.len(), 32, "{protocol:?} {value:?}: one each");
            assert_eq!(reached, ["a", "b"], "{protocol:?} {value:?}");
        }
    }
    Ok(())
}
