//! The commands of a README, run as a user would run them.

use anyhow::Result;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use wasm_tests::istio::place::Place;
use wasm_tests::istio::tools::output;

/// A shell in the folder that holds `manifests`, with kubectl and istioctl on its search path, whose
/// kubectl is at the place's namespace.
pub struct Shell {
    /// The folder.
    pub folder: PathBuf,
    kubeconfig: PathBuf,
    path: String,
}

impl Shell {
    /// Makes one.
    pub fn new(place: &Place) -> Result<Self> {
        let folder = place.mesh.folder.join(place.namespace);
        let kubeconfig = folder.join("kubeconfig");
        fs::copy(&place.mesh.kubernetes.kubeconfig, &kubeconfig)?;
        let bin = place.mesh.tools.path("");
        let path = format!("{}:{}", bin.display(), std::env::var("PATH")?);
        let shell = Self { folder, kubeconfig, path };
        shell.run(&format!(
            "kubectl config set-context --current --namespace={}",
            place.namespace
        ))?;
        Ok(shell)
    }

    /// Runs a script; what it prints.
    pub fn run(&self, script: &str) -> Result<String> {
        let mut command = Command::new("sh");
        command.args(["-ec", script]).current_dir(&self.folder);
        output(command.env("PATH", &self.path).env("KUBECONFIG", &self.kubeconfig))
    }

    /// The `sh` blocks of a document under `manifests`.
    pub fn blocks(&self, document: &str) -> Result<Vec<String>> {
        let text = fs::read_to_string(self.folder.join("manifests").join(document))?;
        let blocks = text.split("```sh\n").skip(1);
        Ok(blocks.filter_map(|rest| Some(rest.split_once("```")?.0.to_owned())).collect())
    }
}
