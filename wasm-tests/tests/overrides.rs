//! Forced variants in a real Envoy: a link chooses, its cookie keeps the choice, and nothing that
//! compares variants hears of it.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::process::Command;
use wasm_tests::client::{Client, Protocol};
use wasm_tests::message::{Reply, Request};
use wasm_tests::native::ENVIRONMENT;
use wasm_tests::redirects;
use wasm_tests::scene::Scene;
use wasm_tests::upstream::ANSWER;

const BOTH: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

fn configuration(signed: bool) -> Value {
    let mut overrides = json!({"queryParam": "split", "cookie": "split-force", "maxAge": "8h",
                               "variants": ["canary"]});
    if signed {
        overrides["signing"] = json!({"env": "SPLIT_COOKIE_KEYS"});
    }
    json!({
        "clusterHeader": "x-split-cluster",
        "variantHeader": "x-split-variant",
        "debugHeader": "x-split-debug",
        "metrics": "full",
        "variants": {"stable": {"cluster": "stable"}, "canary": {"cluster": "canary"}},
        "rules": [{
            "name": "rollout",
            "split": {"stable": 1, "canary": 0},
            "sticky": {"issue": {"cookie": "split-id", "maxAge": "1d"}},
            "persist": {"cookie": "kept", "maxAge": "1h"},
            "guard": {"watch": "canary", "fallback": "stable", "maxErrorRate": "5%",
                      "minRequests": 5, "window": "5s"},
            "override": overrides
        }]
    })
}

/// A browser: it sends back the cookies that it was set, and forgets those that ended.
struct Browser {
    client: Client,
    cookies: Vec<(String, String)>,
}

impl Browser {
    async fn new(protocol: Protocol, address: std::net::SocketAddr) -> Result<Self> {
        Ok(Browser { client: Client::connect(protocol, address).await?, cookies: Vec::new() })
    }

    async fn open(&mut self, path: &str) -> Result<Reply> {
        self.send(Request::get(path)).await
    }

    async fn send(&mut self, mut request: Request) -> Result<Reply> {
        let cookies = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        let cookies = cookies.collect::<Vec<_>>().join("; ");
        if !cookies.is_empty() {
            request = request.with("cookie", cookies.as_str());
        }
        let reply = self.client.send(&request).await?;
        for field in reply.all("set-cookie") {
            let pair = field.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').context("no value")?;
            self.cookies.retain(|(known, _)| known != name);
            if !field.contains("; Max-Age=0;") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        Ok(reply)
    }

    fn names(&self) -> Vec<&str> {
        self.cookies.iter().map(|(name, _)| name.as_str()).collect()
    }
}

fn is(reply: &Reply, upstream: &str, reason: &str) -> Result<()> {
    let told = reply.header("x-split-debug").unwrap_or_default();
    let expected = format!("rule=rollout; variant={upstream}; reason={reason}");
    ensure!(reply.upstream() == Some(upstream) && told == expected, "{reply:?}");
    let seen = reply.seen()?;
    ensure!(seen.all("x-split-variant") == [upstream.as_bytes()], "{seen:?}");
    Ok(())
}

#[tokio::test]
async fn a_link_begins_a_session_and_an_empty_one_ends_it() -> Result<()> {
    let scene = Scene::start(&configuration(false), 2).await?;
    for protocol in BOTH {
        let mut browser = Browser::new(protocol, scene.address).await?;
        let forced = browser.open("/shop?a=1&split=canary").await?;
        is(&forced, "canary", "override")?;
        // The application sees the parameter, and no cache keeps the response.
        ensure!(forced.seen()?.path == "/shop?a=1&split=canary");
        ensure!(forced.header("cache-control") == Some("private"), "{forced:?}");
        let set = forced.all("set-cookie");
        let expected = "split-force=canary; Max-Age=28800; Path=/; SameSite=Lax; HttpOnly";
        ensure!(set == [expected], "neither an identity nor an assignment: {set:?}");
        for path in ["/", "/cart", "/?split=nothing"] {
            let kept = browser.open(path).await?;
            is(&kept, "canary", "override")?;
            ensure!(kept.all("set-cookie").is_empty(), "{kept:?}");
        }
        let ended = browser.open("/?split=").await?;
        is(&ended, "stable", "sticky")?;
        ensure!(browser.names() == ["split-id", "kept"], "{:?}", browser.cookies);
        is(&browser.open("/").await?, "stable", "persisted")?;
        // An assignment stands back, and is still there afterwards.
        is(&browser.open("/?split=canary").await?, "canary", "override")?;
        is(&browser.open("/?split=").await?, "stable", "persisted")?;
        is(&browser.open("/").await?, "stable", "persisted")?;
    }
    Ok(())
}

/// Failures that a tester brings about trip no guard, and are no responses of the variant.
#[tokio::test]
async fn nothing_that_compares_variants_hears_of_a_choice() -> Result<()> {
    const FORCED: usize = 40;
    let scene = Scene::start(&configuration(false), 1).await?;
    let mut tester = Browser::new(Protocol::Http1, scene.address).await?;
    is(&tester.open("/?split=canary").await?, "canary", "override")?;
    for _ in 1..FORCED {
        let failed = tester.send(Request::get("/").with(ANSWER, "503")).await?;
        ensure!(failed.status == 503 && failed.upstream() == Some("canary"), "{failed:?}");
    }
    let mut user = Browser::new(Protocol::Http1, scene.address).await?;
    is(&user.open("/").await?, "stable", "sticky")?;
    let metrics = scene.envoy.prometheus().await?;
    let of = |name: &str, labels: &str| -> f64 {
        let wanted = |key: &&String| {
            key.starts_with(name) && labels.split(' ').all(|label| key.contains(label))
        };
        metrics.iter().filter(|(key, _)| wanted(key)).map(|(_, value)| value).sum()
    };
    let requests = "tsplit_requests_total{";
    ensure!(of(requests, "reason=\"override\" variant=\"canary\"") == FORCED as f64, "{metrics:?}");
    ensure!(of(requests, "") == FORCED as f64 + 1.0, "{metrics:?}");
    ensure!(of("tsplit_responses_total{", "variant=\"canary\"") == 0.0, "{metrics:?}");
    ensure!(of("tsplit_responses_total{", "variant=\"stable\"") == 1.0, "{metrics:?}");
    ensure!(of("tsplit_response_time_ms_count{", "variant=\"canary\"") == 0.0, "{metrics:?}");
    Ok(())
}

/// The program and the filter have the same keys in their environments.
fn link(program: &std::path::Path, configuration: &str, more: &[&str]) -> Result<String> {
    let folder = wasm_tests::envoy::folder()?;
    let file = folder.path().join("plugin.json");
    std::fs::write(&file, configuration)?;
    let output = Command::new(program)
        .env(ENVIRONMENT[1].0, ENVIRONMENT[1].1)
        .args(["link", "--rule", "rollout", "--variant", "canary", "-f"])
        .arg(&file)
        .args(more)
        .output()?;
    ensure!(output.status.success(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

#[tokio::test]
async fn a_link_of_splitctl_is_believed_until_it_ends() -> Result<()> {
    let configuration = configuration(true);
    let scene = Scene::start(&configuration, 1).await?;
    let program = wasm_tests::splitctl::program()?;
    let link = |more: &[&str]| link(&program, &configuration.to_string(), more);
    let good = link(&["--expires", "1h", "--url", "/shop?page=2"])?;
    let over = link(&["--expires", "1h", "--at", "2026-01-01T00:00:00Z"])?;
    for protocol in BOTH {
        let mut browser = Browser::new(protocol, scene.address).await?;
        is(&browser.open(&good).await?, "canary", "override")?;
        is(&browser.open("/cart").await?, "canary", "override")?;
        is(&browser.open("/?split=").await?, "stable", "sticky")?;
        for wrong in
            [format!("/{over}"), "/?split=canary".into(), good.replace("canary.", "stable.")]
        {
            let mut other = Browser::new(protocol, scene.address).await?;
            let reply = other.open(&wrong).await?;
            ensure!(reply.upstream() == Some("stable"), "{wrong}: {reply:?}");
            let told = reply.header("x-split-debug").unwrap_or_default();
            ensure!(told.ends_with("reason=sticky; absent=seal"), "{wrong}: {told}");
        }
    }
    Ok(())
}

/// The link is in the path that the client asked for, and not in that of the second run.
#[tokio::test]
async fn a_second_run_is_decided_by_the_link_of_the_first() -> Result<()> {
    let mut configuration = configuration(false);
    configuration["rules"][0]["guard"].take();
    configuration["rules"][0].as_object_mut().context("no rule")?.remove("guard");
    let scene = {
        let listener = redirects::listener("site", &configuration)?;
        Scene::with(&[listener], ["stable", "canary"].into_iter(), 2).await?
    };
    for protocol in BOTH {
        for path in
            ["/?split=canary", "/to?http://example.com/new&split=canary", "/failing?split=canary"]
        {
            let mut browser = Browser::new(protocol, scene.address).await?;
            let before = scene.upstreams["stable"].count();
            let reply = browser.open(path).await?;
            ensure!(reply.upstream() == Some("canary"), "{path}, {protocol:?}: {reply:?}");
            ensure!(scene.upstreams["stable"].count() == before, "{path}: each run");
            ensure!(browser.names() == ["split-force"], "{path}, {protocol:?}: {reply:?}");
            let kept = browser.open("/").await?;
            is(&kept, "canary", "override")?;
            let ended = browser.open(&path.replace("=canary", "=")).await?;
            ensure!(ended.upstream() == Some("stable"), "{path}, {protocol:?}: {ended:?}");
            ensure!(browser.names() == ["split-id", "kept"], "{path}: {:?}", browser.cookies);
        }
    }
    Ok(())
}
