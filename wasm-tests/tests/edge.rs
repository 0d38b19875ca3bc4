//! `manifests/envoy.yaml` and `manifests/envoy-route-weights.yaml` at the edge: what they refuse from
//! clients, and what a client cannot say in trailers or by `Connection`.

use anyhow::{Context, Result, ensure};
use std::process::Command;
use wasm_tests::envoy::Envoy;
use wasm_tests::find::{self, Launcher};
use wasm_tests::manifest::{self, ROUTE_WEIGHTS};
use wasm_tests::message::{Reply, Request};
use wasm_tests::raw::{self, Connection};
use wasm_tests::upstream::Upstream;
use wasm_tests::wait::eventually;

const MANIFESTS: [&str; 2] = ["envoy.yaml", ROUTE_WEIGHTS];
const LIMIT: &str = "max_active_downstream_connections: 20000";

/// A manifest with its upstreams, changed in one place.
struct Edge {
    envoy: Envoy,
    _upstreams: [Upstream; 2],
}

impl Edge {
    async fn start(file: &str, from: &str, to: &str, launcher: &Launcher) -> Result<Self> {
        let upstreams = [Upstream::start("stable").await?, Upstream::start("canary").await?];
        let [stable, canary] = upstreams.each_ref().map(|upstream| upstream.address.port());
        let manifest = manifest::runnable_of(file, stable, canary)?.replaced(from, to)?;
        let envoy = Envoy::start(launcher, manifest.setup(1)?).await?;
        Ok(Self { envoy, _upstreams: upstreams })
    }

    async fn unchanged(file: &str) -> Result<Self> {
        Self::start(file, LIMIT, LIMIT, &find::launcher()?).await
    }

    async fn connect(&self) -> Result<Connection> {
        Connection::open(self.envoy.address(manifest::LISTENER)?, None).await
    }

    async fn ask(&self, request: &Request) -> Result<Reply> {
        raw::send(self.envoy.address(manifest::LISTENER)?, request).await
    }

    async fn exchange(&self, bytes: &[u8]) -> Result<Reply> {
        let mut connection = self.connect().await?;
        connection.write(bytes).await?;
        connection.read().await
    }
}

#[tokio::test]
async fn a_header_with_an_underscore_is_refused() -> Result<()> {
    for file in MANIFESTS {
        let edge = Edge::unchanged(file).await?;
        for header in ["x_split_variant", "x-split_variant"] {
            let status = edge.ask(&Request::get("/").with(header, "canary")).await?.status;
            ensure!(status == 400, "{file}: {status}");
        }
        ensure!(edge.ask(&Request::get("/").with("x-other", "canary")).await?.status == 200);
    }
    Ok(())
}

#[tokio::test]
async fn an_escaped_slash_is_redirected_to_the_slash() -> Result<()> {
    for file in MANIFESTS {
        let edge = Edge::unchanged(file).await?;
        for (path, expected) in [("/a%2Fb", "/a/b"), ("/a%5cb", "/a/b"), ("/a%2f..%2Fb", "/b")] {
            let reply = edge.ask(&Request::get(path)).await?;
            let to = reply.header("location").unwrap_or_default();
            ensure!((reply.status, to) == (307, expected), "{file}: {path}: {reply:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn more_connections_than_the_limit_are_turned_away() -> Result<()> {
    for file in MANIFESTS {
        let few = "max_active_downstream_connections: 2";
        let edge = Edge::start(file, LIMIT, few, &find::launcher()?).await?;
        let request = raw::written(&Request::get("/"), "");
        let mut open = Vec::new();
        for _ in 0..2 {
            let mut connection = edge.connect().await?;
            connection.write(&request).await?;
            ensure!(connection.read().await?.status == 200);
            open.push(connection);
        }
        // Envoy may close it before or after it is written to.
        let mut third = edge.connect().await?;
        let turned_away = third.write(&request).await.is_err() || third.read().await.is_err();
        ensure!(turned_away, "{file}: a third connection was served");
        drop(open);
        eventually("room again", async || edge.ask(&Request::get("/")).await).await?;
    }
    Ok(())
}

/// By the command that the manifest gives.
#[tokio::test]
async fn a_key_of_envoys_own_environment_signs_cookies() -> Result<()> {
    let text = manifest::filter()?;
    let command = text.lines().find_map(|line| line.split_once("#   export SPLIT_COOKIE_KEYS="));
    let (_, command) = command.context("no command for a key")?;
    let script = format!("printf %s \"{command}\"");
    let output = Command::new("sh").args(["-c", &script]).output()?;
    let key = String::from_utf8(output.stdout)?;
    // 32 bytes in base64.
    ensure!(key.len() == 44 && key.ends_with('='), "{key}");
    let plain = r#""cookie": "split-id", "maxAge": "30d""#;
    let signed = format!(r#"{plain}, "signing": {{ "env": "SPLIT_COOKIE_KEYS" }}"#);
    let launcher = find::launcher()?;
    let with = |key: &str| {
        let mut arguments = vec![format!("SPLIT_COOKIE_KEYS={key}").into()];
        arguments.push(launcher.program.clone().into_os_string());
        arguments.extend(launcher.arguments.clone());
        Launcher { program: "env".into(), arguments }
    };
    let edge = Edge::start("envoy.yaml", plain, &signed, &with(&key)).await?;
    let reply = edge.ask(&Request::get("/reviews/1")).await?;
    let cookies = reply.cookies();
    let [cookie] = cookies.as_slice() else { anyhow::bail!("{reply:?}") };
    ensure!(cookie.matches('.').count() == 3, "not signed: {cookie}");
    let known = edge.ask(&Request::get("/reviews/1").with("cookie", cookie.as_str())).await?;
    ensure!(known.cookies().is_empty(), "{known:?}");
    // One byte less than 32.
    let short = Edge::start("envoy.yaml", plain, &signed, &with(&"k".repeat(31))).await?;
    ensure!(short.ask(&Request::get("/")).await?.status == 500);
    let log = short.envoy.log();
    ensure!(log.contains("has a key of less than 32 bytes"), "{log}");
    Ok(())
}

/// Envoy drops the trailers of an HTTP/1.1 request, and decides before they come.
#[tokio::test]
async fn trailers_of_a_request_decide_nothing() -> Result<()> {
    let edge = Edge::unchanged("envoy.yaml").await?;
    let head = "POST / HTTP/1.1\r\nhost: example.com\r\ntransfer-encoding: chunked\r\n";
    let trailers = "x-split-cluster: canary\r\nx-split-variant: canary\r\nx-user-group: beta\r\n";
    let body = format!("{head}trailer: x-split-cluster\r\n\r\n1\r\na\r\n0\r\n{trailers}\r\n");
    let seen = edge.exchange(body.as_bytes()).await?.seen()?;
    ensure!(seen.upstream == "stable", "{seen:?}");
    for name in ["x-split-cluster", "x-split-variant", "x-user-group"] {
        ensure!(seen.all(name).is_empty(), "{seen:?}");
    }
    Ok(())
}

/// A client cannot have a hop remove the header that the filter writes: Envoy takes `Connection` away.
#[tokio::test]
async fn a_header_that_connection_names_is_written_all_the_same() -> Result<()> {
    let edge = Edge::unchanged("envoy.yaml").await?;
    for listed in ["x-split-variant", "x-split-variant, x-split-cluster", "close, x-split-variant"]
    {
        let request = Request::get("/").with("x-user-group", "beta");
        let bytes = raw::written(&request, &format!("connection: {listed}\r\n"));
        let seen = edge.exchange(&bytes).await?.seen()?;
        ensure!(seen.upstream == "canary", "{listed}: {seen:?}");
        ensure!(seen.all("x-split-variant") == [b"canary"], "{listed}: {seen:?}");
        ensure!(seen.all("connection").is_empty(), "{listed}: {seen:?}");
    }
    // A header that the client sends and lists counts as not sent: Envoy takes it away before any rule.
    let request = Request::get("/").with("x-user-group", "beta");
    let seen =
        edge.exchange(&raw::written(&request, "connection: x-user-group\r\n")).await?.seen()?;
    ensure!(seen.upstream == "stable" && seen.all("x-user-group").is_empty(), "{seen:?}");
    Ok(())
}
