//! The commands of `manifests/istio/README.md`, run as a user would run them.

use crate::shell::Shell;
use crate::steer::{self, reaches, stable_user};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::process::Command;
use wasm_tests::istio::place::Place;
use wasm_tests::istio::tools::output;
use wasm_tests::wait::eventually;

const IMAGE: &str = "registry.example.com/traffic-split:1.0";
const DELETE: &str = "kubectl delete -k manifests/istio/variant-header";

#[tokio::test]
async fn its_commands_lead_to_a_canary_and_back() -> Result<()> {
    let place = Place::new("readme").await?;
    let text = fs::read_to_string(place.folder.path("istio/README.md"))?;
    let shell = Shell::new(&place)?;
    let blocks = shell.blocks("istio/README.md")?;
    // The last one is run where the weights are in a route.
    let [push, apply, see, hold, release, _] = blocks.as_slice() else {
        anyhow::bail!("not six blocks: {blocks:?}")
    };

    // Step 1: the registry is ours, and the line that is printed goes into the settings.
    ensure!(push.contains(IMAGE), "{push}");
    let image = place.mesh.registry.image("readme:1.0");
    let mut make = Command::new("sh");
    make.args(["-ec", &push.replace(IMAGE, &image)]);
    let printed = output(make.current_dir(wasm_tests::root()))?;
    let line = printed.lines().find_map(|line| line.strip_prefix("  image: "));
    let line = line.with_context(|| format!("no line to copy in {printed}"))?;
    place.folder.line("istio/settings/settings.yaml", "  image: ", line)?;

    // Step 4, where kubectl and istioctl are on the search path, and the namespace is chosen.
    let (folder, run) = (&shell.folder, |script: &str| shell.run(script));
    run(apply)?;

    let (proxy, address) = place.sidecar("productpage").await?;
    proxy.plugin(|_| true).await?;
    let plan = steer::plan(&place, "istio/variant-header")?;
    let tester = stable_user(&place.request(), &plan)?.with("x-user-group", "beta");
    reaches(address, &tester, "v3").await?;

    // How to see that it works, beside the proxy: its pod has no name to ask for.
    fs::write(folder.join("dump.json"), proxy.admin("/config_dump").await?)?;
    // `pilot-agent request` asks at Istio's own ports only: this is the page that it gets there.
    fs::write(folder.join("metrics"), proxy.admin("/stats/prometheus").await?)?;
    let agent = "kubectl exec POD -c istio-proxy -- pilot-agent request GET stats/prometheus";
    let see = see
        .replace("POD.NAMESPACE", "--file dump.json")
        .replace(agent, "cat metrics")
        .replace("reviews.default.svc.cluster.local", &place.host);
    let metric = r#"tsplit_requests_total{rule="testers",variant="canary",reason="pinned"} 1"#;
    let shown = ["readme.traffic-split", "x-split-variant", "canary", metric];
    ensure!(see.lines().count() == shown.len() && !see.contains("POD"), "{see}");
    for (command, shown) in see.lines().zip(shown) {
        let printed = run(command)?;
        ensure!(printed.contains(shown), "`{command}` prints no `{shown}`: {printed}");
    }

    // The emergency, and back.
    let own = |script: &str| script.replace("-n NAMESPACE", &format!("-n {}", place.namespace));
    run(&own(hold))?;
    eventually("everyone on stable", async || reaches(address, &tester, "v1").await).await?;
    run(&own(release))?;
    eventually("the testers back", async || reaches(address, &tester, "v3").await).await?;

    // The response's header.
    let file = "istio/plugin/wasm-plugin.yaml";
    place.folder.replace(file, "# debugHeader: x-split-debug ", "debugHeader: x-split-debug ")?;
    run(apply)?;
    let line = "x-split-debug: rule=testers; variant=canary; reason=pinned";
    ensure!(text.contains(&format!("`{line}`")), "`{line}` is not in the README");
    eventually("the response's header", async || {
        let reply = reaches(address, &tester, "v3").await?;
        let value = reply.header("x-split-debug");
        ensure!(
            value.map(|value| format!("x-split-debug: {value}")).as_deref() == Some(line),
            "{value:?}"
        );
        Ok(())
    })
    .await?;

    ensure!(text.contains(DELETE), "how to take it all away is not in the README");
    run(DELETE)?;
    eventually("no plugin", async || {
        ensure!(proxy.plugins().await?.is_empty());
        Ok(())
    })
    .await
}
