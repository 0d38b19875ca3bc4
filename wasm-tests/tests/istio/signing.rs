//! Keys that sign cookies, from the proxy's environment to the filter: `vmConfig.env`.

use crate::steer::{self, ask};
use anyhow::{Context, Result, ensure};
use serde_json::json;
use wasm_tests::istio::place::Place;
use wasm_tests::istio::proxy::{Pod, Proxy};
use wasm_tests::wait::eventually;

const FOLDER: &str = "istio/variant-header";
const KEYS: &str = "SPLIT_COOKIE_KEYS=an example of a key that is long enough";

/// The rollout issues an identity and signs it.
async fn signing(namespace: &'static str) -> Result<Place> {
    let place = Place::new(namespace).await?;
    let file = "istio/plugin/wasm-plugin.yaml";
    let key = "key: [ { cookie: uid }, { header: x-user-id } ]";
    let issue = "issue: { cookie: split-id, maxAge: 30d, signing: { env: SPLIT_COOKIE_KEYS } }";
    place.folder.replace(file, key, issue)?;
    place.kubectl(&["apply", "-k", &place.folder.path(FOLDER)])?;
    Ok(place)
}

#[tokio::test]
async fn a_key_of_the_proxys_environment_signs_cookies() -> Result<()> {
    let place = signing("signed").await?;
    let (proxy, address) = place.sidecar_with("productpage", &[KEYS]).await?;
    proxy.plugin(|_| true).await?;
    // The key is in the proxy's environment alone, not in what Istio hands about.
    let dump = String::from_utf8(proxy.admin("/config_dump").await?)?;
    ensure!(dump.contains("SPLIT_COOKIE_KEYS") && !dump.contains("an example of a key"), "{dump}");

    let mut reached = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let issued = ask(address, &place.request()).await?;
        let upstream = issued.upstream().context("no upstream")?.to_owned();
        let cookies = issued.cookies();
        let [ours] = cookies.as_slice() else { anyhow::bail!("{issued:?}") };
        // Ours is believed; with its last letters altered it is not, and another is issued.
        let kept = place.request().with("cookie", ours.as_str());
        let reply = steer::reaches(address, &kept, &upstream).await?;
        ensure!(reply.cookies().is_empty(), "{reply:?}");
        let (body, _) = ours.rsplit_once('.').context("no signature")?;
        let forged = place.request().with("cookie", format!("{body}.{}", "A".repeat(43)).as_str());
        ensure!(ask(address, &forged).await?.cookies().len() == 1, "{forged:?} is believed");
        reached.insert(upstream);
    }
    // By chance alone, 50 new users all get the stable variant in 1 of 194 runs, all the canary in
    // 1 of 10^50.
    ensure!(reached.contains("v1"), "{reached:?}");
    Ok(())
}

#[tokio::test]
async fn without_the_key_the_rules_are_refused() -> Result<()> {
    let place = signing("unsigned").await?;
    let labels = json!({"app": "productpage"});
    let pod = Pod { kind: "sidecar", namespace: place.namespace, labels, environment: &[] };
    let proxy = Proxy::start(place.mesh, &pod).await?;
    let refusal = "rules[1].sticky.issue.signing.env: Invalid value: SPLIT_COOKIE_KEYS: \
                   is not set in the VM's environment";
    eventually("the refusal", async || {
        let log = proxy.log();
        ensure!(log.contains(refusal), "no `{refusal}` in {log}");
        Ok(())
    })
    .await
}
