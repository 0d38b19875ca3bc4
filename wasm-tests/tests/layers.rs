//! Rules of one layer never take the same client; a holdout is a slice of the stable variant.

use anyhow::Result;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use wasm_tests::bootstrap::{self, Listener};
use wasm_tests::client::{Client, Protocol};
use wasm_tests::load::{self, standard_errors};
use wasm_tests::message::Request;
use wasm_tests::native;
use wasm_tests::scene::Scene;

const KEYS: usize = 10_000;
/// Keys that Envoy is asked about as well.
const SAMPLE: usize = 500;

fn sticky() -> Value {
    json!({"key": [{"cookie": "uid"}], "issue": {"cookie": "split-id", "maxAge": "30d"}})
}

/// The holdout, and two experiments of one layer; [90, 100] is nobody's.
fn rules() -> [Value; 3] {
    [
        json!({"name": "holdout", "layer": "checkout", "slice": [0, 10], "to": "stable",
               "sticky": sticky()}),
        json!({"name": "button", "layer": "checkout", "slice": [10, 50],
               "split": {"button-old": 1, "button-new": 1}, "sticky": sticky()}),
        json!({"name": "price", "layer": "checkout", "slice": [50, 90],
               "split": {"price-old": 3, "price-new": 1}, "sticky": sticky()}),
    ]
}

fn configuration(rules: &[Value]) -> Value {
    let names = ["stable", "button-old", "button-new", "price-old", "price-new"];
    let variants: BTreeMap<_, _> = names.map(|name| (name, json!({"cluster": name}))).into();
    json!({"clusterHeader": "x-split-cluster", "variants": variants, "rules": rules})
}

/// All the rules, then each alone.
fn configurations() -> [(&'static str, Value); 4] {
    let [holdout, button, price] = rules();
    [
        ("all", configuration(&rules())),
        ("holdout", configuration(&[holdout])),
        ("button", configuration(&[button])),
        ("price", configuration(&[price])),
    ]
}

async fn start() -> Result<Scene> {
    let configurations = configurations();
    let listener = |(name, config): &(&str, Value)| Listener::new(name, &config.to_string());
    let listeners = configurations.iter().map(listener).collect::<Result<Vec<_>>>()?;
    Scene::with(&listeners, bootstrap::clusters(&configurations[0].1), 2).await
}

/// Beyond 5 standard errors by chance: not at all, the keys are fixed.
#[tokio::test]
async fn nobody_is_in_two_experiments_and_slices_have_their_share() -> Result<()> {
    let scene = start().await?;
    let user = |n| Request::get("/").with("cookie", format!("uid=user-{n}").as_str());
    let requests: Vec<_> = (0..KEYS).map(user).collect();
    let mut reached = BTreeMap::new();
    for (name, config) in configurations() {
        let plan = native::plan(&config.to_string())?;
        let native = |request| native::variant(&plan, request).unwrap_or_else(|| "default".into());
        let upstreams: Vec<_> = requests.iter().map(native).collect();
        let address = scene.envoy.address(name)?;
        let sample = requests[..SAMPLE].to_vec();
        let sampled = load::send(Protocol::Http2, address, 4, sample).await?;
        assert_eq!(sampled, upstreams[..SAMPLE], "{name}");
        reached.insert(name, upstreams);
    }
    for (user, together) in reached["all"].iter().enumerate() {
        let alone = ["holdout", "button", "price"].map(|rule| reached[rule][user].as_str());
        let taken: Vec<_> = alone.into_iter().filter(|upstream| *upstream != "default").collect();
        assert!(taken.len() <= 1, "user-{user} is in {taken:?}");
        assert_eq!(*together, taken.first().copied().unwrap_or("default"), "user-{user}");
    }
    let counts = load::counts(&reached["all"]);
    for (upstream, share) in [
        ("stable", 0.1),
        ("button-old", 0.2),
        ("button-new", 0.2),
        ("price-old", 0.3),
        ("price-new", 0.1),
        ("default", 0.1),
    ] {
        let count = counts.get(upstream).copied().unwrap_or_default();
        let off = standard_errors(count, KEYS, share);
        assert!(off.abs() <= 5.0, "{upstream}: {count} of {KEYS}, {off:+.2} standard errors off");
    }
    Ok(())
}

#[tokio::test]
async fn one_identity_for_the_whole_layer_from_the_first_request_on() -> Result<()> {
    let scene = start().await?;
    let mut reached = Vec::new();
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let mut client = Client::connect(protocol, scene.address).await?;
        for _ in 0..100 {
            let first = client.send(&Request::get("/")).await?;
            let cookies = first.cookies();
            assert_eq!(cookies.len(), 1, "{first:?}");
            let known = Request::get("/").with("cookie", cookies[0].as_str());
            let again = client.send(&known).await?;
            assert_eq!(again.upstream(), first.upstream());
            assert!(again.all("set-cookie").is_empty(), "{again:?}");
            reached.extend(first.upstream().map(str::to_owned));
        }
    }
    // One of the six missed by 200 ids: once in 10^8 runs.
    assert_eq!(load::counts(&reached).len(), 6, "{reached:?}");
    Ok(())
}
