//! Two teams in one Envoy, with the same rules in plugins of their own.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use wasm_tests::bootstrap::{self, Listener};
use wasm_tests::client::{Client, Protocol};
use wasm_tests::message::Request;
use wasm_tests::scene::Scene;
use wasm_tests::upstream::ANSWER;
use wasm_tests::wait::eventually;

/// All to the canary, while its guard is closed.
fn configuration() -> Value {
    json!({
        "clusterHeader": "x-split-cluster",
        "variants": {"stable": {"cluster": "stable"}, "canary": {"cluster": "canary"}},
        "rules": [{
            "name": "rollout",
            "split": {"stable": 0, "canary": 1},
            "guard": {"watch": "canary", "fallback": "stable", "maxErrorRate": "5%",
                      "minRequests": 20, "window": "60s", "cooldown": "60s"}
        }]
    })
}

/// A team's listener, with this root id of its plugin, whose name is the team's.
fn listener(team: &str, root_id: &str) -> Result<Listener> {
    let mut listener = Listener::new(team, &configuration().to_string())?;
    let filter = listener.filters.first_mut().context("no filter")?;
    filter["typed_config"]["config"]["root_id"] = json!(root_id);
    Ok(listener)
}

#[tokio::test]
async fn one_teams_failing_canary_leaves_the_others_where_names_differ() -> Result<()> {
    for root_id in ["", "traffic-split"] {
        let listeners = [listener("shop", root_id)?, listener("mail", root_id)?];
        let configuration = configuration();
        let scene = Scene::with(&listeners, bootstrap::clusters(&configuration), 2).await?;
        let ask = async |team: &str, request: &Request| -> Result<String> {
            let address = scene.envoy.address(team)?;
            let mut client = Client::connect(Protocol::Http1, address).await?;
            let reply = client.send(request).await?;
            Ok(reply.upstream().context("no upstream")?.to_owned())
        };
        let failing = Request::get("/").with(ANSWER, "503");
        for _ in 0..40 {
            ask("shop", &failing).await?;
        }
        // Each worker hears of the record by itself: 20 connections in a row reach one of two alone by
        // chance in 2 of 10^6 runs.
        eventually("the guard of shop, in each worker", async || {
            for _ in 0..20 {
                let upstream = ask("shop", &Request::get("/")).await?;
                ensure!(upstream == "stable", "{upstream}");
            }
            Ok(())
        })
        .await?;
        for _ in 0..10 {
            assert_eq!(ask("shop", &Request::get("/")).await?, "stable", "{root_id:?}");
            assert_eq!(ask("mail", &Request::get("/")).await?, "canary", "{root_id:?}");
        }
        let log = scene.envoy.log();
        assert!(log.contains("rule rollout: another plugin has a rule of this name"), "{log}");
    }
    Ok(())
}
