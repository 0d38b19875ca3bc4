//! Weights that stay in the route: the filter gives each client a point, and Envoy's own
//! `weighted_clusters` choose by it.

#[path = "route_weights/site.rs"]
mod site;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use site::{Site, USERS, plain, visit};
use std::collections::BTreeMap;
use std::time::Duration;
use wasm_tests::bootstrap::POINT_HEADER;
use wasm_tests::client::{Client, Protocol};
use wasm_tests::load::{self, Newcomer, standard_errors};
use wasm_tests::message::Request;
use wasm_tests::route::entry;

/// Raising the last entry moves exactly the added share into it, and nobody out of it.
#[tokio::test]
async fn a_growing_entry_takes_the_added_share_and_lets_nobody_go() -> Result<()> {
    let site = Site::start(&plain(), &[("stable", 100)]).await?;
    let mut before: Vec<String> = vec!["stable".into(); USERS];
    let mut share = 0;
    for canary in [10, 20, 50, 100] {
        let weights = [("stable", 100 - canary), ("canary", canary)];
        site.weigh(&weights).await?;
        let now = site.homes().await?;
        for (user, home) in now.iter().enumerate() {
            assert_eq!(home, entry(site.point(user)?, &weights), "user {user} at {canary} %");
        }
        let moved: Vec<_> = before.iter().zip(&now).filter(|(old, new)| old != new).collect();
        assert!(moved.iter().all(|(_, new)| *new == "canary"), "somebody left at {canary} %");
        let added = f64::from(canary - share) / 100.0;
        let off = standard_errors(moved.len(), USERS, added);
        println!("{canary} %: {} of {USERS} moved, {off:+.2} standard errors", moved.len());
        assert!(off.abs() <= 3.0, "{canary} %: {} moved, {off:+.2} standard errors", moved.len());
        (before, share) = (now, canary);
    }
    Ok(())
}

/// A roll-back: everyone is on the first entry at once, and who comes back was there before.
#[tokio::test]
async fn a_roll_back_takes_everyone_back() -> Result<()> {
    let site = Site::start(&plain(), &[("stable", 50), ("canary", 50)]).await?;
    let half = site.homes().await?;
    // An entry of weight 0 gets nobody, and Istio leaves such entries out.
    for none in [&[("stable", 100), ("canary", 0)][..], &[("stable", 100)]] {
        site.weigh(none).await?;
        assert!(site.homes().await?.iter().all(|home| home == "stable"));
    }
    site.weigh(&[("stable", 50), ("canary", 50)]).await?;
    assert_eq!(site.homes().await?, half);
    Ok(())
}

/// Whatever a client sends in the header, over both protocols, once and twice: 99 would choose the
/// canary of one per cent.
#[tokio::test]
async fn a_client_cannot_choose_its_point() -> Result<()> {
    let site = Site::start(&plain(), &[("stable", 99), ("canary", 1)]).await?;
    let tries: [&[&str]; 7] =
        [&["99"], &["99", "99"], &["0", "99"], &["99, 99"], &["+99"], &[""], &["x"]];
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let mut client = site.client(protocol).await?;
        for user in 0..100 {
            let mut homes = Vec::new();
            for values in [&[][..]].into_iter().chain(tries) {
                let send = |request: Request, value: &&str| request.with(POINT_HEADER, *value);
                let reply = client.send(&values.iter().fold(visit(user), send)).await?;
                let point = site.point(user)?.to_string();
                assert_eq!(reply.seen()?.all(POINT_HEADER), [point.as_bytes()], "{values:?}");
                homes.push(reply.upstream().context("no upstream")?.to_owned());
            }
            homes.dedup();
            assert_eq!(homes.len(), 1, "user {user} was moved by what it sent");
        }
        // A client without a key is drawn by Envoy: of 700, 7 are due.
        let mut canary = 0;
        for values in tries.into_iter().cycle().take(700) {
            let send = |request: Request, value: &&str| request.with(POINT_HEADER, *value);
            let reply = client.send(&values.iter().fold(Request::get("/"), send)).await?;
            assert!(reply.seen()?.all(POINT_HEADER).is_empty(), "{values:?}");
            canary += usize::from(reply.upstream() == Some("canary"));
        }
        // Poisson of mean 7: above 27 once in 10^8 runs.
        assert!(canary <= 27, "{canary} of 700 by their own choice");
    }
    Ok(())
}

/// Beyond 5 standard errors by chance: once in 1.7 million runs.
#[tokio::test]
async fn new_users_hold_the_share_from_their_first_request_on() -> Result<()> {
    let mut configuration = plain();
    configuration["rules"][0]["sticky"]["issue"] = json!({
        "cookie": "split-id", "maxAge": "30d", "signing": {"env": "SPLIT_COOKIE_KEYS"}
    });
    let site = Site::start(&configuration, &[("stable", 80), ("canary", 20)]).await?;
    let newcomers = load::newcomers(Protocol::Http1, site.address()?, 4, "/", USERS).await?;
    let mut canary = 0;
    for Newcomer { cookie, reached: [first, second] } in newcomers {
        assert_eq!(first, second, "{cookie}");
        canary += usize::from(first == "canary");
    }
    let off = standard_errors(canary, USERS, 0.2);
    println!("{canary} of {USERS} new users in the canary, {off:+.2} standard errors");
    assert!(off.abs() <= 5.0, "{canary}, {off:+.2} standard errors");
    Ok(())
}

#[tokio::test]
async fn a_pin_reaches_its_entry_whatever_the_total_is() -> Result<()> {
    let pin = |name: &str| {
        json!({"name": name, "to": name,
               "match": [{"headers": {"x-group": {"exact": name}}}]})
    };
    let mut configuration = plain();
    configuration["variants"] = json!({
        "first": {"point": "first"}, "last": {"point": "last"}, "middle": {"point": 50}
    });
    let rules =
        ["first", "last", "middle"].map(pin).into_iter().chain([plain()["rules"][0].take()]);
    configuration["rules"] = rules.collect();
    let site = Site::start(&configuration, &[("stable", 1)]).await?;
    let hundred = [("stable", 50), ("next", 1), ("canary", 49)];
    for (weights, groups) in [
        (&hundred[..], &[("first", "stable"), ("middle", "next"), ("last", "canary")][..]),
        (&[("stable", 99), ("canary", 1)], &[("first", "stable"), ("last", "canary")]),
        (&[("stable", 1), ("canary", 999)], &[("first", "stable"), ("last", "canary")]),
        (&[("stable", 2), ("next", 4), ("canary", 1)], &[("first", "stable"), ("last", "canary")]),
        (&[("stable", 999_999), ("canary", 1)], &[("first", "stable"), ("last", "canary")]),
    ] {
        site.weigh(weights).await?;
        let mut client = site.client(Protocol::Http1).await?;
        for (group, upstream) in groups {
            let reply = client.send(&visit(1).with("x-group", *group)).await?;
            assert_eq!(reply.upstream(), Some(*upstream), "{group} of {weights:?}");
        }
    }
    Ok(())
}

/// Without a key, the cookie is all that a client has: it holds the point, so its owner moves only
/// as the weights say.
#[tokio::test]
async fn a_kept_point_follows_the_weights_one_way() -> Result<()> {
    let mut configuration = plain();
    configuration["rules"][0]["persist"] = json!({
        "cookie": "place", "maxAge": "1h", "signing": {"env": "SPLIT_COOKIE_KEYS"}
    });
    let site = Site::start(&configuration, &[("stable", 100)]).await?;
    let mut cookies = Vec::new();
    let mut client = site.client(Protocol::Http1).await?;
    for _ in 0..200 {
        let reply = client.send(&Request::get("/")).await?;
        let [cookie] = <[String; 1]>::try_from(reply.cookies()).ok().context("one cookie")?;
        let seen = reply.seen()?;
        let point = String::from_utf8(seen.all(POINT_HEADER).concat())?;
        assert!(cookie.starts_with(&format!("place={point}.")), "{cookie} keeps {point}");
        cookies.push((cookie, point.parse::<u64>()?));
    }
    for canary in [30, 60] {
        let weights = [("stable", 100 - canary), ("canary", canary)];
        site.weigh(&weights).await?;
        let mut client = site.client(Protocol::Http2).await?;
        for (cookie, point) in &cookies {
            let reply = client.send(&Request::get("/").with("cookie", cookie.as_str())).await?;
            assert_eq!(reply.upstream(), Some(entry(*point, &weights)), "{cookie} at {canary} %");
            assert!(reply.cookies().is_empty(), "it is kept");
        }
        let forged = Request::get("/").with("cookie", "place=99");
        assert_eq!(client.send(&forged).await?.cookies().len(), 1, "a new point");
    }
    Ok(())
}

#[tokio::test]
async fn a_rule_in_shadow_leaves_the_draw_to_envoy() -> Result<()> {
    let mut configuration = plain();
    configuration["rules"][0]["mode"] = json!("shadow");
    let site = Site::start(&configuration, &[("stable", 50), ("canary", 50)]).await?;
    let mut client = site.client(Protocol::Http1).await?;
    let mut reached: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..100 {
        let reply = client.send(&visit(7).with(POINT_HEADER, "99")).await?;
        assert!(reply.seen()?.all(POINT_HEADER).is_empty());
        *reached.entry(reply.upstream().context("no upstream")?.to_owned()).or_default() += 1;
    }
    assert_eq!(reached.len(), 2, "{reached:?}");
    let metrics = site.envoy.prometheus().await?;
    for name in [
        "tsplit_requests_total{rule=\"rollout\",reason=\"shadow\"}",
        "tsplit_shadow_changed_total{rule=\"rollout\"}",
    ] {
        assert_eq!(metrics.get(name), Some(&100.0), "{name}: {metrics:#?}");
    }
    Ok(())
}

fn guarded(metrics: &str) -> Value {
    let mut configuration = plain();
    configuration["metrics"] = json!(metrics);
    configuration["variants"] = json!({
        "v1": {"cluster": "stable"}, "v2": {"cluster": "canary"}, "v3": {"cluster": "next"}
    });
    configuration["rules"][0]["guard"] = json!({
        "watch": "v2", "fallback": "v1", "maxErrorRate": "5%", "minRequests": 50,
        "window": "3s", "cooldown": "4s"
    });
    configuration
}

/// The responses are the canary's by the cluster that Envoy chose. All the rule's clients go to the
/// first entry, which is the third's loss too, and come back to where they were.
#[tokio::test]
async fn a_guard_knows_the_failing_entry_by_its_cluster() -> Result<()> {
    let weights = [("stable", 40), ("next", 20), ("canary", 40)];
    let site = Site::start(&guarded("counts"), &weights).await?;
    let traffic = site.traffic().await?;
    traffic.until(Duration::from_secs(2)).await;
    site.upstream("canary")?.fail(30);
    let failing = traffic.elapsed();
    site.tripped(1.0).await?;
    let left = traffic.elapsed() + Duration::from_secs(1);
    traffic.until(left + Duration::from_secs(1)).await;
    site.upstream("canary")?.fail(0);
    let healed = traffic.elapsed();
    site.tripped(0.0).await?;
    let back = traffic.elapsed() + Duration::from_secs(1);
    traffic.until(back + Duration::from_secs(2)).await;
    let mut reached: BTreeMap<&str, BTreeMap<String, usize>> = BTreeMap::new();
    for visit in traffic.stop().await? {
        let home = entry(site.point(visit.user)?, &weights);
        let phase = match visit.at {
            at if at < failing => "before",
            at if at < left => "failing",
            at if at < healed => "open",
            at if at < back => "trial",
            _ => "after",
        };
        if ["before", "after"].contains(&phase) {
            assert_eq!(visit.upstream, home, "{visit:?}");
        }
        *reached.entry(phase).or_default().entry(visit.upstream).or_default() += 1;
    }
    println!("{reached:#?}");
    assert_eq!(reached["open"].keys().collect::<Vec<_>>(), ["stable"]);
    assert_eq!(reached["after"].len(), 3);
    let warning = "rule rollout: guard tripped, v2 goes to v1";
    assert!(site.envoy.log().contains(warning), "{}", site.envoy.log());
    let metrics = site.envoy.prometheus().await?;
    let responses = metrics.keys().filter(|name| name.starts_with("tsplit_responses_total"));
    assert_eq!(responses.count(), 0, "`counts` counts no responses");
    Ok(())
}

#[tokio::test]
async fn full_metrics_tell_the_variants_apart() -> Result<()> {
    let mut configuration = guarded("full");
    configuration["variants"] = json!({"v1": {"cluster": "stable"}, "v2": {"cluster": "canary"}});
    configuration["rules"][0].as_object_mut().map(|rule| rule.remove("guard"));
    let weights = [("stable", 40), ("next", 20), ("canary", 40)];
    let site = Site::start(&configuration, &weights).await?;
    let mut client: Client = site.client(Protocol::Http1).await?;
    let mut expected: BTreeMap<&str, f64> = BTreeMap::new();
    for user in 0..100 {
        let reply = client.send(&visit(user)).await?;
        let labels = match reply.upstream() {
            Some("stable") => "rule=\"rollout\",variant=\"v1\"",
            Some("canary") => "rule=\"rollout\",variant=\"v2\"",
            // No variant names its cluster.
            _ => "rule=\"rollout\"",
        };
        *expected.entry(labels).or_default() += 1.0;
    }
    assert_eq!(expected.len(), 3);
    site.gives_up(&visit(1), "never").await?;
    let home = entry(site.point(1)?, &weights);
    let metrics = site.envoy.prometheus().await?;
    for (labels, count) in expected {
        let name = format!("tsplit_responses_total{{{labels},class=\"2xx\"}}");
        assert_eq!(metrics.get(&name), Some(&count), "{name}: {metrics:#?}");
    }
    let requests = "tsplit_requests_total{rule=\"rollout\",reason=\"sticky\"}";
    assert_eq!(metrics.get(requests), Some(&101.0));
    // A client that leaves leaves the cluster that never answered.
    let variant = if home == "stable" { "v1" } else { "v2" };
    let aborted = format!("tsplit_aborted_total{{rule=\"rollout\",variant=\"{variant}\"}}");
    site.counted(&aborted, 1.0).await?;
    Ok(())
}
