//! Gauges end with their rules: Envoy keeps a gauge for ever, so one that no rule stands behind any
//! more has to be 0.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use wasm_tests::bootstrap::{self, DEFAULT, Listener};
use wasm_tests::client::{Client, Protocol};
use wasm_tests::discovery::Discovered;
use wasm_tests::envoy::{self, Envoy, Setup};
use wasm_tests::host::{Host, Root};
use wasm_tests::message::Request;
use wasm_tests::upstream::ANSWER;
use wasm_tests::wait::eventually;
use wasm_tests::{find, upstream};

fn configuration(rules: Value) -> Value {
    json!({
        "clusterHeader": "x-split-cluster",
        "metrics": "full",
        "variants": {"stable": {"cluster": "stable"}, "canary": {"cluster": "canary"}},
        "rules": rules
    })
}

/// A rule of which the canary gets a quarter.
fn split(name: &str) -> Value {
    json!({"name": name, "split": {"stable": 75, "canary": 25},
           "guard": {"watch": "canary", "fallback": "stable", "maxErrorRate": "5%"}})
}

fn pin(name: &str) -> Value {
    json!({"name": name, "to": "stable"})
}

/// Configures a plugin of this root id.
fn configure(host: &mut Host, root_id: &str, rules: Value) -> Result<Root> {
    host.world().properties.insert(b"plugin_root_id".to_vec(), root_id.into());
    let root = host.configure(configuration(rules).to_string().as_bytes())?;
    root.with_context(|| host.world().logged())
}

/// The rules whose canary has a weight, with the parts per million.
fn weights(host: &mut Host) -> BTreeMap<String, i64> {
    let weight = |(name, value): &(String, i64)| {
        let rule = name
            .strip_prefix("rule=.=")?
            .strip_suffix(";.;variant=.=canary;.;tsplit_weight_ppm")?;
        (*value > 0).then(|| (rule.to_owned(), *value))
    };
    host.world().metrics.iter().filter_map(weight).collect()
}

fn quarter<const N: usize>(rules: [&str; N]) -> BTreeMap<String, i64> {
    rules.map(|rule| (rule.to_owned(), 250_000)).into()
}

/// The old configuration ticks on, as it does while its listener drains.
#[test]
fn a_rule_that_is_gone_renamed_or_pinned_shows_nothing_while_the_old_one_drains() -> Result<()> {
    for (rules, expected) in [
        (json!([]), quarter([])),
        (json!([pin("rollout")]), quarter([])),
        (json!([split("renamed")]), quarter(["renamed"])),
        (json!([split("rollout")]), quarter(["rollout"])),
        (json!([{"name": "rollout", "split": {"stable": 1}}]), quarter([])),
        (json!([{"name": "rollout", "mode": "shadow", "to": "canary"}]), quarter([])),
    ] {
        let mut host = Host::load(&wasm_tests::module()?)?;
        let old = configure(&mut host, "a", json!([split("rollout")]))?;
        assert_eq!(weights(&mut host), quarter(["rollout"]));
        let new = configure(&mut host, "a", rules.clone())?;
        for root in [old, new, old] {
            assert_eq!(weights(&mut host), expected, "{rules}");
            host.world().clock += 1_000_000_000;
            host.tick(root)?;
        }
        host.remove(old)?;
        assert_eq!(weights(&mut host), expected, "{rules}");
    }
    Ok(())
}

#[test]
fn a_plugin_that_is_gone_shows_nothing() -> Result<()> {
    for root_id in ["a", ""] {
        let mut host = Host::load(&wasm_tests::module()?)?;
        let root = configure(&mut host, root_id, json!([split("rollout")]))?;
        host.remove(root)?;
        assert_eq!(weights(&mut host), quarter([]), "{root_id:?}");
        // A root context that Envoy gives another configuration.
        let root = configure(&mut host, root_id, json!([split("rollout")]))?;
        assert_eq!(weights(&mut host), quarter(["rollout"]), "{root_id:?}");
        assert!(host.reconfigure(root, configuration(json!([])).to_string().as_bytes())?);
        assert_eq!(weights(&mut host), quarter([]), "{root_id:?}");
    }
    Ok(())
}

#[test]
fn plugins_with_names_or_none_leave_each_others_gauges_alone() -> Result<()> {
    for [first, last] in [["a", "b"], ["", ""]] {
        let mut host = Host::load(&wasm_tests::module()?)?;
        let ours = configure(&mut host, first, json!([split("ours")]))?;
        let theirs = configure(&mut host, last, json!([split("theirs")]))?;
        for root in [ours, theirs] {
            host.world().clock += 1_000_000_000;
            host.tick(root)?;
            assert_eq!(weights(&mut host), quarter(["ours", "theirs"]));
        }
        host.remove(theirs)?;
        assert_eq!(weights(&mut host), quarter(["ours"]));
    }
    Ok(())
}

/// Envoy has one metric for both rules, and nobody could tell whose it is.
#[test]
fn a_rule_of_the_same_name_in_another_plugin_is_told_aloud() -> Result<()> {
    let warning = "rule rollout: another plugin has a rule of this name";
    for (first, last, rules, expected) in [
        ("a", "b", json!([split("theirs"), pin("rollout")]), 1),
        ("a", "", json!([split("rollout")]), 1),
        ("a", "b", json!([split("theirs")]), 0),
        // An update, of a plugin that has a name and of one that has none.
        ("a", "a", json!([split("rollout")]), 0),
        ("", "", json!([split("rollout")]), 0),
    ] {
        let mut host = Host::load(&wasm_tests::module()?)?;
        configure(&mut host, first, json!([split("rollout")]))?;
        configure(&mut host, last, rules)?;
        let log = host.world().logged();
        assert_eq!(log.matches(warning).count(), expected, "{first:?} {last:?}: {log}");
    }
    Ok(())
}

/// Envoy goes on with a configuration that it still has, without configuring it again.
#[test]
fn a_return_to_the_configuration_before_shows_its_gauges_again() -> Result<()> {
    let mut host = Host::load(&wasm_tests::module()?)?;
    configure(&mut host, "a", json!([split("rollout")]))?;
    let later = configure(&mut host, "a", json!([split("renamed")]))?;
    assert_eq!(weights(&mut host), quarter(["renamed"]));
    host.remove(later)?;
    assert_eq!(weights(&mut host), quarter(["rollout"]));
    Ok(())
}

/// The gauges of rules that are not 0.
async fn shown(envoy: &Envoy) -> Result<BTreeMap<String, f64>> {
    let gauges = envoy.prometheus().await?.into_iter();
    let of_rules = |name: &str| name.contains("tripped{") || name.contains("weight_ppm{");
    Ok(gauges.filter(|(name, value)| of_rules(name) && *value != 0.0).collect())
}

/// With two workers, which update at different times; a response of the old configuration never ends.
#[tokio::test]
async fn an_update_of_the_filter_alone_ends_the_gauges_of_its_rules() -> Result<()> {
    let upstreams = upstream::start(["stable", "canary", DEFAULT]).await?;
    let folder = envoy::folder()?;
    let discovered = Discovered::new(folder.path(), "split");
    let filter = |rules: Value| -> Result<Value> {
        let text = configuration(rules).to_string();
        Listener::new("split", &text)?.filters.pop().context("no filter")
    };
    let guarded = |name: &str| {
        json!([{"name": name, "split": {"stable": 50, "canary": 50},
                "guard": {"watch": "canary", "fallback": "stable", "maxErrorRate": "5%",
                          "minRequests": 20, "window": "5s", "cooldown": "300s"}}])
    };
    discovered.write(&filter(guarded("rollout"))?)?;
    let filters = vec![discovered.filter()];
    let listener = Listener { filters, ..Listener::without_filter("split") };
    let bootstrap = bootstrap::bootstrap(&[listener], &upstreams);
    let setup = Setup { bootstrap, concurrency: 2, listeners: 1, folder: Some(folder) };
    let envoy = Envoy::start(&find::launcher()?, setup).await?;
    let address = envoy.address("split")?;
    upstreams.get("canary").context("no canary")?.fail(100);
    for (name, next) in
        [("rollout", guarded("renamed")), ("renamed", json!([pin("renamed")])), ("", json!([]))]
    {
        let mut client = Client::connect(Protocol::Http1, address).await?;
        let lasting =
            tokio::spawn(
                async move { client.send(&Request::get("/").with(ANSWER, "never")).await },
            );
        if !name.is_empty() {
            let tripped = format!("tsplit_guard_tripped{{rule=\"{name}\",variant=\"canary\"}}");
            let mut client = Client::connect(Protocol::Http1, address).await?;
            eventually("the guard", async || {
                for _ in 0..60 {
                    client.send(&Request::get("/")).await?;
                }
                let shown = shown(&envoy).await?;
                ensure!(shown.get(&tripped) == Some(&1.0), "{shown:#?}");
                Ok(())
            })
            .await?;
        }
        ensure!(discovered.push(&envoy, &filter(next.clone())?, Duration::from_millis(50)).await?);
        let of_next = |gauge: &String| next == guarded("renamed") && gauge.contains("\"renamed\"");
        // Longer than a tick: what drains would show itself again.
        for _ in 0..2 {
            eventually("the gauges", async || {
                let shown = shown(&envoy).await?;
                ensure!(shown.keys().all(of_next), "{shown:#?}");
                Ok(())
            })
            .await?;
            tokio::time::sleep(Duration::from_millis(1500)).await;
        }
        let shown = shown(&envoy).await?;
        assert!(shown.keys().all(of_next), "{shown:#?}");
        lasting.abort();
    }
    Ok(())
}
