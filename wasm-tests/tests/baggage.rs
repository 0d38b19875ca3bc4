//! The variant in the request's `baggage`, where a request meets more than one run of a filter: several
//! filters in one chain, second runs, and retries.

use anyhow::Result;
use serde_json::{Value, json};
use wasm_tests::bootstrap::{self, Listener};
use wasm_tests::client::{Client, Protocol};
use wasm_tests::message::{Reply, Request};
use wasm_tests::redirects;
use wasm_tests::scene::Scene;
use wasm_tests::upstream::ANSWER;

/// A filter that sends what begins with the prefix of a rule to its variant.
fn plugin(rules: &[(&str, &str, &str)]) -> Value {
    let rule = |(name, prefix, variant): &(&str, &str, &str)| json!({"name": name, "match": [{"path": {"prefix": prefix}}], "to": variant});
    json!({
        "clusterHeader": "x-split-cluster",
        "baggage": true,
        "variants": {"stable": {"cluster": "stable"}, "canary": {"cluster": "canary"}},
        "rules": rules.iter().map(rule).collect::<Vec<_>>()
    })
}

fn baggage(reply: &Reply) -> Result<Vec<String>> {
    let seen = reply.seen()?;
    let values = seen.all("baggage").into_iter();
    Ok(values.map(|value| String::from_utf8_lossy(value).into_owned()).collect())
}

/// A listener with these filters, in the order of a request.
fn listener(name: &str, plugins: &[&Value]) -> Result<Listener> {
    let mut listener = Listener::without_filter(name);
    for (number, plugin) in plugins.iter().enumerate() {
        let filter = Listener::new(&format!("{name}-{number}"), &plugin.to_string())?;
        listener.filters.extend(filter.filters);
    }
    Ok(listener)
}

/// A request with everything in it by which a client could name a variant itself.
fn forged(path: &str) -> Request {
    ["first", "last", "own"].iter().fold(Request::get(path), |request, rule| {
        let member = format!("split.{rule}=forged");
        request.with(&format!("tsplit.by.split.{rule}"), "0").with("baggage", member.as_str())
    })
}

#[tokio::test]
async fn of_several_filters_the_ones_that_decide_are_in_the_baggage() -> Result<()> {
    let first = plugin(&[("first", "/", "stable"), ("own", "/none", "stable")]);
    let last = plugin(&[("last", "/a", "canary"), ("own", "/none", "stable")]);
    let mut apart = last.clone();
    apart["clusterHeader"] = json!("x-other-cluster");
    let mut dry = first.clone();
    dry["mode"] = json!("shadow");
    let listeners = [
        listener("overruled", &[&first, &last])?,
        listener("apart", &[&first, &apart])?,
        listener("dry", &[&first, &dry])?,
        listener("only-dry", &[&dry])?,
    ];
    let scene = Scene::with(&listeners, ["stable", "canary"].into_iter(), 1).await?;
    for (name, path, expected) in [
        ("overruled", "/a", "split.last=canary"),
        ("overruled", "/b", "split.first=stable"),
        ("apart", "/a", "split.first=stable,split.last=canary"),
        ("apart", "/b", "split.first=stable"),
        ("dry", "/b", "split.last=forged,split.first=stable"),
        ("only-dry", "/b", "split.last=forged"),
    ] {
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let mut client = Client::connect(protocol, scene.envoy.address(name)?).await?;
            let reply = client.send(&forged(path)).await?;
            assert_eq!(baggage(&reply)?, [expected], "{name} {path} {protocol:?}");
        }
    }
    Ok(())
}

/// Also where the filter knows of no later run, since nothing else depends on it.
#[tokio::test]
async fn a_second_run_tells_its_own_decision_once() -> Result<()> {
    let paths = [("to", "/to", "stable"), ("new", "/new", "canary"), ("page", "/sorry", "canary")];
    let plain = plugin(&paths);
    let mut issuing = plain.clone();
    issuing["rules"][0] = json!({"name": "to", "match": [{"path": {"prefix": "/to"}}],
        "split": {"stable": 1}, "sticky": {"issue": {"cookie": "id", "maxAge": "1h"}}});
    // Follows what a hop before it said of a rule of the same name.
    let mut reading = plain.clone();
    let says = json!({"headers": {"baggage": {"contains": "split.new=hop"}}});
    reading["rules"][1]["match"] = json!([says]);
    let names = ["plain", "issuing", "reading"];
    let listeners: Vec<_> = names
        .iter()
        .zip([&plain, &issuing, &reading])
        .map(|(name, configuration)| redirects::listener(name, configuration))
        .collect::<Result<_>>()?;
    let scene = Scene::with(&listeners, ["stable", "canary"].into_iter(), 1).await?;
    for name in names {
        for (path, sent, expected) in [
            ("/to?http://example.com/new", "a=1", "a=1,split.new=canary"),
            ("/to?http://example.com/elsewhere", "a=1", "a=1"),
            ("/to?http://example.com/to?http://example.com/to", "a=1", "a=1,split.to=stable"),
            ("/to?http://example.com/new", "a=1,split.new=hop", "a=1,split.new=canary"),
        ] {
            if name == "reading" && sent == "a=1" {
                continue;
            }
            let mut client = Client::connect(Protocol::Http1, scene.envoy.address(name)?).await?;
            let reply = client.send(&Request::get(path).with("baggage", sent)).await?;
            assert_eq!(baggage(&reply)?, [expected], "{name} {path} {sent}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_retry_tells_it_once() -> Result<()> {
    let configuration = plugin(&[("all", "/", "canary")]);
    let mut listener = Listener::new("scene", &configuration.to_string())?;
    let policy = json!({"retry_on": "5xx", "num_retries": 2});
    listener.routes[0]["route"]["retry_policy"] = policy;
    let scene = Scene::with(&[listener], bootstrap::clusters(&configuration), 1).await?;
    let mut client = Client::connect(Protocol::Http1, scene.address).await?;
    let before = scene.upstreams["canary"].count();
    let request = Request::get("/").with("baggage", "a=1").with(ANSWER, "503");
    let reply = client.send(&request).await?;
    assert_eq!(scene.upstreams["canary"].count() - before, 3);
    assert_eq!(baggage(&reply)?, ["a=1,split.all=canary"]);
    Ok(())
}
