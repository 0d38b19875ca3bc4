//! The commands of `manifests/envoy-gateway/README.md`: kubectl applies to a real API server, and a real
//! Envoy Gateway runs with an Envoy what is there.

use anyhow::{Context, Result, ensure};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Response, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use tokio::net::TcpListener;
use wasm_tests::client::{Client, Protocol};
use wasm_tests::gateway::{self, Gateway};
use wasm_tests::held::Held;
use wasm_tests::istio::folder::{Folder, resources};
use wasm_tests::istio::kubernetes::Kubernetes;
use wasm_tests::istio::registry::Registry;
use wasm_tests::istio::tools::{Tools, output};
use wasm_tests::message::Request;
use wasm_tests::raw;
use wasm_tests::upstream::Upstream;
use wasm_tests::wait::eventually;

const USERS: usize = 1000;
const SOCKETS: usize = 200;
const CHANGES: usize = 50;
const IMAGE: &str = "registry.example.com/traffic-split:1.0";
const URL: &str = "https://files.example.com/traffic_split.wasm";
const NO_DIGEST: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// The objects that the API server is given, and that Envoy Gateway reads.
const KINDS: &str = "gateway,httproute,clienttrafficpolicy,envoyextensionpolicy,envoypatchpolicy";

struct Site {
    folder: PathBuf,
    path: String,
    kubernetes: Kubernetes,
    gateway: Gateway,
    /// The resources of a machine without Kubernetes.
    more: Vec<Value>,
    upstreams: [Upstream; 2],
    _registry: Registry,
}

/// The commands of the page, block by block.
fn blocks(page: &str) -> Vec<String> {
    let blocks = page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.map(str::to_owned).collect()
}

impl Site {
    async fn start() -> Result<(Self, Vec<String>)> {
        let tools = Tools::install("istio")?;
        let own = Tools::install("envoy-gateway")?;
        let folder = wasm_tests::target().join("envoy-gateway/run");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let kubernetes = Kubernetes::start(&tools, &folder).await?;
        gateway::types(&own, &kubernetes)?;
        let registry = Registry::start(&tools, &folder).await?;
        let manifests = Folder::copy(&folder.join("manifests"))?;
        let image = registry.image("traffic-split:1.0");
        for file in ["variant-header", "route-weights"] {
            manifests.replace(&format!("envoy-gateway/{file}.yaml"), IMAGE, &image)?;
        }
        let page = fs::read_to_string(manifests.path("envoy-gateway/README.md"))?;
        let blocks = blocks(&page.replace(IMAGE, &image));
        let machine = blocks.last().context("no blocks")?.trim_end();
        let (certificates, server) = machine.split_once('\n').context("not two commands")?;
        let config = folder.join("manifests/envoy-gateway/envoy-gateway.yaml");
        let gateway = Gateway::start(&own, &folder, &config, [certificates, server]).await?;
        let more =
            resources(&fs::read_to_string(manifests.path("envoy-gateway/standalone.yaml"))?)?;
        let path = format!("{}:{}", tools.path("").display(), std::env::var("PATH")?);
        let upstreams = [Upstream::start("stable").await?, Upstream::start("canary").await?];
        let site = Self { folder, path, kubernetes, gateway, more, upstreams, _registry: registry };
        Ok((site, blocks))
    }

    fn sh(&self, script: &str) -> Result<String> {
        let mut command = Command::new("sh");
        command.args(["-ec", script]).current_dir(&self.folder).env("PATH", &self.path);
        output(command.env("KUBECONFIG", &self.kubernetes.kubeconfig))
    }

    /// The resources of the API server.
    fn resources(&self) -> Result<Vec<Value>> {
        let mut list: Value =
            serde_json::from_str(&self.kubernetes.run(&["get", KINDS, "-o", "json"])?)?;
        list["items"].as_array_mut().map(std::mem::take).context("no items")
    }

    /// Has Envoy Gateway read these resources.
    fn put(&self, resources: &[Value]) -> Result<()> {
        let ports = self.upstreams.each_ref().map(|upstream| upstream.address.port());
        self.gateway.put(resources, &self.more, ports)
    }

    /// Runs commands of the page, and hands over what is there then.
    fn apply(&self, script: &str) -> Result<()> {
        self.sh(script)?;
        self.put(&self.resources()?)
    }

    /// The users of the canary at this path, who are known by a header.
    async fn canary(&self, path: &str) -> Result<BTreeSet<usize>> {
        let mut client = Client::connect(Protocol::Http1, self.gateway.address).await?;
        let mut canary = BTreeSet::new();
        for user in 0..USERS {
            let name = format!("user-{user}");
            let reply = client.send(&Request::get(path).with("x-user-id", name.as_str())).await?;
            if reply.upstream().with_context(|| format!("{reply:?}"))? == "canary" {
                canary.insert(user);
            }
        }
        Ok(canary)
    }

    /// Waits for a canary of this share, within five standard errors.
    async fn share(&self, path: &str, share: f64) -> Result<BTreeSet<usize>> {
        let due = USERS as f64 * share;
        let error = (due * (1.0 - share)).sqrt();
        let outcome = eventually("the canary's share", async || {
            let canary = self.canary(path).await?;
            // A change may come while users are asked.
            ensure!(canary == self.canary(path).await?, "it moves");
            ensure!((canary.len() as f64 - due).abs() <= 5.0 * error, "{} of {due}", canary.len());
            Ok(canary)
        });
        outcome.await.with_context(|| self.gateway.log())
    }

    /// Sends a request that wants to steer itself; what the upstream sees.
    async fn reaches(&self, request: &Request, upstream: &str) -> Result<()> {
        let reached = eventually("the upstream", async || {
            let seen = raw::send(self.gateway.address, request).await?.seen()?;
            ensure!(seen.upstream == upstream, "{seen:?}");
            ensure!(seen.all("x-split-point").is_empty(), "{seen:?}");
            Ok(())
        });
        reached.await.with_context(|| self.gateway.log())
    }
}

fn tester() -> Request {
    Request::get("/reviews").with("x-user-group", "beta").with("x-user-id", "7")
}

/// Has the testers of the policy `reviews` at this variant.
fn testers(resources: &mut [Value], variant: &str) -> Result<()> {
    let is_it = |it: &&mut Value| {
        it["kind"] == "EnvoyExtensionPolicy" && it["metadata"]["name"] == "reviews"
    };
    let policy = resources.iter_mut().find(is_it).context("no policy")?;
    policy["spec"]["wasm"][0]["config"]["rules"][0]["to"] = variant.into();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn its_commands_lead_to_a_canary_and_back() -> Result<()> {
    let (site, blocks) = Site::start().await?;
    let [first, more, hold, release, http, weights, grown, hashed, _] = blocks.as_slice() else {
        anyhow::bail!("not nine blocks: {blocks:#?}")
    };
    let (push, apply) = first.split_once('\n').context("one command")?;
    let mut make = Command::new("sh");
    output(make.args(["-ec", push]).current_dir(wasm_tests::root()))?;
    site.apply(apply)?;
    let few = site.share("/reviews", 0.05).await?;
    site.reaches(&tester(), "canary").await?;
    for sent in ["canary", "stable"] {
        let stranger = Request::get("/reviews").with("x-user-id", "nobody-7");
        let seen = raw::send(site.gateway.address, &stranger).await?.seen()?;
        let steered = stranger.with("X-Split-Variant", sent).with("x-split-point", "99");
        site.reaches(&steered, &seen.upstream).await?;
    }

    connections(&site).await?;

    site.apply(more)?;
    let larger = site.share("/reviews", 0.2).await?;
    ensure!(few.is_subset(&larger), "some have left");
    site.apply(hold)?;
    site.reaches(&tester(), "stable").await?;
    ensure!(site.canary("/reviews").await?.is_empty());
    site.apply(release)?;
    site.reaches(&tester(), "canary").await?;
    ensure!(site.canary("/reviews").await? == larger);

    by_http(&site, http).await?;
    route_weights(&site, weights, grown).await?;
    consistent_hash(&site, hashed).await
}

/// Envoy Gateway has the rules in the listener: each change is a new one.
async fn connections(site: &Site) -> Result<()> {
    let open = Request::get("/reviews");
    let mut held = Held::open(site.gateway.address, SOCKETS, &open).await?;
    let mut resources = site.resources()?;
    for change in 0..CHANGES {
        let variant = if change % 2 == 0 { "stable" } else { "canary" };
        testers(&mut resources, variant)?;
        site.put(&resources)?;
        site.reaches(&tester(), variant).await?;
    }
    eventually("the end of the drain", async || {
        let closed = held.closed().await;
        let http2 = held.ask(&open).await.is_err();
        ensure!(closed == SOCKETS && http2, "{closed} closed, HTTP/2: {http2}");
        Ok(())
    })
    .await
}

/// The module from a server, with a wrong digest and the right one.
async fn by_http(site: &Site, command: &str) -> Result<()> {
    let module = fs::read(wasm_tests::module()?)?;
    let address = serve(module).await?;
    let file = site.folder.join("manifests/envoy-gateway/module-by-http.yaml");
    let text = fs::read_to_string(&file)?;
    ensure!(text.contains(URL) && text.contains(NO_DIGEST), "{text}");
    let text = text.replace(URL, &format!("http://{address}/traffic_split.wasm"));
    fs::write(&file, &text)?;
    site.apply(command)?;
    eventually("the refusal", async || {
        let status = raw::send(site.gateway.address, &tester()).await?.status;
        ensure!(status == 500, "{status}");
        Ok(())
    })
    .await
    .with_context(|| site.gateway.log())?;
    let digest = site.sh(&format!("sha256sum {}", wasm_tests::module()?.display()))?;
    let digest = digest.split_whitespace().next().context("no digest")?;
    fs::write(&file, text.replace(NO_DIGEST, digest))?;
    site.apply(command)?;
    site.reaches(&tester(), "canary").await
}

/// Serves these bytes at every path, for as long as the test runs.
async fn serve(bytes: Vec<u8>) -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let bytes = Bytes::from(bytes);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let bytes = bytes.clone();
            let answer = service_fn(move |_| {
                let bytes = bytes.clone();
                async move { Ok::<_, Infallible>(Response::new(Full::new(bytes))) }
            });
            let serving = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer);
            tokio::spawn(serving);
        }
    });
    Ok(address)
}

async fn route_weights(site: &Site, apply: &str, grown: &str) -> Result<()> {
    site.apply(apply)?;
    let few = site.share("/ratings", 0.05).await?;
    // A client's own point changes nothing.
    for user in 0..20 {
        let name = format!("user-{user}");
        let home = if few.contains(&user) { "canary" } else { "stable" };
        for point in ["0", "99"] {
            let request = Request::get("/ratings").with("x-user-id", name.as_str());
            site.reaches(&request.with("x-split-point", point), home).await?;
        }
    }
    let listeners = async || site.gateway.admin("/stats?filter=listener_modified").await;
    let before = listeners().await?;
    let mut held = Held::open(site.gateway.address, SOCKETS, &Request::get("/ratings")).await?;
    site.apply(grown)?;
    let more = site.share("/ratings", 0.2).await?;
    ensure!(few.is_subset(&more), "some have left");
    // No listener has changed, so none drains.
    ensure!(before.contains("listener_modified") && before == listeners().await?, "{before}");
    ensure!(held.closed().await == 0);
    Ok(())
}

/// Envoy Gateway 1.9 cannot read a hash policy from a folder, so its effect on Envoy is patched in.
async fn consistent_hash(site: &Site, apply: &str) -> Result<()> {
    site.sh(apply)?;
    let mut resources = site.resources()?;
    resources.push(hash_patch());
    site.put(&resources)?;
    let few = site.share("/hashed", 0.05).await?;
    site.sh("kubectl patch httproute hashed --type=json -p '[\
        {\"op\": \"replace\", \"path\": \"/spec/rules/0/backendRefs/0/weight\", \"value\": 80},\
        {\"op\": \"replace\", \"path\": \"/spec/rules/0/backendRefs/1/weight\", \"value\": 20}]'")?;
    let mut resources = site.resources()?;
    resources.push(hash_patch());
    site.put(&resources)?;
    let more = site.share("/hashed", 0.2).await?;
    ensure!(few.is_subset(&more), "some have left");
    // Nobody is known without the header: of 200 requests, none at the canary once in 10^19 runs.
    let mut reached = BTreeSet::new();
    for _ in 0..200 {
        let reply = raw::send(site.gateway.address, &Request::get("/hashed")).await?;
        reached.extend(reply.upstream().map(str::to_owned));
    }
    ensure!(reached.len() == 2, "{reached:?}");
    Ok(())
}

fn hash_patch() -> Value {
    let patch = |more: &str, path: &str, value: Value| {
        let route = "$..routes[?(@.name =~ 'httproute/default/hashed/.*')].route";
        json!({
            "type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
            "name": "default/shop/http",
            "operation": {
                "op": "add", "jsonPath": format!("{route}{more}"), "path": path, "value": value
            }
        })
    };
    json!({
        "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyPatchPolicy",
        "metadata": {"name": "hashed", "namespace": "default"},
        "spec": {
            "type": "JSONPatch",
            "targetRef": {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "shop"},
            "jsonPatches": [
                patch("", "hash_policy", json!([{"header": {"header_name": "x-user-id"}}])),
                patch(".weighted_clusters", "use_hash_policy", json!(true))
            ]
        }
    })
}
