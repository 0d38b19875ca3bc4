//! Cookies that look like ours and are not, or are no longer.

use super::{BOTH, assert_believed, assert_reissued, issued_at, now, start, with};
use anyhow::{Context, Result};
use wasm_tests::client::{Client, Protocol};
use wasm_tests::message::Request;

/// The seconds that `limits::CLOCK_SKEW` allows.
const SKEW: u64 = 300;
const HOUR: u64 = 3600;

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
