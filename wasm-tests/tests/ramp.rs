//! Ramps in a real Envoy: its clock moves the share, in all workers alike.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use traffic_split::config::format_time;
use traffic_split::testing::FixedEnvironment;
use traffic_split::{Plan, Snapshot};
use wasm_tests::bootstrap::{self, Listener};
use wasm_tests::load::standard_errors;
use wasm_tests::native;
use wasm_tests::scene::Scene;
use wasm_tests::traffic::{self, Traffic, Visit};

const USERS: usize = 500;
const WORKERS: usize = 4;

fn now() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

/// A configuration that ramps the canary from none to half.
fn configuration(start: u64, seconds: u64, more: Value) -> Value {
    let mut ramp = json!({
        "variant": "canary", "to": 50,
        "start": format_time(start), "duration": format!("{seconds}s")
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        ramp[name] = value.clone();
    }
    json!({
        "clusterHeader": "x-split-cluster",
        "variants": {"stable": {"cluster": "stable"}, "canary": {"cluster": "canary"}},
        "rules": [{
            "name": "rollout",
            "split": {"stable": 1, "canary": 0},
            "sticky": {"key": [{"header": "x-user-id"}]},
            "ramp": ramp
        }]
    })
}

/// The variant of each user at a time, by the core.
fn expected(plan: &Plan, now: u64) -> Vec<String> {
    let snapshot = Snapshot::new(plan, now);
    let variant = |user| {
        let request = traffic::request(user);
        let decision = traffic_split::decide(
            plan,
            &snapshot,
            &native::request(&request),
            &mut FixedEnvironment::default(),
        );
        decision.variant().map(|variant| variant.name.clone()).unwrap_or_default()
    };
    (0..USERS).map(variant).collect()
}

fn between(visits: &[Visit], from: Duration, to: Duration) -> impl Iterator<Item = &Visit> {
    visits.iter().filter(move |visit| (from..to).contains(&visit.at))
}

#[tokio::test]
async fn all_workers_follow_the_clock() -> Result<()> {
    const SECONDS: u64 = 8;
    // On a busy machine Envoy takes its time to start, and is to be there before the ramp is.
    let begun = Instant::now();
    drop(Scene::start(&configuration(now()?, SECONDS, json!({})), WORKERS as u32).await?);
    let start = now()? + 2 * begun.elapsed().as_secs() + 4;
    let configuration = configuration(start, SECONDS, json!({}));
    let plan = native::plan(&configuration.to_string())?;
    let scene = Scene::start(&configuration, WORKERS as u32).await?;
    let traffic = Traffic::reviews(scene.address, WORKERS, USERS).await?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let at = |seconds: u64| Duration::from_secs(seconds).saturating_sub(since);
    traffic.until(at(start + SECONDS + 4)).await;
    let visits = traffic.stop().await?;
    assert_eq!(scene.connections().await?, [1; WORKERS]);

    // It stands still before and after: exactly as the core has it. A worker looks at the clock
    // once a second.
    let (before, after) = (expected(&plan, 0), expected(&plan, u64::MAX));
    for (name, expected, from, to) in [
        ("before", &before, Duration::ZERO, at(start)),
        ("after", &after, at(start + SECONDS + 2), Duration::MAX),
    ] {
        let visits: Vec<_> = between(&visits, from, to).collect();
        assert!(visits.len() > 100, "{name}: {}", visits.len());
        assert!(visits.iter().all(|visit| visit.upstream == expected[visit.user]), "{name}");
    }
    let canary = after.iter().filter(|name| *name == "canary").count();
    assert!(standard_errors(canary, USERS, 0.5).abs() <= 5.0, "{canary}");

    // In between, every visit is one of the last three seconds' (and a second for the request).
    let mut users: BTreeMap<(usize, usize), bool> = BTreeMap::new();
    let snapshots: Vec<_> = (0..=SECONDS).map(|second| expected(&plan, start + second)).collect();
    for visit in between(&visits, at(start), at(start + SECONDS)) {
        let second = (visit.at + since).as_secs() - start;
        let range = second.saturating_sub(3)..=(second + 1).min(SECONDS);
        let possible = range.filter_map(|second| snapshots.get(usize::try_from(second).ok()?));
        let mut possible = possible.map(|snapshot| &snapshot[visit.user]);
        assert!(possible.any(|upstream| *upstream == visit.upstream), "{visit:?}");
        // Who is in stays in.
        let canary = visit.upstream == "canary";
        let was = users.insert((visit.connection, visit.user), canary);
        assert!(was != Some(true) || canary, "{visit:?} was in before");
    }
    // And the share has moved all along: it is no jump from the one to the other.
    let middle = between(&visits, at(start + SECONDS / 2 - 1), at(start + SECONDS / 2 + 2));
    let (canary, all) = middle.fold((0, 0), |(canary, all), visit| {
        (canary + usize::from(visit.upstream == "canary"), all + 1)
    });
    assert!((0.12..0.38).contains(&(canary as f64 / f64::from(all))), "{canary} of {all}");
    Ok(())
}

/// Several configurations, and the time at which the core says the same.
#[tokio::test]
async fn it_stands_where_its_start_says() -> Result<()> {
    let now = now()?;
    let mut after_a_history = configuration(now - 9000, 14400, json!({"steps": 4}));
    after_a_history["rules"][0]["history"] = json!([{"stable": 1, "canary": 2}]);
    let configurations = [
        ("after-a-history", after_a_history, now),
        ("over", configuration(now - 100, 50, json!({})), u64::MAX),
        ("to-come", configuration(now + 1000, 50, json!({})), 0),
        // A step of an hour is not due for half an hour.
        ("in-steps", configuration(now - 9000, 14400, json!({"steps": 4})), now),
        ("held", configuration(now - 9000, 14400, json!({"hold": true})), 0),
    ];
    let mut listeners = Vec::new();
    for (name, configuration, _) in &configurations {
        listeners.push(Listener::new(name, &configuration.to_string())?);
    }
    let clusters = bootstrap::clusters(&configurations[1].1);
    let scene = Scene::with(&listeners, clusters, 2).await?;
    for (name, configuration, time) in &configurations {
        let plan = native::plan(&configuration.to_string())?;
        let requests = (0..USERS).map(traffic::request).collect();
        let address = scene.envoy.address(name)?;
        let reached =
            wasm_tests::load::send(wasm_tests::client::Protocol::Http1, address, 4, requests)
                .await
                .context(*name)?;
        assert_eq!(reached, expected(&plan, *time), "{name}");
        let canary = reached.iter().filter(|upstream| *upstream == "canary").count();
        let share = match *name {
            "over" => 0.5,
            "in-steps" | "after-a-history" => 0.25,
            _ => 0.0,
        };
        let off = standard_errors(canary, USERS, share);
        assert!(if share > 0.0 { off.abs() <= 5.0 } else { canary == 0 }, "{name}: {canary}");
    }
    Ok(())
}
