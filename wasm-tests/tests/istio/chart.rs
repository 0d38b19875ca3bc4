//! The commands of `manifests/chart/README.md`, and the release that it speaks of, in a registry.

use crate::shell::Shell;
use crate::steer::{self, reaches, stable_user};
use anyhow::{Context, Result, ensure};
use std::process::Command;
use wasm_tests::istio::place::Place;
use wasm_tests::istio::tools::output;
use wasm_tests::wait::eventually;
use wasm_tests::{native, release, root, splitctl};

const IMAGE: &str = "registry.example.com/traffic-split:1.0";

#[tokio::test]
async fn its_commands_lead_to_a_canary_and_back() -> Result<()> {
    let place = Place::new("chart").await?;
    let shell = Shell::new(&place)?;
    let blocks = shell.blocks("chart/README.md")?;
    let [install, change] = blocks.as_slice() else { anyhow::bail!("not two blocks: {blocks:?}") };
    ensure!(install.lines().filter(|line| !line.starts_with(['-', ' '])).count() < 12, "{install}");

    // The registry, the service and the path of splitctl are ours.
    let image = place.mesh.registry.image("chart:1.0");
    let (push, rest) = install.split_once('\n').context("one line")?;
    let host = "reviews.default.svc.cluster.local, port: 9080";
    ensure!(push.contains(IMAGE) && rest.contains(IMAGE) && rest.contains(host), "{install}");
    let mut make = Command::new("sh");
    output(make.args(["-ec", &push.replace(IMAGE, &image)]).current_dir(root()))?;
    let program = splitctl::program()?;
    let folder = program.parent().context("no folder")?.display().to_string();
    let rest = rest
        .replace(IMAGE, &image)
        .replace(host, &format!("{}, port: {}", place.host, place.port))
        .replace("| splitctl", &format!("| {folder}/splitctl"));
    let printed = shell.run(&rest)?;
    ensure!(printed.contains("valid") && printed.contains("STATUS: deployed"), "{printed}");

    let (_proxy, address) = place.sidecar("productpage").await?;
    let plugin =
        place.kubectl(&["get", "wasmplugin", "reviews", "-o", "jsonpath={.spec.pluginConfig}"])?;
    let plan = native::plan(&plugin)?;
    eventually("the canary", async || {
        let user = stable_user(&place.request(), &plan)?;
        reaches(address, &user.with("x-user-group", "beta"), "v3").await
    })
    .await?;
    steer::steers(address, &place.request(), &plan).await?;

    let tester = stable_user(&place.request(), &plan)?.with("x-user-group", "beta");
    let steps: Vec<_> = change.lines().collect();
    let [hold, back, away] = steps.as_slice() else { anyhow::bail!("not three steps: {change}") };
    shell.run(hold)?;
    eventually("everyone on stable", async || reaches(address, &tester, "v1").await).await?;
    shell.run(back)?;
    eventually("the testers back", async || reaches(address, &tester, "v3").await).await?;
    shell.run(away)?;
    let left = ["get", "wasmplugin,virtualservice,destinationrule,envoyfilter", "-o", "name"];
    let left = place.kubectl(&left)?;
    ensure!(left.is_empty(), "{left}");
    Ok(())
}

/// `make publish` puts image and chart of a release into a registry, from which the chart is installed.
#[tokio::test]
async fn a_published_chart_is_installed_from_a_registry() -> Result<()> {
    let place = Place::new("published").await?;
    let shell = Shell::new(&place)?;
    let dist = shell.folder.join("dist");
    release::write(&dist)?;
    let team = place.mesh.registry.image("team");
    let mut make = Command::new("make");
    make.args(["publish", &format!("VERSION={}", traffic_split::VERSION)]);
    make.arg(format!("DIR={}", dist.display())).arg(format!("REGISTRY={team}"));
    make.arg("HELM_PUSH=--plain-http").current_dir(root());
    let bin = place.mesh.tools.path("");
    make.env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH")?));
    let printed = output(&mut make)?;
    let image = printed.lines().find_map(|line| line.strip_prefix("  image: "));
    let image = image.with_context(|| format!("no image in {printed}"))?;
    let digest = std::fs::read_to_string(
        dist.join(format!("traffic-split-{}.image.digest", traffic_split::VERSION)),
    )?;
    ensure!(image == format!("oci://{team}/traffic-split@{}", digest.trim()), "{printed}");

    let install = format!(
        "helm install reviews oci://{team}/charts/traffic-split --plain-http --version {} \
         --set image={image},service.host={},service.port={},variants[0].name=stable,variants[0].labels.version=v1,\
         variants[1].name=canary,variants[1].labels.version=v3",
        traffic_split::VERSION,
        place.host,
        place.port
    );
    shell.run(&install)?;
    let (_proxy, address) = place.sidecar("productpage").await?;
    let plugin =
        place.kubectl(&["get", "wasmplugin", "reviews", "-o", "jsonpath={.spec.pluginConfig}"])?;
    let plan = native::plan(&plugin)?;
    let (user, variant) = (0..)
        .map(|n| place.request().with("cookie", format!("uid=user-{n}").as_str()))
        .find_map(|user| {
            Some((user.clone(), steer::decide(&plan, &user).filter(|v| v == "canary")?))
        })
        .context("no user of the canary")?;
    eventually("the canary", async || {
        reaches(address, &user, steer::version(Some(&variant))).await
    })
    .await?;
    Ok(())
}
