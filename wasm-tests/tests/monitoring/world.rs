//! Three apps: `shop` is the manifest, whose canary can begin to fail; `other` runs two different
//! configurations, with a guard that trips, a rule in shadow, one user who sends everything, and two
//! rules with new users, of which one's canary loses cookies; `bare` has no filter.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;
use traffic_split::Snapshot;
use wasm_tests::envoy::Envoy;
use wasm_tests::manifest::{self, Runnable};
use wasm_tests::message::Request;
use wasm_tests::traffic::Traffic;
use wasm_tests::upstream::Upstream;
use wasm_tests::{find, native};

pub struct World {
    shop: Envoy,
    other: [Envoy; 2],
    bare: Envoy,
    canary: Upstream,
    _others: [Upstream; 2],
}

const FILTERS: &str =
    "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters";

/// The number of requests in 100 that fail at a failing canary.
const FAILING: u64 = 30;

/// Milliseconds that a failing canary takes for each answer.
const SLOW: u64 = 40;

fn other() -> Value {
    let at = |path: &str| json!([{"path": {"prefix": path}}]);
    json!({
        "clusterHeader": "x-split-cluster",
        "metrics": "full",
        "variants": {"stable": {"cluster": "stable"}, "canary": {"cluster": "canary"}},
        "rules": [
            {
                "name": "guarded", "match": at("/guarded"),
                "split": {"stable": 50, "canary": 50},
                "guard": {
                    "watch": "canary", "fallback": "stable", "maxErrorRate": "5%",
                    "minRequests": 20, "window": "10s", "cooldown": "1h"
                }
            },
            {
                "name": "tried", "match": at("/tried"), "mode": "shadow",
                "split": {"stable": 50, "canary": 50}
            },
            {
                "name": "one-user", "match": at("/one"), "split": {"stable": 50, "canary": 50},
                "sticky": {"key": [{"header": "x-user"}]}
            },
            kept("kept", "/kept"),
            kept("lost", "/lost")
        ]
    })
}

/// A rule that keeps the assignments of users in a cookie.
fn kept(name: &str, path: &str) -> Value {
    json!({
        "name": name, "match": [{"path": {"prefix": path}}], "split": {"stable": 50, "canary": 50},
        "sticky": {"key": [{"header": "x-user"}], "salt": "users"},
        "persist": {"cookie": name, "maxAge": "1h"}
    })
}

/// Users by variant.
static USERS: LazyLock<BTreeMap<String, Vec<String>>> = LazyLock::new(|| {
    let plan = native::plan(&other().to_string()).expect("a configuration");
    let rule = plan.rules().iter().find(|rule| rule.name() == "lost").expect("a rule");
    let snapshot = Snapshot::new(&plan, 0);
    let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for user in (0..40_000).map(|n| format!("user-{n}")) {
        let variant = rule.assign(&snapshot, user.as_bytes()).expect("a variant");
        users.entry(variant.name.clone()).or_default().push(user);
    }
    users
});

/// The requests of new users, without cookies: of five, two have the stable variant, and two the canary,
/// of whom one comes again, since the cookie was lost.
fn lost(n: usize) -> Request {
    let (variant, place) =
        [("stable", 0), ("stable", 1), ("canary", 0), ("canary", 1), ("canary", 1)][n % 5];
    let users = &USERS[variant];
    Request::get("/lost").with("x-user", users[(2 * (n / 5) + place) % users.len()].as_str())
}

/// The manifest in an Envoy of its own, changed.
async fn serve(
    stable: &Upstream,
    canary: &Upstream,
    change: impl FnOnce(Runnable) -> Result<Runnable>,
) -> Result<Envoy> {
    let manifest = change(manifest::runnable(stable.address.port(), canary.address.port())?)?;
    let manifest = manifest.changed(|bootstrap| {
        // As often as it is scraped: histograms are renewed when statistics are flushed.
        bootstrap["stats_flush_interval"] = json!("1s");
        Ok(())
    })?;
    Envoy::start(&find::launcher()?, manifest.setup(1)?).await
}

fn reconfigured(manifest: Runnable) -> Result<Runnable> {
    manifest.reconfigured(&other())
}

fn without_filter(manifest: Runnable) -> Result<Runnable> {
    manifest.changed(|bootstrap| {
        let filters = bootstrap.pointer_mut(FILTERS).and_then(Value::as_array_mut);
        filters.context("no filters")?.remove(0);
        Ok(())
    })
}

impl World {
    pub async fn start() -> Result<Self> {
        let stable = Upstream::start("stable").await?;
        let (canary, bad) = (Upstream::start("canary").await?, Upstream::start("bad").await?);
        bad.fail(FAILING);
        let shop = serve(&stable, &canary, Ok).await?;
        let first = serve(&stable, &bad, reconfigured).await?;
        let second = serve(&stable, &canary, Ok).await?;
        let bare = serve(&stable, &canary, without_filter).await?;
        Ok(Self { shop, other: [first, second], bare, canary, _others: [stable, bad] })
    }

    /// The configuration of Prometheus, for these Envoys, each second.
    pub fn scraped(&self, config: &str) -> Result<String> {
        let mut config: Value = serde_saphyr::from_str(config)?;
        for interval in ["scrape_interval", "evaluation_interval"] {
            ensure!(config["global"][interval] == "15s", "{config}");
            config["global"][interval] = json!("1s");
        }
        let apps = [
            ("shop", vec![self.shop.admin()]),
            ("other", self.other.iter().map(Envoy::admin).collect()),
            ("bare", vec![self.bare.admin()]),
        ];
        let target = |(app, targets): (&str, Vec<SocketAddr>)| json!({"targets": targets, "labels": {"app": app}});
        config["scrape_configs"][0]["static_configs"] = apps.map(target).into();
        Ok(config.to_string())
    }

    /// From now on three requests in ten fail at the shop's canary, and all are slow.
    pub fn canary_fails(&self) {
        self.canary.fail(FAILING);
        self.canary.slow(SLOW);
    }

    /// The traffic to all apps, for as long as the value lives.
    pub async fn traffic(&self) -> Result<Vec<Traffic>> {
        let shop = self.shop.address(manifest::LISTENER)?;
        let other = self.other[0].address(manifest::LISTENER)?;
        let user: fn(usize) -> Request =
            |n| Request::get("/reviews").with("cookie", format!("uid=user-{n}").as_str());
        let send = |to, connections: u32, per_second, request: fn(usize) -> Request| {
            let every = Duration::from_secs(1) * connections / per_second;
            Traffic::start(to, connections as usize, every, usize::MAX, request)
        };
        Ok(vec![
            send(shop, 8, 300, user).await?,
            send(shop, 4, 80, |_| Request::get("/ratings")).await?,
            send(shop, 1, 10, |_| Request::get("/")).await?,
            send(other, 1, 20, |_| Request::get("/guarded")).await?,
            send(other, 1, 20, |_| Request::get("/tried")).await?,
            send(other, 8, 150, |n| Request::get("/kept").with("x-user", format!("{n}").as_str()))
                .await?,
            send(other, 8, 150, lost).await?,
            send(other, 8, 150, |_| Request::get("/one").with("x-user", "alice")).await?,
        ])
    }
}
