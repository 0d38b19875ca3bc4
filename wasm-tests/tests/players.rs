//! Guards that clients play with: what they hold back, abort or do not read tells nothing of a variant.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::time::Duration;
use traffic_split::guard::{Record, Sides, Tally};
use wasm_tests::bootstrap::{self, Listener};
use wasm_tests::client::{Client, Protocol};
use wasm_tests::message::Request;
use wasm_tests::native;
use wasm_tests::scene::Scene;
use wasm_tests::upstream::{ANSWER, Upstream};
use wasm_tests::wait::eventually;

const BOTH: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];
const TRIPPED: &str = "tsplit_guard_tripped{rule=\"rollout\",variant=\"canary\"}";
/// The time by which a client holds back the last byte of its request.
const LATE: Duration = Duration::from_millis(400);

/// Half to each, by a key that clients choose.
fn configuration() -> Value {
    json!({
        "clusterHeader": "x-split-cluster",
        "metrics": "full",
        "variants": {"stable": {"cluster": "stable"}, "canary": {"cluster": "canary"}},
        "rules": [{
            "name": "rollout",
            "split": {"stable": 1, "canary": 1},
            "sticky": {"key": [{"header": "x-user-id"}]},
            "guard": {"watch": "canary", "fallback": "stable", "maxErrorRate": "5%",
                      "maxLatencyRatio": 2, "minRequests": 20, "window": "60s", "cooldown": "60s"}
        }]
    })
}

/// A site, and requests of users of either variant.
struct Site {
    scene: Scene,
    stable: Vec<Request>,
    canary: Vec<Request>,
}

impl Site {
    async fn start() -> Result<Self> {
        let configuration = configuration();
        let mut listener = Listener::new("site", &configuration.to_string())?;
        for route in listener.routes.as_array_mut().context("no routes")? {
            route["route"]["timeout"] = json!("2s");
        }
        let clusters = bootstrap::clusters(&configuration);
        let scene = Scene::with(&[listener], clusters, 2).await?;
        let plan = native::plan(&configuration.to_string())?;
        let user = |n: usize| Request::get("/").with("x-user-id", format!("user-{n}").as_str());
        let is_canary =
            |request: &Request| native::variant(&plan, request).as_deref() == Some("canary");
        let (canary, stable) = (0..400).map(user).partition(is_canary);
        Ok(Self { scene, stable, canary })
    }

    async fn client(&self, protocol: Protocol) -> Result<Client> {
        Client::connect(protocol, self.scene.address).await
    }

    fn upstream(&self, name: &str) -> Result<&Upstream> {
        self.scene.upstreams.get(name).with_context(|| format!("no upstream {name}"))
    }

    /// So many plain requests of each side, over both protocols.
    async fn visits(&self, count: usize) -> Result<()> {
        for protocol in BOTH {
            let mut client = self.client(protocol).await?;
            for request in self.stable.iter().take(count).chain(self.canary.iter().take(count)) {
                client.send(request).await?;
            }
        }
        Ok(())
    }

    /// Uploads of these users at once, half of them over each protocol.
    async fn uploads(&self, users: &[Request]) -> Result<()> {
        let mut running = Vec::new();
        for (at, user) in users.iter().enumerate() {
            let mut client = self.client(BOTH[at % 2]).await?;
            let request = Request { method: "POST".into(), ..user.clone() };
            running.push(tokio::spawn(async move { client.upload(&request, LATE).await }));
        }
        for upload in running {
            assert_eq!(upload.await??.status, 200);
        }
        Ok(())
    }

    /// The sum of the metrics whose names begin so.
    async fn sum(&self, start: &str) -> Result<f64> {
        let metrics = self.scene.envoy.prometheus().await?;
        Ok(metrics.iter().filter(|(name, _)| name.starts_with(start)).map(|(_, value)| value).sum())
    }

    async fn counted(&self, start: &str, expected: f64) -> Result<()> {
        eventually(start, async || {
            let sum = self.sum(start).await?;
            ensure!(sum == expected, "{sum}, not {expected}");
            Ok(())
        })
        .await
    }

    /// Waits until the guard has tripped.
    async fn trips(&self) -> Result<()> {
        eventually("the guard", async || {
            ensure!(self.sum(TRIPPED).await? > 0.0, "{}", self.log());
            Ok(())
        })
        .await
    }

    /// Whether the guard has tripped, after three seconds: workers share what they count once a second.
    async fn is_tripped(&self) -> Result<bool> {
        tokio::time::sleep(Duration::from_secs(3)).await;
        Ok(self.sum(TRIPPED).await? > 0.0)
    }

    fn log(&self) -> String {
        self.scene.envoy.log()
    }
}

/// Those of these users with this word for the upstream.
fn asking(users: &[Request], answer: &str, count: usize) -> Vec<Request> {
    users.iter().take(count).map(|user| user.clone().with(ANSWER, answer)).collect()
}

#[tokio::test]
async fn who_holds_back_the_last_byte_makes_no_variant_slow() -> Result<()> {
    let site = Site::start().await?;
    site.visits(40).await?;
    site.uploads(&asking(&site.canary, "reads", 40)).await?;
    // The same where the upstream answers before the request has ended: nothing is measured.
    site.uploads(&site.canary.iter().take(40).cloned().collect::<Vec<_>>()).await?;
    ensure!(!site.is_tripped().await?, "{}", site.log());
    // Nor is it in the histogram, by which `splitctl watch` and the alerts judge. Envoy merges that
    // every few seconds.
    let labels = "{rule=\"rollout\",variant=\"canary\"";
    site.counted(&format!("tsplit_response_time_ms_count{labels}"), 120.0).await?;
    let quick = format!("tsplit_response_time_ms_bucket{labels},le=\"300\"}}");
    let quick = site.sum(&quick).await?;
    assert!(quick >= 0.95 * 120.0, "{quick} of 120");
    Ok(())
}

/// A request with a body is measured all the same: from its last byte.
#[tokio::test]
async fn a_variant_that_is_slow_once_it_has_the_last_byte_trips_its_guard() -> Result<()> {
    let site = Site::start().await?;
    site.uploads(&asking(&site.stable, "reads", 40)).await?;
    site.upstream("canary")?.slow(300);
    site.uploads(&asking(&site.canary, "reads", 40)).await?;
    site.trips().await?;
    assert!(site.log().contains("guard tripped, canary goes to stable: p95 of"), "{}", site.log());
    Ok(())
}

/// The requests of these users, who leave once they are at the upstream.
async fn abort(site: &Site, upstream: &str, users: &[Request]) -> Result<()> {
    for (at, user) in users.iter().enumerate() {
        let before = site.upstream(upstream)?.count();
        let mut client = site.client(BOTH[at % 2]).await?;
        let request = user.clone().with(ANSWER, "never");
        let waiting = tokio::spawn(async move { client.send(&request).await.map(drop) });
        eventually("the request", async || {
            ensure!(site.upstream(upstream)?.count() > before, "it did not arrive");
            Ok(())
        })
        .await?;
        waiting.abort();
    }
    Ok(())
}

#[tokio::test]
async fn aborts_on_the_fallback_keep_no_guard_from_tripping() -> Result<()> {
    let site = Site::start().await?;
    let users: Vec<_> = site.stable.iter().cycle().take(320).cloned().collect();
    abort(&site, "stable", &users).await?;
    site.counted("tsplit_aborted_total{rule=\"rollout\",variant=\"stable\"}", 320.0).await?;
    site.upstream("canary")?.fail(50);
    site.visits(30).await?;
    site.trips().await
}

/// Before the response, in its middle over both protocols, and by not waiting for its end.
#[tokio::test]
async fn aborts_and_what_a_client_lets_time_out_trip_no_guard() -> Result<()> {
    let site = Site::start().await?;
    site.visits(30).await?;
    abort(&site, "canary", &site.canary[..40]).await?;
    for (at, hangs) in asking(&site.canary, "hangs", 40).iter().enumerate() {
        let mut client = site.client(BOTH[at % 2]).await?;
        assert_eq!(client.head(hangs).await?.status(), 200);
    }
    // One connection of HTTP/2 goes on after each reset stream.
    let mut client = site.client(Protocol::Http2).await?;
    for hangs in asking(&site.canary, "hangs", 40) {
        drop(client.head(&hangs).await?);
    }
    // Envoy's time for the response runs out in its middle, whoever is to blame.
    let mut unread = Vec::new();
    for (at, hangs) in asking(&site.canary, "hangs", 40).iter().enumerate() {
        let mut client = site.client(BOTH[at % 2]).await?;
        let head = client.head(hangs).await?;
        unread.push((client, head));
    }
    site.counted("tsplit_aborted_total{rule=\"rollout\",variant=\"canary\"}", 160.0).await?;
    ensure!(!site.is_tripped().await?, "{}", site.log());
    assert_eq!(site.sum("tsplit_responses_total{rule=\"rollout\",variant=\"canary\"").await?, 60.0);
    drop(unread);
    // An upstream that breaks off is told from all of these.
    for breaks in asking(&site.canary, "breaks", 40) {
        let _ = client.send(&breaks).await;
    }
    site.trips().await
}

/// The route's own time makes an error of it, as long as its client waits for that.
#[tokio::test]
async fn a_variant_that_never_answers_is_seen_by_the_routes_time() -> Result<()> {
    let site = Site::start().await?;
    site.visits(20).await?;
    let mut running = Vec::new();
    for (at, never) in asking(&site.canary, "never", 40).into_iter().enumerate() {
        let mut client = site.client(BOTH[at % 2]).await?;
        running.push(tokio::spawn(async move { client.send(&never).await }));
    }
    for reply in running {
        assert_eq!(reply.await??.status, 504);
    }
    site.trips().await
}

/// The fewest requests of one client with which the guard does this, beside what others send; each is
/// added to the counts by `add`.
fn fewest(others: &Sides, add: impl Fn(&mut Sides), trips: bool) -> Result<u32> {
    let mut configuration = configuration();
    configuration["rules"][0]["guard"]["minRequests"] = json!(100);
    let plan = native::plan(&configuration.to_string())?;
    let guard = plan.guards().first().context("no guard")?;
    let mut sides = others.clone();
    let found = (0..10_000).find(|_| {
        let mut record = Record::default();
        record.add(guard, &sides, 1_000);
        let done = guard.step(&mut record, 1_000).is_some() == trips;
        add(&mut sides);
        done
    });
    found.context("as many as one likes")
}

/// So many responses, of which some fail.
fn tally(responses: u32, errors: u32) -> Tally {
    let mut tally = Tally::default();
    (0..responses).for_each(|n| tally.observe(n < errors, 9));
    tally
}

/// The figures in `src/security.md`.
#[test]
fn what_one_client_can_still_do_to_a_guard() -> Result<()> {
    let text = std::fs::read_to_string(wasm_tests::root().join("src/security.md"))?;
    let sides = |watch, fallback| Sides { watch, fallback };
    let mut figures = Vec::new();
    for responses in [100, 1_000] {
        let others = sides(tally(responses, 0), tally(responses, 0));
        figures.push(fewest(&others, |sides| sides.watch.observe(true, 9), true)?);
        figures.push(fewest(&others, |sides| sides.watch.observe(false, 900), true)?);
    }
    let others = sides(tally(100, 50), tally(400, 0));
    figures.push(fewest(&others, |sides| sides.fallback.observe(true, 9), false)?);
    println!("{figures:?}");
    let [failing, slow, failing_more, slow_more, kept] = figures[..] else { panic!() };
    for sentence in [
        format!("{failing} beside 100 good responses, {failing_more} beside 1,000"),
        format!("{slow} beside 100 quick responses of each side, {slow_more} beside 1,000"),
        format!("{kept} beside 400 good responses, while the watched variant fails half of 100"),
    ] {
        assert!(text.contains(&sentence), "{sentence}");
    }
    Ok(())
}
