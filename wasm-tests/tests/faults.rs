//! Faults in a real Envoy; each test is a row of `faults.json`.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use wasm_tests::bootstrap::{self, DEFAULT, Listener, typed};
use wasm_tests::envoy::{Envoy, Setup};
use wasm_tests::message::{Reply, Request};
use wasm_tests::upstream::{self, Upstream};
use wasm_tests::wait::eventually;
use wasm_tests::{fault, find, manifest, raw};

/// A tester goes to the canary; whoever asks for a trap reads a property.
fn configuration() -> Value {
    json!({
        "clusterHeader": "x-split-cluster",
        "variantHeader": "x-split-variant",
        "variants": {
            "stable": {"cluster": "stable"},
            "canary": {"cluster": "canary"},
            "gone": {"cluster": "gone"}
        },
        "rules": [
            {
                "name": "trap",
                "match": [{"headers": {"x-trap": {"present": true}}, "sourceIp": ["10.0.0.0/8"]}],
                "to": "canary"
            },
            {
                "name": "gone",
                "match": [{"headers": {"x-user-group": {"exact": "gone"}}}],
                "to": "gone"
            },
            {
                "name": "testers",
                "match": [{"headers": {"x-user-group": {"exact": "beta"}}}],
                "to": "canary"
            }
        ]
    })
}

struct Site {
    envoy: Envoy,
    upstreams: BTreeMap<String, Upstream>,
}

impl Site {
    async fn start(listener: Listener, change: impl FnOnce(&mut Value)) -> Result<Self> {
        let upstreams = upstream::start([DEFAULT, "stable", "canary"]).await?;
        let bootstrap = bootstrap::bootstrap(&[listener], &upstreams);
        let mut bootstrap: Value = serde_json::from_str(&bootstrap)?;
        change(&mut bootstrap);
        let bootstrap = bootstrap.to_string();
        let setup = Setup { bootstrap, concurrency: 1, listeners: 1, folder: None };
        let envoy = Envoy::start(&find::launcher()?, setup).await?;
        Ok(Self { envoy, upstreams })
    }

    async fn send(&self, request: &Request) -> Result<Reply> {
        raw::send(self.envoy.address("faults")?, request).await
    }

    async fn reached(&self, request: &Request) -> Result<Option<String>> {
        Ok(self.send(request).await?.upstream().map(str::to_owned))
    }

    /// Requests until one reaches an upstream: how many did not, and how long that took.
    async fn until_served(&self, request: &Request) -> Result<(u32, Duration)> {
        let (started, mut failed) = (Instant::now(), 0);
        eventually("an upstream", async || {
            failed += 1;
            self.reached(request).await?.with_context(|| self.envoy.log())
        })
        .await?;
        Ok((failed - 1, started.elapsed()))
    }
}

fn listener() -> Result<Listener> {
    Listener::new("faults", &configuration().to_string())
}

/// The listener with this module and failure policy.
fn faulty(module: &Path, policy: &str) -> Result<Listener> {
    let mut listener = listener()?;
    let filter = listener.filters.first_mut().context("no filter")?;
    let config = &mut filter["typed_config"]["config"];
    config["failure_policy"] = json!(policy);
    config["vm_config"]["code"]["local"]["filename"] = json!(module);
    Ok(listener)
}

fn manager(bootstrap: &mut Value) -> &mut Value {
    &mut bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
}

fn tester() -> Request {
    Request::get("/").with("x-user-group", "beta")
}

fn trap() -> Request {
    Request::get("/").with("x-trap", "1")
}

fn spoofed() -> Request {
    Request::get("/").with("x-split-cluster", "canary").with("x-split-variant", "canary")
}

#[tokio::test]
async fn row_09_where_the_vm_failed_open_a_client_chooses_nothing() -> Result<()> {
    let mut listener = faulty(&fault::trapping()?, "FAIL_OPEN")?;
    listener.strip = vec!["x-split-cluster".into(), "x-split-variant".into()];
    let site = Site::start(listener, |_| {}).await?;
    assert_eq!(site.reached(&tester()).await?.as_deref(), Some("canary"));
    assert_eq!(site.send(&trap()).await?.status, 503, "the request that trapped");
    for request in [tester(), spoofed(), trap(), tester().with("X-Split-Cluster", "canary")] {
        let seen = site.send(&request).await?.seen()?;
        assert_eq!(seen.upstream, DEFAULT, "{request:?}");
        assert!(seen.all("x-split-cluster").is_empty() && seen.all("x-split-variant").is_empty());
    }
    Ok(())
}

/// Envoy refuses a NUL, takes a bare CR as a blank, and a bare LF as a line's end, as RFC 9112
/// section 2.2 has it: nothing of the kind comes to the filter, or to an upstream.
#[tokio::test]
async fn row_14_a_nul_cr_or_lf_in_a_value_goes_nowhere() -> Result<()> {
    let site = Site::start(listener()?, |_| {}).await?;
    for (value, status) in [("be\0ta", 400), ("beta\r; a", 200), ("b\nx-user-group: a", 200)] {
        let reply = site.send(&Request::get("/").with("x-user-group", value)).await?;
        assert_eq!(reply.status, status, "{value:?}");
        if status == 200 {
            let seen = reply.seen()?;
            assert_eq!(seen.upstream, DEFAULT, "{value:?}");
            let values = seen.all("x-user-group").concat();
            assert!(!values.iter().any(|b| matches!(b, b'\0' | b'\r' | b'\n')), "{seen:?}");
        }
    }
    assert_eq!(site.reached(&tester()).await?.as_deref(), Some("canary"));
    Ok(())
}

#[tokio::test]
async fn row_35_an_unknown_cluster_is_envoys_503_counted_and_logged() -> Result<()> {
    let site = Site::start(listener()?, |bootstrap| {
        let format = "flags=%RESPONSE_FLAGS% %REQ(X-SPLIT-CLUSTER)%\n";
        let format = json!({"text_format_source": {"inline_string": format}});
        let log = typed(
            "envoy.extensions.access_loggers.stream.v3.StderrAccessLog",
            json!({"log_format": format}),
        );
        manager(bootstrap)["access_log"] =
            json!([{"name": "envoy.access_loggers.stderr", "typed_config": log}]);
    })
    .await?;
    let gone = Request::get("/").with("x-user-group", "gone");
    for _ in 0..3 {
        assert_eq!(site.send(&gone).await?.status, 503);
    }
    assert_eq!(site.reached(&tester()).await?.as_deref(), Some("canary"));
    assert_eq!(site.envoy.stat("http.faults.no_cluster").await?, 3);
    eventually("the access log", async || {
        let log = site.envoy.log();
        ensure!(log.matches("flags=NC gone").count() == 3, "{log}");
        Ok(())
    })
    .await
}

/// Envoy's default policy, which README tells of: nothing brings the VM back.
#[tokio::test]
async fn where_the_vm_failed_closed_nothing_is_served() -> Result<()> {
    let site = Site::start(faulty(&fault::trapping()?, "FAIL_CLOSED")?, |_| {}).await?;
    assert_eq!(site.reached(&tester()).await?.as_deref(), Some("canary"));
    assert_eq!(site.send(&trap()).await?.status, 503);
    let started = Instant::now();
    // Longer than a reload would take.
    while started.elapsed() < Duration::from_secs(3) {
        assert_eq!(site.send(&tester()).await?.status, 503);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Two listeners with the same module and environment.
#[tokio::test]
async fn a_trap_of_one_plugin_ends_the_vm_of_all() -> Result<()> {
    let module = fault::trapping()?;
    let [ours, mut theirs] = [faulty(&module, "FAIL_CLOSED")?, faulty(&module, "FAIL_CLOSED")?];
    theirs.name = "theirs".into();
    let upstreams = upstream::start([DEFAULT, "stable", "canary"]).await?;
    let bootstrap = bootstrap::bootstrap(&[ours, theirs], &upstreams);
    let setup = Setup { bootstrap, concurrency: 1, listeners: 2, folder: None };
    let envoy = Envoy::start(&find::launcher()?, setup).await?;
    let theirs = envoy.address("theirs")?;
    assert_eq!(raw::send(theirs, &tester()).await?.upstream(), Some("canary"));
    assert_eq!(raw::send(envoy.address("faults")?, &trap()).await?.status, 503);
    assert_eq!(raw::send(theirs, &tester()).await?.status, 503);
    Ok(())
}

/// Envoy waits a second by default, with jitter, before it loads the filter anew.
#[tokio::test]
async fn row_39_a_trap_fails_requests_no_longer_than_the_backoff() -> Result<()> {
    let site = Site::start(faulty(&fault::trapping()?, "FAIL_RELOAD")?, |_| {}).await?;
    for round in 0..3 {
        assert_eq!(site.reached(&tester()).await?.as_deref(), Some("canary"), "round {round}");
        assert_eq!(site.send(&trap()).await?.status, 503);
        let (failed, time) = site.until_served(&tester()).await?;
        println!("round {round}: {failed} requests failed in {time:?}");
        assert!(time < Duration::from_secs(10), "{time:?}");
        assert_eq!(site.reached(&tester()).await?.as_deref(), Some("canary"), "decided again");
    }
    let stats = site.envoy.stats().await?;
    let reloads = stats.iter().filter(|(name, _)| name.contains("vm_reload_success"));
    assert_eq!(reloads.map(|(_, count)| count).sum::<u64>(), 3, "{}", site.envoy.log());
    Ok(())
}

/// A module whose memory is small, and requests of megabytes, which only this listener takes.
#[tokio::test]
async fn row_40_out_of_memory_is_no_worse_than_a_trap() -> Result<()> {
    let listener = faulty(&fault::starved(32)?, "FAIL_RELOAD")?;
    let site = Site::start(listener, |bootstrap| {
        manager(bootstrap)["max_request_headers_kb"] = json!(8192);
    })
    .await?;
    assert_eq!(site.reached(&tester()).await?.as_deref(), Some("canary"));
    let huge = "a".repeat(4 << 20);
    assert_eq!(site.send(&Request::get("/").with("x", huge.as_str())).await?.status, 503);
    site.until_served(&tester()).await?;
    assert_eq!(site.reached(&tester()).await?.as_deref(), Some("canary"));
    Ok(())
}

#[tokio::test]
async fn row_42_a_header_that_no_route_matches_is_a_local_reply() -> Result<()> {
    let mut listener = listener()?;
    let matched = json!({"name": "x-split-variant", "present_match": true, "invert_match": true});
    listener.routes = json!([
        {"match": {"prefix": "/", "headers": [matched]}, "route": {"cluster": DEFAULT}}
    ]);
    let site = Site::start(listener, |_| {}).await?;
    for _ in 0..3 {
        assert_eq!(site.send(&tester()).await?.status, 404);
        assert_eq!(site.reached(&Request::get("/")).await?.as_deref(), Some(DEFAULT));
    }
    Ok(())
}

#[tokio::test]
async fn row_43_what_is_denied_before_the_filter_stays_denied() -> Result<()> {
    let mut listener = listener()?;
    let denied = json!({"header": {"name": "x-denied", "present_match": true}});
    let rules = json!({"action": "DENY", "policies": {
        "denied": {"permissions": [denied], "principals": [{"any": true}]}
    }});
    listener.filters.insert(
        0,
        json!({
            "name": "envoy.filters.http.rbac",
            "typed_config": typed(
                "envoy.extensions.filters.http.rbac.v3.RBAC",
                json!({"rules": rules})
            )
        }),
    );
    let site = Site::start(listener, |_| {}).await?;
    for _ in 0..3 {
        assert_eq!(site.send(&tester().with("x-denied", "1")).await?.status, 403);
        assert_eq!(site.reached(&tester()).await?.as_deref(), Some("canary"));
    }
    Ok(())
}

/// The route that the client asked for denies it, whichever route the filter chooses.
#[tokio::test]
async fn row_43_what_its_own_route_denies_is_not_let_in_by_another() -> Result<()> {
    let kind = |name: &str| format!("envoy.extensions.filters.http.rbac.v3.{name}");
    let mut listener = listener()?;
    let rbac = json!({"name": "rbac", "typed_config": typed(&kind("RBAC"), json!({}))});
    listener.filters.insert(0, rbac);
    let everyone = json!({"permissions": [{"any": true}], "principals": [{"any": true}]});
    let rules = json!({"rules": {"action": "DENY", "policies": {"everyone": everyone}}});
    let denied = typed(&kind("RBACPerRoute"), json!({"rbac": rules}));
    let routes = listener.routes.as_array_mut().context("no routes")?;
    let default = routes.last_mut().context("no default route")?;
    default["typed_per_filter_config"] = json!({"rbac": denied});
    let site = Site::start(listener, |_| {}).await?;
    for request in [tester(), Request::get("/")] {
        assert_eq!(site.send(&request).await?.status, 403, "{request:?}");
    }
    Ok(())
}

#[tokio::test]
async fn row_44_of_five_thousand_headers_none_is_lost() -> Result<()> {
    const COUNT: usize = 5_000;
    let site = Site::start(listener()?, |bootstrap| {
        let manager = manager(bootstrap);
        manager["max_request_headers_kb"] = json!(1024);
        manager["common_http_protocol_options"] = json!({"max_headers_count": COUNT + 100});
    })
    .await?;
    let number = |n: usize| n.to_string();
    let request = (0..COUNT).fold(Request::get("/"), |r, n| r.with("x-many", number(n).as_str()));
    let seen = site.send(&request.with("x-user-group", "beta")).await?.seen()?;
    assert_eq!(seen.upstream, "canary");
    let many: Vec<_> = (0..COUNT).map(|n| number(n).into_bytes()).collect();
    assert!(seen.all("x-many") == many, "{} of {COUNT}", seen.all("x-many").len());
    Ok(())
}

/// `manifests/envoy.yaml` has paths normalised: its rule is for `/reviews`.
#[tokio::test]
async fn row_49_a_path_is_matched_as_envoy_normalised_it() -> Result<()> {
    let upstreams = [Upstream::start("stable").await?, Upstream::start("canary").await?];
    let [stable, canary] = &upstreams;
    let manifest = manifest::runnable(stable.address.port(), canary.address.port())?;
    let envoy = Envoy::start(&find::launcher()?, manifest.setup(1)?).await?;
    for (path, seen_as, matched) in [
        ("/reviews", "/reviews", true),
        ("//reviews", "/reviews", true),
        ("/a/../reviews", "/reviews", true),
        ("/a/%2e%2e/reviews", "/reviews", true),
        ("/ratings/../other", "/other", false),
    ] {
        let request = Request::get(path).with("cookie", "uid=alice");
        let seen = raw::send(envoy.address(manifest::LISTENER)?, &request).await?.seen()?;
        assert_eq!(
            (seen.path.as_str(), seen.all("x-split-variant").len() == 1),
            (seen_as, matched)
        );
    }
    // An escaped slash is sent back as a slash, so that no rule sees another path than the upstream.
    let escaped = Request::get("/a%2F..%2Freviews");
    let escaped = raw::send(envoy.address(manifest::LISTENER)?, &escaped).await?;
    assert_eq!((escaped.status, escaped.header("location")), (307, Some("/reviews")));
    let fragment =
        raw::send(envoy.address(manifest::LISTENER)?, &Request::get("/reviews#a")).await?;
    assert_eq!(fragment.status, 400);
    Ok(())
}

#[tokio::test]
async fn an_upstream_that_is_gone_fails_its_own_requests_only() -> Result<()> {
    let mut site = Site::start(listener()?, |_| {}).await?;
    site.upstreams.remove("canary");
    assert_eq!(site.send(&tester()).await?.status, 503);
    assert_eq!(site.reached(&Request::get("/")).await?.as_deref(), Some(DEFAULT));
    Ok(())
}
