//! The pipelines that refuse a bad change: the commands of `manifests/overlays/README.md`, the workflow of
//! GitHub Actions and the Job of Argo CD, each run as it stands, against a repository and a release that
//! are made here. Only the answer of `kubectl get` is given.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use wasm_tests::istio::folder::{Folder, resources};
use wasm_tests::istio::tools::{Tools, output};

const SETTINGS: &str = "overlays/prod/settings.yaml";

/// A repository with the manifests, whose branch `main` is also that of a remote, and a release.
struct World {
    folder: tempfile::TempDir,
    manifests: Folder,
    /// The environment of every script.
    env: Vec<(String, String)>,
}

impl World {
    fn new() -> Result<Self> {
        let tools = Tools::install("istio")?;
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        let manifests = Folder::copy(&at("repository/manifests"))?;
        fs::create_dir_all(at("bin"))?;
        let kubectl = tools.path("kubectl");
        let (kubectl, live) = (kubectl.display(), at("live.yaml").display().to_string());
        let text = format!(
            "#!/bin/sh\nif [ \"$1\" = get ]; then cat {live}; else exec {kubectl} \"$@\"; fi\n"
        );
        fs::write(at("bin/kubectl"), text)?;
        fs::set_permissions(at("bin/kubectl"), fs::Permissions::from_mode(0o755))?;
        fs::write(&live, "")?;
        let archive = "splitctl-1.0.0-x86_64-linux";
        fs::create_dir_all(at(archive))?;
        fs::copy(wasm_tests::splitctl::program()?, at(archive).join("splitctl"))?;
        let file = format!("{archive}.tar.gz");
        let mut tar = Command::new("tar");
        output(tar.current_dir(folder.path()).args(["-czf", &file, archive]))?;
        let sum = output(Command::new("sha256sum").arg(at(&file)))?;
        let sum = sum.split_whitespace().next().context("no digest")?.to_owned();
        let path = format!("{}:{}", at("bin").display(), tools.path("").display());
        let env = vec![
            ("PATH".to_owned(), format!("{path}:{}", std::env::var("PATH")?)),
            ("RELEASE".to_owned(), format!("file://{}", folder.path().display())),
            ("ARCHIVE".to_owned(), archive.to_owned()),
            ("SHA256".to_owned(), sum),
        ];
        let world = Self { folder, manifests, env };
        world.git(&["init", "--quiet", "--initial-branch=main"])?;
        world.commit()?;
        world.git(&["update-ref", "refs/remotes/origin/main", "main"])?;
        Ok(world)
    }

    fn repository(&self) -> PathBuf {
        self.folder.path().join("repository")
    }

    fn git(&self, arguments: &[&str]) -> Result<String> {
        let who = ["-c", "user.name=test", "-c", "user.email=test@shop.internal"];
        let mut git = Command::new("git");
        output(git.current_dir(self.repository()).args(who).args(arguments))
    }

    fn commit(&self) -> Result<()> {
        self.git(&["add", "manifests"])?;
        self.git(&["commit", "--quiet", "--allow-empty", "--message", "rules"]).map(drop)
    }

    /// Runs a script in a folder; what it prints.
    fn run(&self, folder: &Path, script: &str, more: &[(&str, &str)]) -> Result<String> {
        let mut shell = Command::new("sh");
        shell.args(["-ec", script]).current_dir(folder);
        let env = self.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        output(shell.envs(env).envs(more.iter().copied()))
    }

    /// The commands of the README, whose `splitctl` is the one of the release.
    fn readme(&self) -> Result<String> {
        let text = fs::read_to_string(self.manifests.path("overlays/README.md"))?;
        let block = text.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next());
        let script = block.context("no commands")?;
        let folder = self.folder.path().display();
        let script = format!("PATH={folder}/$ARCHIVE:$PATH\n{script}");
        self.fresh()?;
        self.run(&self.repository(), &script, &[])
    }

    /// The steps of the workflow, each in a shell of its own.
    fn workflow(&self) -> Result<String> {
        let text = fs::read_to_string(self.manifests.path("overlays/workflow.yaml"))?;
        let workflow: Value = serde_saphyr::from_str(&text)?;
        let steps = workflow["jobs"]["check"]["steps"].as_array().context("no steps")?;
        let path = self.folder.path().join("path");
        fs::write(&path, "")?;
        let file = path.display().to_string();
        let more = [("GITHUB_PATH", file.as_str()), ("GITHUB_BASE_REF", "main")];
        self.fresh()?;
        let mut printed = String::new();
        for script in steps.iter().filter_map(|step| step["run"].as_str()) {
            let script = format!("PATH=$(tr '\\n' : < $GITHUB_PATH)$PATH\n{script}");
            printed += &self.run(&self.repository(), &script, &more)?;
        }
        Ok(printed)
    }

    /// The script of the Job, in an empty folder, where the cluster has what is in a file.
    fn job(&self, live: &str) -> Result<String> {
        fs::write(self.folder.path().join("live.yaml"), live)?;
        let text = fs::read_to_string(self.manifests.path("overlays/argo-cd/presync.yaml"))?;
        let job = resources(&text)?.into_iter().find(|it| it["kind"] == "Job");
        let job = job.context("no Job")?;
        let container = &job["spec"]["template"]["spec"]["containers"][0];
        ensure!(container["command"] == serde_json::json!(["sh", "-ec"]), "{container}");
        let script = container["args"][0].as_str().context("no script")?;
        let work = tempfile::tempdir()?;
        let repository = format!("file://{}", self.repository().display());
        let more = [("REPOSITORY", repository.as_str()), ("REVISION", "main"), ("MAX_MOVED", "5%")];
        self.run(work.path(), script, &more)
    }

    /// Removes what an earlier run left.
    fn fresh(&self) -> Result<()> {
        if self.repository().join("before").exists() {
            self.git(&["worktree", "remove", "--force", "before"])?;
        }
        Ok(())
    }

    /// What every pipeline says about the manifests as they are now; the changes become those of `main`
    /// for the Job.
    fn all(&self, live: &str) -> Result<[Result<String>; 3]> {
        self.commit()?;
        Ok([self.readme(), self.workflow(), self.job(live)])
    }
}

#[test]
fn a_pipeline_refuses_a_bad_change() -> Result<()> {
    let world = World::new()?;
    let live = world.run(&world.repository(), "kubectl kustomize manifests/overlays/prod", &[])?;
    // Nothing is changed; and the cluster may have nothing yet.
    for result in world.all(&live)?.into_iter().chain([world.job("")]) {
        ensure!(result?.contains("3 passed, 0 failed"));
    }
    // A weight below 0, more users than may move, and a rule that takes the testers' requests.
    let weights = |stable: &str, canary: &str| {
        world.manifests.line(SETTINGS, "  stable: ", stable)?;
        world.manifests.line(SETTINGS, "  canary: ", canary)
    };
    weights("\"99\"", "\"-1\"")?;
    for result in world.all(&live)? {
        let error = result.expect_err("a weight below 0").to_string();
        ensure!(error.contains("must be at least 0"), "{error}");
    }
    weights("\"90\"", "\"10\"")?;
    let expect = "overlays/prod/expect.yaml";
    world.manifests.replace(expect, "stable: 99, canary: 1", "stable: 90, canary: 10")?;
    for result in world.all(&live)? {
        let error = result.expect_err("9 % move").to_string();
        ensure!(error.contains("and --max-moved is 5.00 %"), "{error}");
    }
    weights("\"97\"", "\"3\"")?;
    for result in world.all(&live)? {
        let error = result.expect_err("other shares").to_string();
        ensure!(error.contains("1 failed"), "{error}");
    }
    world.manifests.replace(expect, "stable: 90, canary: 10", "stable: 97, canary: 3")?;
    for result in world.all(&live)? {
        ensure!(result?.contains("3 passed, 0 failed"));
    }
    Ok(())
}

/// `istioctl` finds what `splitctl` does not read.
#[test]
fn a_pipeline_refuses_an_unknown_field_of_a_route() -> Result<()> {
    let world = World::new()?;
    world.manifests.replace(
        "istio/components/variant-header/virtual-service.yaml",
        "- name: canary\n",
        "- name: canary\n    tiemout: 1s\n",
    )?;
    let error = world.readme().expect_err("an unknown field").to_string();
    ensure!(error.contains("tiemout"), "{error}");
    Ok(())
}

/// An archive that is another one is not unpacked.
#[test]
fn a_pipeline_refuses_a_program_with_another_digest() -> Result<()> {
    let mut world = World::new()?;
    world.env.iter_mut().filter(|(name, _)| name == "SHA256").for_each(|(_, sum)| {
        *sum = "0".repeat(64);
    });
    for result in [world.workflow(), world.job("")] {
        let error = result.expect_err("another digest").to_string();
        ensure!(error.contains("FAILED"), "{error}");
    }
    Ok(())
}
