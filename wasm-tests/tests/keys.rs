//! Signing keys come from the VM's environment, and can be rotated.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use wasm_tests::bootstrap::{self, Listener};
use wasm_tests::client::{Client, Protocol};
use wasm_tests::message::{Reply, Request};
use wasm_tests::scene::Scene;
use wasm_tests::updated::Updated;

const OLD: &str = "the old key has more than 32 bytes does it";
const NEW: &str = "the new key has more than 32 bytes does it";

fn configuration() -> Value {
    json!({
        "clusterHeader": "x-split-cluster",
        "variantHeader": "x-split-variant",
        "variants": {"a": {"cluster": "a"}, "b": {"cluster": "b"}},
        "rules": [{
            "name": "rollout",
            "split": {"a": 1, "b": 1},
            "sticky": {"issue": {"cookie": "split-id", "maxAge": "30d", "signing": {"env": "KEYS"}}}
        }]
    })
}

/// A visit on a connection of its own, with this cookie.
async fn visit(address: std::net::SocketAddr, cookie: &str) -> Result<Reply> {
    let mut client = Client::connect(Protocol::Http1, address).await?;
    client.send(&Request::get("/").with("cookie", cookie)).await
}

fn issued(reply: &Reply) -> Result<String> {
    reply.cookies().pop().with_context(|| format!("{reply:?}: no cookie"))
}

#[tokio::test]
async fn listeners_have_keys_of_their_own_and_the_first_signs() -> Result<()> {
    let text = configuration().to_string();
    let both = format!("{NEW},{OLD}");
    let environments = [("old", OLD), ("rotating", both.as_str()), ("new", NEW)];
    let listener = |(name, keys)| Listener::in_environment(name, &text, &[("KEYS", keys)]);
    let listeners = environments.map(listener).into_iter().collect::<Result<Vec<_>>>()?;
    let configuration = configuration();
    let scene = Scene::with(&listeners, bootstrap::clusters(&configuration), 1).await?;
    for (signs, verify) in [
        ("old", &["old", "rotating"][..]),
        ("rotating", &["rotating", "new"]),
        ("new", &["rotating", "new"]),
    ] {
        let first = visit(scene.envoy.address(signs)?, "").await?;
        let cookie = issued(&first)?;
        for (name, _) in environments {
            let again = visit(scene.envoy.address(name)?, &cookie).await?;
            let believed = again.all("set-cookie").is_empty();
            assert_eq!(believed, verify.contains(&name), "signed by {signs}, read by {name}");
            if believed {
                assert_eq!(again.upstream(), first.upstream());
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn keys_are_rotated_while_envoy_serves() -> Result<()> {
    let configuration = configuration();
    let mut updated = Updated::start(&configuration, &[("KEYS", OLD)], &["a", "b"]).await?;
    let address = updated.address()?;
    let first = visit(address, "").await?;
    let old = issued(&first)?;

    let both = format!("{NEW},{OLD}");
    updated.update(&configuration, &[("KEYS", &both)]).await?;
    let again = visit(address, &old).await?;
    assert!(again.all("set-cookie").is_empty(), "the older key verifies: {again:?}");
    assert_eq!(again.upstream(), first.upstream());
    let second = visit(address, "").await?;
    let new = issued(&second)?;

    updated.update(&configuration, &[("KEYS", NEW)]).await?;
    issued(&visit(address, &old).await?).context("a key that is gone")?;
    let again = visit(address, &new).await?;
    assert!(again.all("set-cookie").is_empty(), "the newer key had signed: {again:?}");
    assert_eq!(again.upstream(), second.upstream());
    Ok(())
}

#[tokio::test]
async fn without_a_good_key_envoy_does_not_start_and_shows_none() -> Result<()> {
    let configuration = configuration();
    let short = format!("{OLD},a secret too short");
    for (environment, reason) in [
        (&[][..], "KEYS: is not set in the VM's environment: give a key of at least 32 bytes"),
        (&[("KEYS", "")], "KEYS: has a key of less than 32 bytes"),
        (&[("KEYS", &short)], "KEYS: has a key of less than 32 bytes"),
        (&[("OTHER", OLD)], "KEYS: is not set in the VM's environment"),
    ] {
        let listener = Listener::in_environment("keys", &configuration.to_string(), environment)?;
        let started = Scene::with(&[listener], bootstrap::clusters(&configuration), 1).await;
        let error = started.err().with_context(|| format!("started with {environment:?}"))?;
        let error = error.to_string();
        let line = format!("rules[0].sticky.issue.signing.env: Invalid value: {reason}");
        assert!(error.contains(&line), "{error}");
        assert!(!error.contains("the old key") && !error.contains("a secret"), "{error}");
    }
    Ok(())
}
