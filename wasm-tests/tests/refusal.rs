//! A configuration that is wrong is refused whole: at the start, and on an update.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use wasm_tests::bootstrap::{self, Listener};
use wasm_tests::envoy::{self, Envoy, Setup};
use wasm_tests::message::Request;
use wasm_tests::upstream::{self, Upstream};
use wasm_tests::wait::eventually;
use wasm_tests::{case, find, raw};

/// A configuration that sends all to one variant.
fn to(variant: &str) -> Value {
    json!({
        "clusterHeader": "x-split-cluster",
        "variants": {"stable": {"cluster": "stable"}, "canary": {"cluster": "canary"}},
        "rules": [{"name": "all", "to": variant}]
    })
}

/// Wrong in five places.
fn wrong() -> Value {
    json!({
        "clusterHeader": "x-split-cluster",
        "variants": {"stable": {"cluster": "stable"}, "canary": {"cluster": "canary"}},
        "rules": [
            {"name": "rollout", "split": {"stable": 90, "canary": -5}},
            {"name": "rollout", "to": "canary"},
            {"name": "typo", "to": "canry"},
            {"name": "regex", "match": [{"path": {"regex": "("}}], "to": "canary"},
            {"name": "field", "too": "canary", "to": "canary"}
        ]
    })
}

/// The beginnings of the five errors.
const PLACES: [&str; 5] = [
    "rules[0].split.canary: Invalid value: -5",
    "rules[1].name: Duplicate value: \"rollout\"",
    "rules[2].to: ",
    "rules[3].match[0].path.regex: Invalid value: ",
    "rules[4].too: ",
];

fn assert_reported(log: &str) {
    for place in PLACES {
        let lines = log.lines().filter(|line| line.contains(place)).count();
        // The canary VM on the main thread refuses it, before any worker gets it.
        assert_eq!(lines, 1, "{place} in {lines} lines of\n{log}");
    }
}

async fn start(configuration: &str) -> Result<Envoy> {
    let upstreams = upstream::start(["default"]).await?;
    let listener = Listener::new("refused", configuration)?;
    let bootstrap = bootstrap::bootstrap(&[listener], &upstreams);
    let setup = Setup { bootstrap, concurrency: 2, listeners: 1, folder: None };
    Envoy::start(&find::launcher()?, setup).await
}

#[tokio::test]
async fn at_the_start_envoy_ends_and_says_why() -> Result<()> {
    let error = start(&wrong().to_string()).await.err().context("Envoy started")?.to_string();
    assert!(error.starts_with("Envoy ended with exit status: 1:"), "{error}");
    assert_reported(&error);
    Ok(())
}

#[tokio::test]
async fn no_configuration_at_all_is_refused_with_an_example() -> Result<()> {
    let error = start("").await.err().context("Envoy started")?.to_string();
    assert!(error.starts_with("Envoy ended with exit status: 1:"), "{error}");
    assert!(error.contains("clusterHeader"), "{error}");
    Ok(())
}

/// An Envoy that reads its one listener, `updated`, from a file.
struct Updated {
    envoy: Envoy,
    path: PathBuf,
    _upstreams: BTreeMap<String, Upstream>,
}

impl Updated {
    async fn start(configuration: &str) -> Result<Self> {
        let upstreams = upstream::start(["default", "stable", "canary"]).await?;
        let folder = envoy::folder()?;
        let path = folder.path().join("listeners.json");
        std::fs::write(&path, Self::listeners(configuration)?.to_string())?;
        let bootstrap = bootstrap::dynamic(&path, &upstreams);
        let setup = Setup { bootstrap, concurrency: 2, listeners: 1, folder: Some(folder) };
        let envoy = Envoy::start(&find::launcher()?, setup).await?;
        Ok(Self { envoy, path, _upstreams: upstreams })
    }

    fn listeners(configuration: &str) -> Result<Value> {
        Ok(bootstrap::discovered(&[Listener::new("updated", configuration)?]))
    }

    /// The log of Envoy while it refuses this configuration; none if it takes it.
    async fn refuses(&self, configuration: &str) -> Result<Option<String>> {
        let before = self.envoy.log().len();
        if self.envoy.update(&self.path, &Self::listeners(configuration)?).await? {
            return Ok(None);
        }
        // func-e hands Envoy's log on, and may be behind.
        eventually("the reason", async || {
            let log = self.envoy.log().get(before..).unwrap_or_default().to_owned();
            ensure!(log.contains("Failed to configure base Wasm plugin"), "not in the log: {log}");
            Ok(Some(log))
        })
        .await
    }

    async fn reached(&self) -> Result<Option<String>> {
        let reply = raw::send(self.envoy.address("updated")?, &Request::get("/")).await?;
        Ok(reply.upstream().map(str::to_owned))
    }
}

#[tokio::test]
async fn on_an_update_the_old_configuration_keeps_serving() -> Result<()> {
    let updated = Updated::start(&to("stable").to_string()).await?;
    for refused in [wrong().to_string(), String::new(), "{".into()] {
        let counter = "listener_manager.lds.update_rejected";
        let rejected = updated.envoy.stat(counter).await?;
        assert!(updated.refuses(&refused).await?.is_some(), "taken: {refused}");
        assert_eq!(updated.envoy.stat(counter).await?, rejected + 1);
        for _ in 0..20 {
            assert_eq!(updated.reached().await?.as_deref(), Some("stable"), "after {refused}");
        }
    }
    assert_reported(&updated.envoy.log());

    assert_eq!(updated.refuses(&to("canary").to_string()).await?, None);
    // Each worker takes the new filter chain at its own time.
    eventually("the new configuration", async || {
        let reached = updated.reached().await?;
        ensure!(reached.as_deref() == Some("canary"), "still the old: {}", updated.envoy.log());
        Ok(())
    })
    .await
}

/// `hostile.rs` has the module refuse every case; here every tenth is seen in Envoy's log.
#[tokio::test]
async fn every_error_of_a_refused_case_is_a_line_of_the_log() -> Result<()> {
    let updated = Updated::start(&to("stable").to_string()).await?;
    let mut wrong = Vec::new();
    for case in case::refused()?.iter().step_by(10) {
        let log = updated.refuses(case.text()).await?.unwrap_or_default();
        // The plugin's name, the VM's, and then what the filter says.
        let said = log.lines().filter_map(|line| line.split_once(" wasm log updated "));
        let errors: Vec<_> = said.filter_map(|(_, said)| said.split_once(": ")).collect();
        let errors: Vec<_> = errors.into_iter().map(|(_, error)| error).collect();
        if errors != case.errors {
            wrong.push(format!("{}: {errors:#?}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
