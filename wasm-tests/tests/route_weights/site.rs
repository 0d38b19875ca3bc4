//! An Envoy whose one route has weights, which change while it runs.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use traffic_split::Snapshot;
use wasm_tests::bootstrap::{self, Listener, POINT_HEADER};
use wasm_tests::client::{Client, Protocol};
use wasm_tests::envoy::{self, Envoy, Setup};
use wasm_tests::message::Request;
use wasm_tests::native::{self, ENVIRONMENT};
use wasm_tests::route::Weights;
use wasm_tests::traffic::Traffic;
use wasm_tests::upstream::{self, ANSWER, Upstream};
use wasm_tests::wait::eventually;
use wasm_tests::{find, raw};

const LISTENER: &str = "weighted";
pub const USERS: usize = 2_000;

/// The whole configuration of the filter that a route with weights needs.
pub fn plain() -> Value {
    json!({
        "pointHeader": POINT_HEADER,
        "rules": [{
            "name": "rollout",
            "split": "route",
            "sticky": {"key": [{"cookie": "uid"}]}
        }]
    })
}

/// The request of a user with a cookie.
pub fn visit(user: usize) -> Request {
    Request::get("/").with("cookie", format!("uid=user-{user}").as_str())
}

pub struct Site {
    pub envoy: Envoy,
    path: PathBuf,
    configuration: Value,
    upstreams: BTreeMap<String, Upstream>,
}

impl Site {
    pub async fn start(configuration: &Value, weights: &Weights<'_>) -> Result<Self> {
        let upstreams = upstream::start(["stable", "canary", "next"]).await?;
        let folder = envoy::folder()?;
        let path = folder.path().join("listeners.json");
        std::fs::write(&path, listeners(configuration, weights)?.to_string())?;
        let bootstrap = bootstrap::dynamic(&path, &upstreams);
        let setup = Setup { bootstrap, concurrency: 1, listeners: 1, folder: Some(folder) };
        let envoy = Envoy::start(&find::launcher()?, setup).await?;
        Ok(Self { envoy, path, configuration: configuration.clone(), upstreams })
    }

    pub fn address(&self) -> Result<SocketAddr> {
        self.envoy.address(LISTENER)
    }

    pub fn upstream(&self, name: &str) -> Result<&Upstream> {
        self.upstreams.get(name).with_context(|| format!("no upstream {name}"))
    }

    pub async fn client(&self, protocol: Protocol) -> Result<Client> {
        Client::connect(protocol, self.address()?).await
    }

    /// Changes the weights, and waits until the worker has them.
    pub async fn weigh(&self, weights: &Weights<'_>) -> Result<()> {
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

    /// The upstream of each user, of whom each asks twice, over both protocols.
    pub async fn homes(&self) -> Result<Vec<String>> {
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

    /// The point of a user, by the core.
    pub fn point(&self, user: usize) -> Result<u64> {
        let plan = native::plan(&self.configuration.to_string())?;
        let (rule, snapshot) = (plan.rules().last().context("no rule")?, Snapshot::new(&plan, 0));
        let point = rule.point(&snapshot, format!("user-{user}").as_bytes());
        point.ok().flatten().context("no point")
    }

    /// 400 users, 800 requests a second.
    pub async fn traffic(&self) -> Result<Traffic> {
        Traffic::start(self.address()?, 4, Duration::from_millis(5), 400, visit).await
    }

    /// Waits until the gauge of the guard over `v2` is this.
    pub async fn tripped(&self, expected: f64) -> Result<()> {
        self.counted("tsplit_guard_tripped{rule=\"rollout\",variant=\"v2\"}", expected).await
    }

    /// Waits until this metric has this value.
    pub async fn counted(&self, name: &str, expected: f64) -> Result<()> {
        eventually(name, async || {
            let metrics = self.envoy.prometheus().await?;
            let found = metrics.get(name);
            ensure!(found == Some(&expected), "{found:?}, not {expected}: {}", self.envoy.log());
            Ok(())
        })
        .await
    }

    /// A client that goes away before it has its answer.
    pub async fn gives_up(&self, request: &Request, answer: &str) -> Result<()> {
        let count = || self.upstreams.values().map(Upstream::count).sum::<u64>();
        let before = count();
        let request = request.clone().with(ANSWER, answer);
        let mut client = self.client(Protocol::Http1).await?;
        let waiting = tokio::spawn(async move { client.send(&request).await });
        eventually("the request", async || {
            ensure!(count() > before, "it did not arrive");
            Ok(())
        })
        .await?;
        waiting.abort();
        Ok(())
    }
}

fn written(weights: &Weights<'_>) -> String {
    weights.iter().map(|(name, weight)| format!("{name}={weight}")).collect::<Vec<_>>().join(",")
}

fn listeners(configuration: &Value, weights: &Weights<'_>) -> Result<Value> {
    let entry = |(name, weight): &(&str, u32)| json!({"name": name, "weight": weight});
    let clusters: Vec<_> = weights.iter().map(entry).collect();
    let mut listener =
        Listener::in_environment(LISTENER, &configuration.to_string(), &ENVIRONMENT)?;
    let told = json!([{"header": {"key": "x-weights", "value": written(weights)}}]);
    listener.routes = json!([
        {"match": {"path": "/weights"}, "direct_response": {"status": 200},
         "response_headers_to_add": told},
        {"match": {"prefix": "/"},
         "route": {"weighted_clusters": {"clusters": clusters, "header_name": POINT_HEADER}}}
    ]);
    Ok(bootstrap::discovered(&[listener]))
}
