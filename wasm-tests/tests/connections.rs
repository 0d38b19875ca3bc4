//! Connections that are open while the rules change: by ECDS, and by a new listener.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::os::unix::fs::symlink;
use std::time::Duration;
use wasm_tests::envoy::Envoy;
use wasm_tests::held::Held;
use wasm_tests::manifest::{self, FILTER};
use wasm_tests::message::Request;
use wasm_tests::updated::Updated;
use wasm_tests::upstream::Upstream;
use wasm_tests::wait::eventually;
use wasm_tests::{find, root};

const SOCKETS: usize = 200;
const CHANGES: u64 = 50;
/// Envoy drains for a second in these tests, and closes then what is still open.
const DRAINED: Duration = Duration::from_secs(2);
const NAME: &str = "extension_config_discovery.http_filter.traffic-split";

fn tester() -> Request {
    Request::get("/").with("x-user-group", "beta")
}

/// The manifest's configuration, with its testers at this variant.
fn testers(variant: &str) -> Result<Value> {
    let mut configuration: Value = serde_json::from_str(&manifest::configuration()?)?;
    ensure!(configuration["rules"][0]["to"] == "canary", "{configuration}");
    configuration["rules"][0]["to"] = variant.into();
    Ok(configuration)
}

struct Site {
    envoy: Envoy,
    filter: Value,
    _upstreams: [Upstream; 2],
}

impl Site {
    async fn start() -> Result<Self> {
        let upstreams = [Upstream::start("stable").await?, Upstream::start("canary").await?];
        let [stable, canary] = upstreams.each_ref().map(|upstream| upstream.address.port());
        let manifest = manifest::runnable(stable, canary)?;
        let filter = serde_saphyr::from_str(&manifest.filter)?;
        let envoy = Envoy::start(&find::launcher()?, manifest.setup(2)?).await?;
        Ok(Self { envoy, filter, _upstreams: upstreams })
    }

    /// The filter's file with another configuration.
    fn text(&self, configuration: &Value) -> String {
        let mut filter = self.filter.clone();
        filter["resources"][0]["typed_config"]["config"]["configuration"]["value"] =
            configuration.to_string().into();
        filter.to_string()
    }

    /// Moves a text into the place of the filter's file, as `mv` does.
    fn put(&self, text: &str) -> Result<()> {
        manifest::put(&manifest::filter_of(&self.envoy), text)
    }

    async fn counter(&self, name: &str) -> Result<u64> {
        self.envoy.stat(&format!("{NAME}.{name}")).await
    }

    async fn held(&self) -> Result<Held> {
        Held::open(self.envoy.address(manifest::LISTENER)?, SOCKETS, &Request::get("/")).await
    }
}

/// Waits until the connection of HTTP/2, which was open before, follows the change.
async fn follows(held: &mut Held, variant: &str) -> Result<()> {
    eventually("the new rules on the old connection", async || {
        let reply = held.ask(&tester()).await?;
        ensure!(reply.upstream() == Some(variant), "{reply:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn by_ecds_none_is_closed() -> Result<()> {
    let site = Site::start().await?;
    let mut held = site.held().await?;
    for change in 0..CHANGES {
        let variant = if change % 2 == 0 { "stable" } else { "canary" };
        site.put(&site.text(&testers(variant)?))?;
        follows(&mut held, variant).await?;
    }
    tokio::time::sleep(DRAINED).await;
    assert_eq!(held.closed().await, 0);
    follows(&mut held, "canary").await?;
    // One is the start.
    assert_eq!(site.counter("config_reload").await?, CHANGES + 1);
    assert_eq!(site.counter("config_fail").await?, 0);
    Ok(())
}

#[tokio::test]
async fn by_a_new_listener_all_are_closed() -> Result<()> {
    let configuration = testers("canary")?;
    let mut updated = Updated::start(&configuration, &[], &["stable", "canary"]).await?;
    let mut held = Held::open(updated.address()?, SOCKETS, &Request::get("/")).await?;
    for change in 0..CHANGES {
        let variant = if change % 2 == 0 { "stable" } else { "canary" };
        updated.update(&testers(variant)?, &[]).await?;
    }
    eventually("the end of the drain", async || {
        let closed = held.closed().await;
        ensure!(closed == SOCKETS, "{closed} closed");
        ensure!(held.ask(&tester()).await.is_err(), "HTTP/2 is still open");
        Ok(())
    })
    .await
}

/// A file with a mistake, one that is no YAML, and one that names another filter.
#[tokio::test]
async fn a_refused_file_changes_nothing_and_is_counted() -> Result<()> {
    let site = Site::start().await?;
    let mut held =
        Held::open(site.envoy.address(manifest::LISTENER)?, 1, &Request::get("/")).await?;
    let other =
        site.text(&testers("stable")?).replace("\"name\":\"traffic-split\"", "\"name\":\"x\"");
    for (text, counter) in [
        (site.text(&testers("nobody")?), "update_rejected"),
        ("resources: [".to_owned(), "update_failure"),
        (other, "update_rejected"),
    ] {
        let before = (site.counter("config_fail").await?, site.counter(counter).await?);
        site.put(&text)?;
        eventually("the refusal", async || {
            let now = (site.counter("config_fail").await?, site.counter(counter).await?);
            ensure!(now == (before.0 + 1, before.1 + 1), "{text}: {now:?}");
            Ok(())
        })
        .await?;
        follows(&mut held, "canary").await?;
    }
    let log = site.envoy.log();
    let mistake =
        "rules[0].to: Invalid value: \"nobody\": must be one of the variants canary, stable";
    ensure!(log.contains(mistake), "{log}");
    site.put(&site.text(&testers("stable")?))?;
    follows(&mut held, "stable").await?;
    assert_eq!(held.closed().await, 0);
    Ok(())
}

/// Envoy watches the folder: whatever is moved there has it read the file again.
#[tokio::test]
async fn a_file_is_read_when_one_is_moved_into_the_folder() -> Result<()> {
    let site = Site::start().await?;
    let mut held =
        Held::open(site.envoy.address(manifest::LISTENER)?, 1, &Request::get("/")).await?;
    let file = manifest::filter_of(&site.envoy);
    let neighbour = file.with_file_name("neighbour");
    std::fs::write(&file, site.text(&testers("stable")?))?;
    follows(&mut held, "canary").await?;
    manifest::put(&neighbour, "")?;
    follows(&mut held, "stable").await?;

    let failures = site.counter("update_failure").await?;
    std::fs::remove_file(&file)?;
    manifest::put(&neighbour, "")?;
    eventually("the failure", async || {
        let now = site.counter("update_failure").await?;
        ensure!(now == failures + 1, "{now}");
        Ok(())
    })
    .await?;
    ensure!(site.envoy.log().contains("Invalid path: "), "{}", site.envoy.log());
    follows(&mut held, "stable").await?;
    site.put(&site.text(&testers("canary")?))?;
    follows(&mut held, "canary").await
}

/// A mounted ConfigMap: the file is a link into a folder, whose link the kubelet moves.
#[tokio::test]
async fn a_folder_that_changes_as_a_config_map_does_is_read_again() -> Result<()> {
    let site = Site::start().await?;
    let mut held =
        Held::open(site.envoy.address(manifest::LISTENER)?, 1, &Request::get("/")).await?;
    let folder = site.envoy.log_path().parent().context("no folder")?.to_owned();
    for (version, variant) in [("..1", "stable"), ("..2", "canary")] {
        std::fs::create_dir(folder.join(version))?;
        std::fs::write(folder.join(version).join(FILTER), site.text(&testers(variant)?))?;
        symlink(version, folder.join("..data_tmp"))?;
        std::fs::rename(folder.join("..data_tmp"), folder.join("..data"))?;
        if version == "..1" {
            symlink(format!("..data/{FILTER}"), folder.join("link"))?;
            std::fs::rename(folder.join("link"), folder.join(FILTER))?;
        }
        follows(&mut held, variant).await?;
    }
    Ok(())
}

/// An Envoy that starts with a mistake answers 500, and recovers without a restart.
#[tokio::test]
async fn a_mistake_at_the_start_is_mended_while_envoy_runs() -> Result<()> {
    let upstreams = [Upstream::start("stable").await?, Upstream::start("canary").await?];
    let [stable, canary] = upstreams.each_ref().map(|upstream| upstream.address.port());
    let manifest = manifest::runnable(stable, canary)?;
    let good = manifest.filter.clone();
    let bad = manifest.replaced("\"canary\": 10 }", "\"canary\": -10 }")?;
    let envoy = Envoy::start(&find::launcher()?, bad.setup(1)?).await?;
    let address = envoy.address(manifest::LISTENER)?;
    assert_eq!(wasm_tests::raw::send(address, &tester()).await?.status, 500);
    manifest::put(&manifest::filter_of(&envoy), &good)?;
    eventually("the mended rules", async || {
        let reply = wasm_tests::raw::send(address, &tester()).await?;
        ensure!(reply.upstream() == Some("canary"), "{reply:?}");
        Ok(())
    })
    .await
}

/// Envoy ends without a file, and without the names that a discovery needs.
#[tokio::test]
async fn what_a_discovery_needs_at_the_start() -> Result<()> {
    let start = async |manifest: manifest::Runnable| {
        let ended = Envoy::start(&find::launcher()?, manifest.setup(1)?).await.err();
        anyhow::Ok(ended.map(|error| error.to_string()).unwrap_or_default())
    };
    let mut missing = manifest::runnable(1, 1)?;
    missing.bootstrap = missing.bootstrap.replace(&format!("/{FILTER}\n"), "/nowhere.yaml\n");
    let ended = start(missing).await?;
    ensure!(ended.contains("paths must refer to an existing path in the system"), "{ended}");
    let text = std::fs::read_to_string(root().join("manifests/envoy.yaml"))?;
    ensure!(text.contains("\nnode: { id: edge-1, cluster: edge }\n"), "no node");
    Ok(())
}
