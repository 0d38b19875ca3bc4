//! Reports of pods in their stead: there are none here, nor the controllers and kubelets that run
//! them.

use super::kubernetes::Kubernetes;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Writes the status of a namespace's Deployments and ReplicaSets: every pod that is asked for is
/// there, and ready at once. A controller of canaries waits for nothing else. It ends when this
/// value is dropped.
pub struct Reports(JoinHandle<()>);

const PAUSE: Duration = Duration::from_millis(100);

impl Reports {
    /// Starts to write.
    pub fn start(kubernetes: &'static Kubernetes, namespace: &'static str) -> Self {
        Self(tokio::spawn(async move {
            loop {
                for kind in ["deployments", "replicasets"] {
                    // What changes meanwhile is read again.
                    if let Err(error) = report(kubernetes, namespace, kind).await {
                        crate::say(&format!("{namespace}: {error:#}"));
                    }
                }
                tokio::time::sleep(PAUSE).await;
            }
        }))
    }
}

impl Drop for Reports {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn report(
    kubernetes: &'static Kubernetes,
    namespace: &'static str,
    kind: &'static str,
) -> Result<()> {
    let all = kubernetes.get(&format!("/apis/apps/v1/namespaces/{namespace}/{kind}")).await?;
    for each in all["items"].as_array().context("no items")? {
        let status = status(kind, each);
        let reported = |name: &str| each["status"][name].as_i64().unwrap_or_default();
        let count = |name: &str| status[name].as_i64().unwrap_or_default();
        let same = |name: &&str| reported(name) == count(name);
        if ["observedGeneration", "replicas", "availableReplicas"].iter().all(same) {
            continue;
        }
        let name = each["metadata"]["name"].as_str().context("no name")?.to_owned();
        let patch = json!({"status": status}).to_string();
        let patched = tokio::task::spawn_blocking(move || {
            let subresource = ["--subresource=status", "--type=merge", "-p", &patch];
            let patch = ["--namespace", namespace, "patch", kind, &name];
            kubernetes.run(&[&patch[..], &subresource].concat())
        });
        patched.await??;
    }
    Ok(())
}

fn status(kind: &str, of: &Value) -> Value {
    let replicas = of["spec"]["replicas"].as_i64().unwrap_or(1);
    let mut status = json!({
        "observedGeneration": of["metadata"]["generation"],
        "replicas": replicas,
        "readyReplicas": replicas,
        "availableReplicas": replicas
    });
    if kind == "deployments" {
        let condition = |name, reason| json!({"type": name, "status": "True", "reason": reason});
        status["updatedReplicas"] = replicas.into();
        status["conditions"] = json!([
            condition("Available", "MinimumReplicasAvailable"),
            condition("Progressing", "NewReplicaSetAvailable")
        ]);
    } else {
        status["fullyLabeledReplicas"] = replicas.into();
    }
    status
}
