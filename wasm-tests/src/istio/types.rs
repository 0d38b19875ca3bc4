//! The resource types of programs that no test runs, as those programs have them.

use super::kubernetes::Kubernetes;
use super::tools::{Tools, download};
use anyhow::{Result, ensure};
use std::path::Path;

/// Argo CD, and the digest of its module, as a `go.sum` would have it. Its own list of requirements is
/// too long for a `go.mod` of which one file is read.
const ARGO_CD: (&str, &str) =
    ("github.com/argoproj/argo-cd/v3@v3.1.0", "h1:2+gPskQKCyPC9DzRSWQ1AvmS3WiIlRR7bKz/FO3DozI=");

/// Has the API server know `PrometheusRule`, as the Prometheus operator's own build writes it from its
/// source, by way of `folder`.
pub fn prometheus_rule(kubernetes: &Kubernetes, folder: &Path) -> Result<()> {
    let tools = Tools::install("prometheus-operator")?;
    let paths = "paths=github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1";
    let output = format!("output:crd:dir={}", folder.display());
    tools.run_in_source("controller-gen", &["crd", paths, &output])?;
    kubernetes.types(&folder.join("monitoring.coreos.com_prometheusrules.yaml"))
}

/// Has the API server know Argo CD's `Application`.
pub fn application(kubernetes: &Kubernetes) -> Result<()> {
    let (module, sum) = ARGO_CD;
    let file = download(module, sum)?.join("manifests/crds/application-crd.yaml");
    ensure!(file.is_file(), "{} is not there", file.display());
    kubernetes.types(&file)
}
