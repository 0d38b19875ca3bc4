//! Users whom nobody has seen before.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use tokio::sync::Barrier;
use traffic_split::Plan;
use traffic_split::testing::FixedEnvironment;
use wasm_tests::client::{Client, Protocol};
use wasm_tests::load::{self, Newcomer, standard_errors};
use wasm_tests::message::{Request, pair};
use wasm_tests::native;
use wasm_tests::scene::Scene;

const SHARES: [(&str, f64); 3] = [("stable", 0.899), ("canary", 0.1), ("sliver", 0.001)];

fn configuration() -> Value {
    json!({
        "clusterHeader": "x-split-cluster",
        "variants": {
            "stable": {"cluster": "stable"},
            "canary": {"cluster": "canary"},
            "sliver": {"cluster": "sliver"}
        },
        "rules": [{
            "name": "rollout",
            "split": {"stable": 89.9, "canary": 10, "sliver": 0.1},
            "sticky": {"issue": {
                "cookie": "split-id", "maxAge": "30d", "signing": {"env": "SPLIT_COOKIE_KEYS"}
            }}
        }]
    })
}

/// The variant that the core chooses in this environment, and the cookie that it sets, if any.
fn visit(plan: &Plan, request: &Request, mut chosen: FixedEnvironment) -> (String, Option<String>) {
    let variant = native::variant_in(plan, request, &mut chosen).unwrap_or_default();
    (variant, native::set_cookie(plan, request, &mut chosen).ok())
}

/// The identities are a fixed sequence: there is no false alarm by chance.
#[test]
fn a_hundred_thousand_stay_where_they_start_in_the_configured_shares() -> Result<()> {
    const USERS: usize = 100_000;
    let plan = native::plan(&configuration().to_string())?;
    let mut counts = BTreeMap::new();
    for user in 0..USERS {
        let id = u128::from_be_bytes(*b"users of a test.") ^ user as u128;
        let chosen = || native::issuing(id.to_be_bytes(), 1_800_000_000);
        let (first, cookie) = visit(&plan, &Request::get("/"), chosen());
        let again = Request::get("/").with("cookie", pair(&cookie.context("no identity")?));
        assert_eq!(visit(&plan, &again, chosen()), (first.clone(), None));
        *counts.entry(first).or_insert(0) += 1;
    }
    for (variant, share) in SHARES {
        let count = counts.get(variant).copied().unwrap_or_default();
        let off = standard_errors(count, USERS, share);
        assert!(off.abs() <= 3.0, "{variant}: {count}, {off:+.2} standard errors off");
    }
    Ok(())
}

/// Beyond 5 standard errors by chance, in one of two shares: once in 900,000 runs. A share of
/// 0.1 % is too small for the normal law to hold here.
#[tokio::test]
async fn five_thousand_stay_where_they_start_in_envoy() -> Result<()> {
    const USERS: usize = 5_000;
    const CONNECTIONS: usize = 8;
    let scene = Scene::start(&configuration(), 2).await?;
    let newcomers =
        load::newcomers(Protocol::Http1, scene.address, CONNECTIONS, "/", USERS).await?;
    let (mut ids, mut counts) = (HashSet::new(), BTreeMap::new());
    for Newcomer { cookie, reached: [first, second] } in newcomers {
        assert_eq!(first, second, "{cookie}");
        ids.insert(cookie.split('.').next().unwrap_or_default().to_owned());
        *counts.entry(first).or_insert(0) += 1;
    }
    assert_eq!(ids.len(), USERS, "every identity is another");
    assert_eq!(counts.values().sum::<usize>(), USERS);
    for (variant, share) in &SHARES[..2] {
        let count = counts.get(*variant).copied().unwrap_or_default();
        let off = standard_errors(count, USERS, *share);
        assert!(off.abs() <= 5.0, "{variant}: {count}, {off:+.2} standard errors off");
    }
    let connections = scene.connections().await?;
    assert!(connections.len() == 2 && !connections.contains(&0), "{connections:?}");
    Ok(())
}

#[tokio::test]
async fn row_48_eight_workers_issue_at_once_and_all_identities_differ() -> Result<()> {
    const WORKERS: usize = 8;
    const EACH: usize = 250;
    // Two starts: nor may one repeat what another has issued.
    let mut ids = HashSet::new();
    for _ in 0..2 {
        let scene = Scene::start(&configuration(), 8).await?;
        let barrier = Arc::new(Barrier::new(WORKERS));
        let issued = load::at_once(WORKERS, |_| {
            let (barrier, address) = (Arc::clone(&barrier), scene.address);
            async move {
                let mut client = Client::connect(Protocol::Http1, address).await?;
                barrier.wait().await;
                let mut ids = Vec::new();
                for _ in 0..EACH {
                    let cookies = client.send(&Request::get("/")).await?.cookies();
                    let id = cookies.first().and_then(|cookie| cookie.split('.').next());
                    ids.push(id.context("no identity")?.to_owned());
                }
                Ok(ids)
            }
        });
        ids.extend(issued.await?.into_iter().flatten());
        assert_eq!(scene.connections().await?, [1; WORKERS]);
    }
    assert_eq!(ids.len(), 2 * WORKERS * EACH);
    Ok(())
}
