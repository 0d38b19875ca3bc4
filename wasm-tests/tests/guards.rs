//! Guards in a real Envoy: an upstream that fails loses its traffic, and gets it back. (When a
//! guard trips and when it does not is `src/guard/tests.rs`'s, where time costs nothing.)

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::Mutex;
use wasm_tests::bootstrap::Listener;
use wasm_tests::native;
use wasm_tests::scene::Scene;
use wasm_tests::traffic::{self, ENVOY, Traffic, Visit};
use wasm_tests::upstream::Upstream;
use wasm_tests::wait::eventually;

const USERS: usize = 400;
const WORKERS: usize = 4;
const WINDOW: Duration = Duration::from_secs(3);
const COOLDOWN: Duration = Duration::from_secs(8);
const SECOND: Duration = Duration::from_secs(1);
const TRIPPED: &str = "tsplit_guard_tripped{rule=\"rollout\",variant=\"canary\"}";

/// Tests run one at a time: each has an Envoy and a load of its own, and limits in seconds.
static TURN: Mutex<()> = Mutex::const_new(());

/// Half to each; a guard with this besides its rate of errors, window and cooldown.
fn configuration(guard: Value) -> Value {
    let mut whole = json!({
        "watch": "canary", "fallback": "stable", "maxErrorRate": "5%", "minRequests": 50,
        "window": format!("{}s", WINDOW.as_secs()), "cooldown": format!("{}s", COOLDOWN.as_secs())
    });
    for (name, value) in guard.as_object().into_iter().flatten() {
        whole[name] = value.clone();
    }
    json!({
        "clusterHeader": "x-split-cluster",
        "variants": {"stable": {"cluster": "stable"}, "canary": {"cluster": "canary"}},
        "rules": [{
            "name": "rollout",
            "split": {"stable": 1, "canary": 1},
            "sticky": {"key": [{"header": "x-user-id"}]},
            "guard": whole
        }]
    })
}

fn upstream<'s>(scene: &'s Scene, name: &str) -> Result<&'s Upstream> {
    scene.upstreams.get(name).with_context(|| format!("no upstream {name}"))
}

/// Waits until the gauge is this.
async fn tripped(scene: &Scene, expected: f64) -> Result<()> {
    eventually(TRIPPED, async || {
        let metrics = scene.envoy.prometheus().await?;
        let tripped = metrics.get(TRIPPED);
        ensure!(tripped == Some(&expected), "{tripped:?}, not {expected}: {}", scene.envoy.log());
        Ok(())
    })
    .await
}

fn between(visits: &[Visit], from: Duration, to: Duration) -> impl Iterator<Item = &Visit> {
    visits.iter().filter(move |visit| (from..to).contains(&visit.at))
}

/// The share of the visits in this time that reached the canary.
fn canary(visits: &[Visit], from: Duration, to: Duration) -> f64 {
    let reached: Vec<_> =
        between(visits, from, to).map(|visit| visit.upstream == "canary").collect();
    assert!(reached.len() > 20, "only {} visits from {from:?} to {to:?}", reached.len());
    reached.iter().filter(|canary| **canary).count() as f64 / reached.len() as f64
}

/// The upstream of each user in this time, which is only one.
fn homes(visits: &[Visit], from: Duration, to: Duration) -> BTreeMap<usize, String> {
    let mut homes: BTreeMap<usize, String> = BTreeMap::new();
    for visit in between(visits, from, to) {
        let home = homes.entry(visit.user).or_insert_with(|| visit.upstream.clone());
        assert_eq!(*home, visit.upstream, "{visit:?} is not where the user was before");
    }
    homes
}

fn lines<'l>(log: &'l str, text: &str) -> Vec<&'l str> {
    log.lines().filter_map(|line| line.find(text).and_then(|at| line.get(at..))).collect()
}

#[tokio::test]
async fn a_variant_that_fails_is_left_and_comes_back() -> Result<()> {
    let _turn = TURN.lock().await;
    let scene = Scene::start(&configuration(json!({})), WORKERS as u32).await?;
    let traffic = Traffic::reviews(scene.address, WORKERS, USERS).await?;
    traffic.until(WINDOW).await;
    upstream(&scene, "canary")?.fail(30);
    let failing = traffic.elapsed();
    tripped(&scene, 1.0).await?;
    let seen = traffic.elapsed();
    traffic.until(failing + 2 * WINDOW + 2 * SECOND).await;
    upstream(&scene, "canary")?.fail(0);
    let healed = traffic.elapsed();
    tripped(&scene, 0.0).await?;
    // A worker hears of it within a second.
    let back = traffic.elapsed() + SECOND;
    traffic.until(back + 2 * SECOND).await;
    let visits = traffic.stop().await?;
    assert_eq!(scene.connections().await?, [1; WORKERS]);
    let log = scene.envoy.log();
    println!(
        "failing at {failing:.1?}, tripped by {seen:.1?}, healed at {healed:.1?}, back by {back:.1?}"
    );

    // Within twice the window, 99 % of all traffic has left it; before, half of it was there.
    assert!(seen < failing + 2 * WINDOW);
    assert!((0.4..0.6).contains(&canary(&visits, Duration::ZERO, failing)));
    let left = canary(&visits, failing + 2 * WINDOW, healed);
    assert!(left <= 0.01, "{left} still goes to the canary");

    // The workers agree within 2 seconds: each has a connection of its own.
    let last = |connection| {
        between(&visits, failing, healed)
            .filter(|visit| visit.connection == connection && visit.upstream == "canary")
            .map(|visit| visit.at)
            .max()
    };
    let last: BTreeSet<_> = (0..WORKERS).filter_map(last).collect();
    let (first, last) = (last.first().context("no visits")?, last.last().context("no visits")?);
    assert!(*last - *first <= 2 * SECOND, "from {first:?} to {last:?}");

    // Not all at once: a trial goes before. In the end everyone is where they were.
    let trial = canary(&visits, healed, back - 2 * SECOND);
    assert!(trial > 0.0 && trial < 0.1, "{trial}");
    let (before, after) =
        (homes(&visits, Duration::ZERO, failing), homes(&visits, back, Duration::MAX));
    let stay = after.iter().filter(|(user, home)| before.get(user) == Some(home)).count();
    assert!(stay == after.len() && stay > USERS / 2, "{stay} of {}", after.len());
    let tried: BTreeSet<_> = between(&visits, healed, back - 2 * SECOND)
        .filter(|visit| visit.upstream == "canary")
        .map(|visit| visit.user)
        .collect();
    assert!(tried.iter().all(|user| before.get(user).is_none_or(|home| home == "canary")));

    // Counted with its reason, to the request.
    let plan = native::plan(&configuration(json!({})).to_string())?;
    let home = |user| native::variant(&plan, &traffic::request(user));
    let homes: Vec<_> = (0..USERS).map(home).collect();
    let canarys = |visit: &&Visit| homes[visit.user].as_deref() == Some("canary");
    let held = visits.iter().filter(canarys).filter(|visit| visit.upstream == "stable").count();
    let metrics = scene.envoy.prometheus().await?;
    let guard = "tsplit_requests_total{rule=\"rollout\",variant=\"stable\",reason=\"guard\"}";
    assert_eq!(metrics.get(guard).copied(), Some(held as f64));

    // One warning line with the numbers, and a line each for the way back.
    let warning = lines(&log, "guard tripped");
    let [warning] = warning.as_slice() else { panic!("{warning:?}") };
    let numbers: Vec<f64> =
        warning.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect();
    let [errors, responses, others, _] = numbers.as_slice() else { panic!("{warning}") };
    assert!(errors / responses > 0.05 && *responses >= 50.0 && *others == 0.0, "{warning}");
    assert_eq!(
        *warning,
        format!(
            "guard tripped, canary goes to stable: {errors} errors in {responses} responses, \
             against 0 in {}",
            numbers[3]
        )
    );
    assert!(log.lines().any(|line| line.contains("[warning]") && line.contains(warning)));
    assert_eq!(
        lines(&log, "rule rollout: canary is on trial"),
        ["rule rollout: canary is on trial: cooldown over"]
    );
    assert_eq!(lines(&log, "rule rollout: canary is back").len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_variant_that_is_slow_is_left() -> Result<()> {
    let _turn = TURN.lock().await;
    let guard = json!({"maxLatencyRatio": 2.0, "minRequests": 20});
    let scene = Scene::start(&configuration(guard), WORKERS as u32).await?;
    let traffic = Traffic::reviews(scene.address, 3 * WORKERS, USERS).await?;
    upstream(&scene, "canary")?.slow(500);
    tripped(&scene, 1.0).await?;
    let left = traffic.elapsed() + SECOND;
    traffic.until(left + 2 * SECOND).await;
    let visits = traffic.stop().await?;
    assert_eq!(canary(&visits, left, Duration::MAX), 0.0);
    let log = scene.envoy.log();
    let warning = lines(&log, "rule rollout: guard tripped, canary goes to stable: p95 of ");
    let [warning] = warning.as_slice() else { panic!("{log}") };
    let numbers: Vec<f64> =
        warning.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect();
    // The classes are a factor of 1.4 wide; a busy machine adds to both.
    assert!(numbers[1] >= 350.0 && numbers[1] > 2.0 * numbers[2], "{warning}");
    Ok(())
}

/// Envoy itself answers for it: that counts as an error as well.
#[tokio::test]
async fn a_cluster_that_is_not_there_is_left() -> Result<()> {
    let _turn = TURN.lock().await;
    let listener = Listener::new("gone", &configuration(json!({})).to_string())?;
    let scene = Scene::with(&[listener], ["stable"].into_iter(), WORKERS as u32).await?;
    let traffic = Traffic::reviews(scene.address, WORKERS, USERS).await?;
    tripped(&scene, 1.0).await?;
    let left = traffic.elapsed() + SECOND;
    traffic.until(left + 2 * SECOND).await;
    let visits = traffic.stop().await?;
    let failed = |visit: &&Visit| visit.upstream == ENVOY && visit.status == 503;
    assert!(between(&visits, Duration::ZERO, left).filter(failed).count() >= 50);
    assert_eq!(between(&visits, left, Duration::MAX).filter(failed).count(), 0);
    Ok(())
}
