//! Objects of the chart and of Argo CD's manifests for programs that no test runs: the API server takes
//! them by those programs' own types.

use crate::shell::Shell;
use anyhow::{Context, Result, ensure};
use std::fs;
use wasm_tests::istio::place::Place;
use wasm_tests::istio::types;

const OBJECTS: &str = "wasmplugin,virtualservice,destinationrule,envoyfilter,configmap";

/// The chart from one choice to the next: without the operator, with it, and by another route.
#[tokio::test]
async fn an_upgrade_leaves_what_the_new_choice_has_and_no_more() -> Result<()> {
    let place = Place::new("choices").await?;
    let shell = Shell::new(&place)?;
    // A name that YAML would take for a number.
    let helm = |command: &str, more: &str| {
        shell.run(&format!(
            "helm {command} 7 manifests/chart --set image={},service.host={},service.port={}{more}",
            place.mesh.image, place.host, place.port
        ))
    };
    let objects = |kinds: &str| -> Result<Vec<String>> {
        let listed = place.kubectl(&["get", kinds, "-o", "name"])?;
        // istiod has two of its own in each namespace.
        let ours = listed.lines().filter(|name| !name.starts_with("configmap/istio-ca-"));
        Ok(ours.map(str::to_owned).collect())
    };
    let monitoring = ",monitoring.prometheusRule=true,monitoring.dashboard=true";
    let error = helm("install", monitoring).err().context("there is no such type")?.to_string();
    ensure!(error.contains("no matches for kind \"PrometheusRule\""), "{error}");
    ensure!(error.contains("ensure CRDs are installed first"), "{error}");

    types::prometheus_rule(&place.mesh.kubernetes, &shell.folder.join("types"))?;
    helm("install", monitoring)?;
    let rule =
        place.kubectl(&["get", "prometheusrule", "7", "-o", "jsonpath={.spec.groups[*].name}"])?;
    ensure!(!rule.is_empty(), "no groups");
    assert_eq!(
        objects(OBJECTS)?,
        [
            "wasmplugin.extensions.istio.io/7",
            "virtualservice.networking.istio.io/7",
            "destinationrule.networking.istio.io/7",
            "envoyfilter.networking.istio.io/7-strip",
            "configmap/7-dashboard",
        ]
    );
    helm("upgrade", ",route=cluster-header")?;
    assert_eq!(
        objects(&format!("{OBJECTS},prometheusrule"))?,
        [
            "wasmplugin.extensions.istio.io/7",
            "destinationrule.networking.istio.io/7",
            "envoyfilter.networking.istio.io/7",
            "envoyfilter.networking.istio.io/7-strip",
        ]
    );
    helm(
        "upgrade",
        ",route=route-weights,rules[0].name=rollout,rules[0].split=route,rules[0].sticky.key[0].cookie=uid",
    )?;
    ensure!(objects(OBJECTS)?.contains(&"virtualservice.networking.istio.io/7".to_owned()));

    // So that the type can refuse something.
    let rendered = shell.run(&format!(
        "helm template 7 manifests/chart --set image={},service.host={}{monitoring} | \
         sed 's/expr:/exprr:/' > wrong.yaml; ! kubectl apply --dry-run=server -f wrong.yaml 2>&1",
        place.mesh.image, place.host
    ))?;
    ensure!(rendered.contains("exprr"), "{rendered}");
    Ok(())
}

#[tokio::test]
async fn argo_cd_takes_the_applications() -> Result<()> {
    let place = Place::new("argocd").await?;
    let shell = Shell::new(&place)?;
    types::application(&place.mesh.kubernetes)?;
    for file in ["chart/application.yaml", "overlays/application.yaml"] {
        let applied = shell.run(&format!("kubectl apply -f manifests/{file}"))?;
        ensure!(applied.contains("application.argoproj.io/reviews-split"), "{applied}");
        let path = shell.folder.join("manifests").join(file);
        let text = fs::read_to_string(&path)?;
        ensure!(text.contains("repoURL:"), "{text}");
        fs::write(&path, text.replace("repoURL:", "repoUrl:"))?;
        let error = shell.run(&format!("kubectl apply -f manifests/{file}")).err();
        let error = error.context("anything is taken")?.to_string();
        ensure!(error.contains("unknown field \"spec.source.repoUrl\""), "{error}");
    }
    Ok(())
}
