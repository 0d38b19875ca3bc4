//! Many, doubled and malformed cookies beside ours.

use super::{
    BOTH, answer, assert_believed, assert_reissued, configuration, issued_at, now, start, with,
};
use anyhow::{Context, Result};
use wasm_tests::bootstrap::{self, Listener};
use wasm_tests::client::{Client, Protocol};
use wasm_tests::message::{Reply, Request};
use wasm_tests::raw;
use wasm_tests::scene::Scene;

const HOUR: u64 = 3600;

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
    assert_reissued(&scene, "=x; ;; a; ;split;=split;b=c;", "=x; ;; a; ;split;=split;b=c; ").await
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
