//! The two ways to route, and the way back.

use crate::steer::{self, ask, is_not_fooled, reaches, stable_user, steers};
use anyhow::{Result, ensure};
use serde_json::json;
use wasm_tests::istio::place::Place;
use wasm_tests::wait::eventually;

#[tokio::test]
async fn variant_header_steers_and_its_default_route_outlives_the_filter() -> Result<()> {
    const FOLDER: &str = "istio/variant-header";
    let place = Place::new("variant-header").await?;
    place.kubectl(&["apply", "-k", &place.folder.path(FOLDER)])?;
    let plan = steer::plan(&place, FOLDER)?;
    let (proxy, address) = place.sidecar("productpage").await?;
    proxy.plugin(|_| true).await?;
    steers(address, &place.request(), &plan).await?;
    is_not_fooled(address, &place.request(), &plan, "x-split-variant", "canary").await?;

    // The next hop is told the variant, once.
    let stable = stable_user(&place.request(), &plan)?;
    let seen = reaches(address, &stable, "v1").await?.seen()?;
    assert_eq!(seen.all("x-split-variant"), [b"stable"]);

    // A VirtualService for a subset that nothing defines: Envoy answers 503, and `analyze` says so.
    let patch = json!([{
        "op": "replace", "path": "/spec/http/0/route/0/destination/subset", "value": "unknown"
    }]);
    let edit =
        ["patch", "virtualservice", "traffic-split", "--type=json", "-p", &patch.to_string()];
    place.kubectl(&edit)?;
    let tester = stable.clone().with("x-user-group", "beta");
    eventually("503 for an unknown subset", async || {
        let status = ask(address, &tester).await?.status;
        ensure!(status == 503, "{status}");
        Ok(())
    })
    .await?;
    reaches(address, &stable, "v1").await?;

    // Rolling back: first the rules, then everything.
    place.kubectl(&["apply", "-k", &place.folder.path(FOLDER)])?;
    eventually("the subset again", async || reaches(address, &tester, "v3").await).await?;
    place.kubectl(&["delete", "wasmplugin", "traffic-split"])?;
    eventually("the default route", async || reaches(address, &tester, "v1").await).await?;
    for user in steer::users(&place.request(), 100) {
        reaches(address, &user, "v1").await?;
    }
    steer::strips_without_the_plugin(&proxy, address, &place.request()).await?;
    // It is the EnvoyFilter that strips: a client steers once it is gone.
    place.kubectl(&["delete", "envoyfilter", "traffic-split-strip"])?;
    let spoofed = place.request().with("x-split-variant", "canary");
    eventually("the client's way", async || reaches(address, &spoofed, "v3").await).await?;
    place.kubectl(&["delete", "--ignore-not-found", "-k", &place.folder.path(FOLDER)])?;
    Ok(())
}

#[tokio::test]
async fn cluster_header_steers_and_its_default_route_outlives_the_filter() -> Result<()> {
    const FOLDER: &str = "istio/cluster-header";
    let place = Place::new("cluster-header").await?;
    place.kubectl(&["apply", "-k", &place.folder.path(FOLDER)])?;
    let plan = steer::plan(&place, FOLDER)?;
    let (proxy, address) = place.sidecar("productpage").await?;
    proxy.plugin(|_| true).await?;
    steers(address, &place.request(), &plan).await?;
    let canary = format!("outbound|{}|canary|{}", place.port, place.host);
    is_not_fooled(address, &place.request(), &plan, "x-split-cluster", &canary).await?;
    is_not_fooled(address, &place.request(), &plan, "x-split-variant", "canary").await?;

    // A cluster that is not there.
    let unknown = format!("outbound|{}|unknown|{}", place.port, place.host);
    let patch = json!({"spec": {"pluginConfig": {"variants": {"canary": {"cluster": unknown}}}}});
    let edit = ["patch", "wasmplugin", "traffic-split", "--type=merge", "-p", &patch.to_string()];
    place.kubectl(&edit)?;
    let stable = stable_user(&place.request(), &plan)?;
    let tester = stable.clone().with("x-user-group", "beta");
    eventually("503 for an unknown subset", async || {
        let status = ask(address, &tester).await?.status;
        ensure!(status == 503, "{status}");
        Ok(())
    })
    .await?;
    reaches(address, &stable, "v1").await?;

    // Without the filter, a client's header is stripped still: Istio's own routes serve, both
    // versions alike, whatever the client asks for.
    place.kubectl(&["delete", "wasmplugin", "traffic-split"])?;
    eventually("no plugin", async || {
        ensure!(proxy.plugins().await?.is_empty());
        let seen =
            ask(address, &stable.clone().with("x-split-cluster", canary.as_str())).await?.seen()?;
        ensure!(seen.all("x-split-variant").is_empty(), "{seen:?}");
        Ok(())
    })
    .await?;
    let mut reached = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let reply = ask(address, &stable.clone().with("x-split-cluster", canary.as_str())).await?;
        assert!(reply.seen()?.all("x-split-cluster").is_empty());
        reached.extend(reply.upstream().map(str::to_owned));
    }
    // By chance alone, one version would serve all 100 less than once in 10^29 runs.
    assert_eq!(reached.len(), 2, "{reached:?}");
    Ok(())
}
