//! A request that Envoy runs a second time: after a redirect that it follows by itself, or a custom
//! response. The client gets the identity and the assignment that it was decided by.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use wasm_tests::bootstrap::Listener;
use wasm_tests::client::{Client, Protocol};
use wasm_tests::message::{Reply, Request, pair};
use wasm_tests::redirects;
use wasm_tests::scene::Scene;

const BOTH: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

/// New clients of each situation: all in one variant by chance, once in 10^9 runs.
const CLIENTS: usize = 30;

/// The ways to a second run, by the path that is asked for.
const SECOND_RUNS: [(&str, &str); 5] = [
    ("no second run", "/"),
    ("a redirect", "/to?http://example.com/new"),
    ("two redirects", "/to?http://example.com/to?http://example.com/new"),
    ("a redirect to another host", "/to?http://example.org/new"),
    ("a custom response", "/failing"),
];

fn configuration(rule: &Value) -> Value {
    let mut rule = rule.clone();
    rule["name"] = json!("rollout");
    rule["split"] = json!({"a": 1, "b": 1});
    json!({
        "clusterHeader": "x-split-cluster",
        "variantHeader": "x-split-variant",
        "metrics": "full",
        "variants": {"a": {"cluster": "a"}, "b": {"cluster": "b"}},
        "rules": [rule]
    })
}

fn cookie(name: &str, signed: bool) -> Value {
    let mut cookie = json!({"cookie": name, "maxAge": "1h"});
    if signed {
        cookie["signing"] = json!({"env": "SPLIT_COOKIE_KEYS"});
    }
    cookie
}

async fn start(listeners: &[Listener]) -> Result<Scene> {
    Scene::with(listeners, ["a", "b"].into_iter(), 2).await
}

async fn send(scene: &Scene, name: &str, protocol: Protocol, request: &Request) -> Result<Reply> {
    Client::connect(protocol, scene.envoy.address(name)?).await?.send(request).await
}

/// The upstream that answered, of which the filter says the same to it.
fn variant(reply: &Reply) -> Result<String> {
    let seen = reply.seen()?;
    ensure!(seen.all("x-split-variant").concat() == seen.upstream.as_bytes(), "{seen:?}");
    Ok(seen.upstream)
}

#[tokio::test]
async fn a_new_client_gets_the_identity_or_the_assignment_that_its_last_run_was_decided_by()
-> Result<()> {
    let rules = [
        ("issue", json!({"sticky": {"issue": cookie("split-id", false)}})),
        ("issue-signed", json!({"sticky": {"issue": cookie("split-id", true)}})),
        ("persist", json!({"persist": cookie("split-variant", false)})),
        ("persist-signed", json!({"persist": cookie("split-variant", true)})),
        (
            "both",
            json!({"sticky": {"issue": cookie("split-id", true)},
                        "persist": cookie("split-variant", false)}),
        ),
    ];
    let listeners: Result<Vec<_>> =
        rules.iter().map(|(name, rule)| redirects::listener(name, &configuration(rule))).collect();
    let scene = start(&listeners?).await?;
    for (name, rule) in &rules {
        let cookies = rule.as_object().map_or(0, |rule| rule.len());
        for (way, path) in SECOND_RUNS {
            for protocol in BOTH {
                let mut reached = BTreeSet::new();
                for _ in 0..CLIENTS {
                    let context = format!("{name}, {way}, {protocol:?}");
                    let counts = || ["a", "b"].map(|name| scene.upstreams[name].count());
                    let before = counts();
                    let reply = send(&scene, name, protocol, &Request::get(path)).await?;
                    let decided = variant(&reply).context(context.clone())?;
                    // Every run went to the same variant.
                    let runs: Vec<_> = counts().iter().zip(before).map(|(n, b)| n - b).collect();
                    ensure!(runs.contains(&0), "{context}: {runs:?}");
                    let set = reply.cookies();
                    ensure!(set.len() == cookies, "{context}: {set:?}");
                    // The upstream sees what the client will send the next time, once.
                    let issued = set.iter().filter(|pair| pair.starts_with("split-id"));
                    let issued: String = issued.map(String::as_str).collect();
                    let sent = reply.seen()?.all("cookie").concat();
                    ensure!(sent == issued.as_bytes(), "{context}: {sent:?}");
                    let back = Request::get("/").with("cookie", set.join("; ").as_str());
                    let again = send(&scene, name, protocol, &back).await?;
                    ensure!(variant(&again)? == decided, "{context}");
                    ensure!(again.cookies().is_empty(), "{context}: {again:?}");
                    reached.insert(decided);
                }
                assert_eq!(reached.len(), 2, "{name}, {way}: nothing is shown by one variant");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_client_who_returns_keeps_its_identity_through_a_second_run() -> Result<()> {
    let issue = json!({"sticky": {"issue": cookie("split-id", true)}});
    let scene = start(&[redirects::listener("site", &configuration(&issue))?]).await?;
    for (way, path) in SECOND_RUNS {
        for protocol in BOTH {
            let first = send(&scene, "site", protocol, &Request::get("/")).await?;
            let known = first.cookies().join("; ");
            for _ in 0..3 {
                let request = Request::get(path).with("cookie", known.as_str());
                let again = send(&scene, "site", protocol, &request).await?;
                ensure!(again.cookies().is_empty(), "{way}, {protocol:?}: {again:?}");
                ensure!(variant(&again)? == variant(&first)?, "{way}, {protocol:?}");
                ensure!(again.seen()?.all("cookie").concat() == known.as_bytes(), "{way}");
            }
        }
    }
    Ok(())
}

/// A client's next request is no later run of its last one, whatever it copies.
#[tokio::test]
async fn the_connections_next_request_is_another() -> Result<()> {
    let issue = json!({"sticky": {"issue": cookie("split-id", false)}});
    let scene = start(&[redirects::listener("site", &configuration(&issue))?]).await?;
    for protocol in BOTH {
        let mut client = Client::connect(protocol, scene.envoy.address("site")?).await?;
        let mut seen = BTreeSet::new();
        for path in ["/to?http://example.com/new", "/", "/failing", "/"] {
            let request = Request::get(path).with("x-request-id", "copied");
            let request = request.with("x-envoy-original-url", "http://example.com/to");
            seen.extend(client.send(&request).await?.cookies());
        }
        assert_eq!(seen.len(), 4, "{protocol:?}: four identities, {seen:?}");
    }
    Ok(())
}

/// Each of two filters in a chain gives a client an identity of its own, and takes it back.
#[tokio::test]
async fn two_filters_in_a_chain_know_their_own_runs() -> Result<()> {
    let ours = json!({"sticky": {"issue": cookie("our-id", true)},
                      "persist": cookie("our-variant", false)});
    let mut site = redirects::listener("site", &configuration(&ours))?;
    let theirs = json!({"sticky": {"issue": cookie("their-id", false)}});
    let mut theirs = configuration(&theirs);
    theirs["clusterHeader"] = json!("x-their-cluster");
    theirs["variantHeader"] = json!("x-their-variant");
    site.filters.extend(Listener::new("other", &theirs.to_string())?.filters);
    let scene = start(&[site]).await?;
    for (way, path) in SECOND_RUNS {
        for protocol in BOTH {
            for _ in 0..CLIENTS / 3 {
                let first = send(&scene, "site", protocol, &Request::get(path)).await?;
                let set = first.cookies();
                ensure!(set.len() == 3, "{way}, {protocol:?}: {set:?}");
                let back = Request::get("/").with("cookie", set.join("; ").as_str());
                let again = send(&scene, "site", protocol, &back).await?;
                ensure!(again.cookies().is_empty(), "{way}, {protocol:?}: {again:?}");
                ensure!(variant(&again)? == variant(&first)?, "{way}, {protocol:?}");
                let theirs =
                    |reply: &Reply| anyhow::Ok(reply.seen()?.all("x-their-variant").concat());
                ensure!(theirs(&again)? == theirs(&first)?, "{way}, {protocol:?}");
            }
        }
    }
    Ok(())
}

/// An inner hop that follows the outer hop's variant does not follow what its own first run wrote.
#[tokio::test]
async fn a_rule_on_the_variant_header_sees_what_the_hop_before_sent() -> Result<()> {
    let is = |name: &str| json!([{"headers": {"x-split-variant": {"exact": name}}}]);
    let configuration = json!({
        "clusterHeader": "x-split-cluster",
        "variantHeader": "x-split-variant",
        "variants": {"a": {"cluster": "a"}, "b": {"cluster": "b"}},
        "rules": [
            {"name": "old", "match": [{"path": {"prefix": "/to"}}], "to": "a"},
            {"name": "outer-a", "match": is("a"), "to": "a"},
            {"name": "outer-b", "match": is("b"), "to": "b"}
        ]
    });
    let scene = start(&[redirects::listener("site", &configuration)?]).await?;
    for protocol in BOTH {
        for (sent, expected) in [(None, "default"), (Some("a"), "a"), (Some("b"), "b")] {
            let request = Request::get("/to?http://example.com/new");
            let request = sent.into_iter().fold(request, |r, v| r.with("x-split-variant", v));
            let reply = send(&scene, "site", protocol, &request).await?;
            assert_eq!(reply.upstream(), Some(expected), "{protocol:?} {sent:?}");
            let seen = reply.seen()?;
            let named: &[&[u8]] = if sent.is_some() { &[expected.as_bytes()] } else { &[] };
            assert_eq!(seen.all("x-split-variant"), named, "{protocol:?} {sent:?}");
        }
    }
    Ok(())
}

/// The rule of the last run issues nothing: an identity that the client never gets reaches nobody.
#[tokio::test]
async fn an_identity_that_only_an_earlier_run_issued_is_taken_back() -> Result<()> {
    let mut configuration = configuration(&json!({"sticky": {"issue": cookie("split-id", true)}}));
    let pinned = json!({"name": "new", "match": [{"path": {"exact": "/new"}}], "to": "b"});
    let rules = configuration["rules"].as_array_mut().context("no rules")?;
    rules.insert(0, pinned);
    let scene = start(&[redirects::listener("site", &configuration)?]).await?;
    for protocol in BOTH {
        for cookies in [&[][..], &["x=1"], &["x=1", "split-id=forged; y=2"]] {
            let request = Request::get("/to?http://example.com/new");
            let request = cookies.iter().fold(request, |r, line| r.with("cookie", *line));
            let reply = send(&scene, "site", protocol, &request).await?;
            assert_eq!((reply.upstream(), reply.cookies().len()), (Some("b"), 0), "{protocol:?}");
            let seen = reply.seen()?.all("cookie").concat();
            assert_eq!(seen, cookies.join("; ").into_bytes(), "{protocol:?}");
        }
    }
    Ok(())
}

/// A condition on the cookie that the filter issues sees the client's own cookies in each run.
#[tokio::test]
async fn a_new_client_is_new_in_each_run() -> Result<()> {
    let mut configuration = configuration(&json!({"sticky": {"issue": cookie("split-id", false)}}));
    let known = json!({"name": "known", "match": [{"cookies": {"split-id": {"present": true}}}],
                       "to": "b"});
    configuration["rules"][0]["split"] = json!({"a": 1});
    let rules = configuration["rules"].as_array_mut().context("no rules")?;
    rules.insert(0, known);
    let scene = start(&[redirects::listener("site", &configuration)?]).await?;
    for (way, path) in SECOND_RUNS {
        for protocol in BOTH {
            let reply = send(&scene, "site", protocol, &Request::get(path)).await?;
            assert_eq!(reply.upstream(), Some("a"), "{way}, {protocol:?}");
            let set = reply.all("set-cookie").concat();
            let back = Request::get(path).with("cookie", pair(&set));
            let again = send(&scene, "site", protocol, &back).await?;
            assert_eq!(again.upstream(), Some("b"), "{way}, {protocol:?}");
        }
    }
    Ok(())
}
