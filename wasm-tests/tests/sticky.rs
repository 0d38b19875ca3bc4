//! The same key goes to the same variant: over every worker, over a restart, in the right shares.

use anyhow::Result;
use serde_json::{Value, json};
use traffic_split::Snapshot;
use traffic_split::testing::FixedEnvironment;
use wasm_tests::client::Protocol;
use wasm_tests::load::{self, counts, standard_errors};
use wasm_tests::message::Request;
use wasm_tests::native;
use wasm_tests::scene::Scene;

const SHARES: [(&str, f64); 3] = [("stable", 0.899), ("canary", 0.1), ("sliver", 0.001)];

fn configuration() -> Value {
    json!({
        "clusterHeader": "x-split-cluster",
        "variants": {
            "stable": {"cluster": "stable"},
            "canary": {"cluster": "canary"},
            "sliver": {"cluster": "sliver"}
        },
        "rules": [{
            "name": "rollout",
            "split": {"stable": 89.9, "canary": 10, "sliver": 0.1},
            "sticky": {"key": [{"header": "x-user-id"}], "salt": "2026"}
        }]
    })
}

fn requests(count: usize) -> Vec<Request> {
    let user = |n| Request::get("/").with("x-user-id", format!("user-{n}").as_str());
    (0..count).map(user).collect()
}

/// Chance of a false alarm: none, the keys are fixed. The tolerance of 3 standard errors is what
/// a good hash keeps for all but 0.3 % of salts.
#[test]
fn fifty_thousand_keys_fall_within_3_standard_errors() -> Result<()> {
    let plan = native::plan(&configuration().to_string())?;
    let requests = requests(50_000);
    let reached: Vec<_> =
        requests.iter().filter_map(|request| native::variant(&plan, request)).collect();
    assert_eq!(reached.len(), requests.len());
    let counts = counts(&reached);
    for (variant, share) in SHARES {
        let count = counts.get(variant).copied().unwrap_or_default();
        let off = standard_errors(count, reached.len(), share);
        assert!(off.abs() <= 3.0, "{variant}: {count}, {off:+.2} standard errors off");
    }
    Ok(())
}

#[tokio::test]
async fn every_worker_every_start_and_the_native_core_agree() -> Result<()> {
    let plan = native::plan(&configuration().to_string())?;
    let snapshot = Snapshot::new(&plan, 0);
    let requests = requests(2_000);
    let native = requests.iter().map(|request| {
        let decision = traffic_split::decide(
            &plan,
            &snapshot,
            &native::request(request),
            &mut FixedEnvironment::default(),
        );
        decision.variant().map_or_else(String::new, |variant| variant.name.clone())
    });
    let expected: Vec<_> = native.collect();
    for start in 0..2 {
        let scene = Scene::start(&configuration(), 2).await?;
        // Whichever worker a key comes to, it has to go where the native core says.
        let two = [
            load::send(Protocol::Http1, scene.address, 2, requests.clone()),
            load::send(Protocol::Http2, scene.address, 3, requests.clone()),
        ];
        for reached in two {
            assert!(reached.await? == expected, "start {start}");
        }
        let connections = scene.connections().await?;
        assert!(connections.len() == 2 && !connections.contains(&0), "{connections:?}");
    }
    Ok(())
}
