//! Weights that stay in the route: the filter gives each client a point, and Envoy's own
//! `weighted_clusters` choose by it.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use wasm_tests::bootstrap::{self, Listener};
use wasm_tests::client::{Client, Protocol};
use wasm_tests::envoy::{self, Envoy, Setup};
use wasm_tests::load::standard_errors;
use wasm_tests::message::Request;
use wasm_tests::native::{self, ENVIRONMENT};
use wasm_tests::upstream::{self, Upstream};
use wasm_tests::wait::eventually;
use wasm_tests::{find, raw};

const HEADER: &str = "x-split-point";
const LISTENER: &str = "weighted";
const USERS: usize = 2_000;

/// The whole configuration of the filter that a route with weights needs.
fn plain() -> Value {
    json!({
        "pointHeader": HEADER,
        "rules": [{
            "name": "rollout",
            "split": "route",
            "sticky": {"key": [{"cookie": "uid"}]}
        }]
    })
}

/// An Envoy whose one route has weights, which change while it runs.
struct Site {
    envoy: Envoy,
    path: PathBuf,
    configuration: Value,
    _upstreams: BTreeMap<String, Upstream>,
}

impl Site {
    async fn start(configuration: &Value, weights: &[(&str, u32)]) -> Result<Self> {
        let upstreams = upstream::start(["stable", "canary", "next"]).await?;
        let folder = envoy::folder()?;
        let path = folder.path().join("listeners.json");
        std::fs::write(&path, listeners(configuration, weights)?.to_string())?;
        let bootstrap = bootstrap::dynamic(&path, &upstreams);
        let setup = Setup { bootstrap, concurrency: 1, listeners: 1, folder: Some(folder) };
        let envoy = Envoy::start(&find::launcher()?, setup).await?;
        Ok(Self { envoy, path, configuration: configuration.clone(), _upstreams: upstreams })
    }

    fn address(&self) -> Result<std::net::SocketAddr> {
        self.envoy.address(LISTENER)
    }

    /// Changes the weights, and waits until the worker has them.
    async fn weigh(&self, weights: &[(&str, u32)]) -> Result<()> {
        let resources = listeners(&self.configuration, weights)?;
        ensure!(self.envoy.update(&self.path, &resources).await?, "{}", self.envoy.log());
        eventually("the worker's weights", async || {
            let reply = raw::send(self.address()?, &Request::get("/weights")).await?;
            let known = reply.header("x-weights").map(str::to_owned);
            ensure!(known == Some(written(weights)), "still {known:?}");
            Ok(())
        })
        .await
    }

    async fn client(&self, protocol: Protocol) -> Result<Client> {
        Client::connect(protocol, self.address()?).await
    }

    /// The upstream of each user, of whom each asks twice, over both protocols.
    async fn homes(&self) -> Result<Vec<String>> {
        let mut clients =
            [self.client(Protocol::Http1).await?, self.client(Protocol::Http2).await?];
        let mut homes = Vec::new();
        for user in 0..USERS {
            let mut reached = Vec::new();
            for client in &mut clients {
                let reply = client.send(&visit(user)).await?;
                reached.push(reply.upstream().context("no upstream")?.to_owned());
            }
            ensure!(reached[0] == reached[1], "user {user} moves: {reached:?}");
            homes.extend(reached.pop());
        }
        Ok(homes)
    }
}

fn visit(user: usize) -> Request {
    Request::get("/").with("cookie", format!("uid=user-{user}").as_str())
}

fn written(weights: &[(&str, u32)]) -> String {
    weights.iter().map(|(name, weight)| format!("{name}={weight}")).collect::<Vec<_>>().join(",")
}

fn listeners(configuration: &Value, weights: &[(&str, u32)]) -> Result<Value> {
    let entry = |(name, weight): &(&str, u32)| json!({"name": name, "weight": weight});
    let clusters: Vec<_> = weights.iter().map(entry).collect();
    let mut listener =
        Listener::in_environment(LISTENER, &configuration.to_string(), &ENVIRONMENT)?;
    let told = json!([{"header": {"key": "x-weights", "value": written(weights)}}]);
    listener.routes = json!([
        {"match": {"path": "/weights"}, "direct_response": {"status": 200},
         "response_headers_to_add": told},
        {"match": {"prefix": "/"},
         "route": {"weighted_clusters": {"clusters": clusters, "header_name": HEADER}}}
    ]);
    Ok(bootstrap::discovered(&[listener]))
}

/// The entry that the points of a user say, in the order of the weights.
fn expected<'w>(rule: &traffic_split::Rule, user: usize, weights: &[(&'w str, u32)]) -> &'w str {
    let plan =
        native::plan(&json!({"variantHeader": "x-v", "variants": {}, "rules": []}).to_string());
    let snapshot = traffic_split::Snapshot::new(&plan.unwrap(), 0);
    let point = rule.point(&snapshot, format!("user-{user}").as_bytes());
    entry(point.ok().flatten().unwrap(), weights)
}

fn entry<'w>(point: u64, weights: &[(&'w str, u32)]) -> &'w str {
    let total: u64 = weights.iter().map(|(_, weight)| u64::from(*weight)).sum();
    let mut end = 0;
    let taken = weights.iter().find(|(_, weight)| {
        end += u64::from(*weight);
        point % total < end
    });
    taken.map(|(name, _)| *name).unwrap_or_default()
}

/// Raising the last entry moves exactly the added share into it, and nobody out of it.
#[tokio::test]
async fn a_growing_entry_takes_the_added_share_and_lets_nobody_go() -> Result<()> {
    let site = Site::start(&plain(), &[("stable", 100)]).await?;
    let plan = native::plan(&plain().to_string())?;
    let rule = plan.rules().first().context("no rule")?;
    let mut before: Vec<String> = vec!["stable".into(); USERS];
    let mut share = 0;
    for canary in [10, 20, 50, 100] {
        let weights = [("stable", 100 - canary), ("canary", canary)];
        site.weigh(&weights).await?;
        let now = site.homes().await?;
        for (user, home) in now.iter().enumerate() {
            assert_eq!(home, expected(rule, user, &weights), "user {user} at {canary} %");
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
