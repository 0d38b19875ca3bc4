//! The commands of `manifests/envoy.md`, run as a reader runs them: in a copy of the repository, whose
//! ports are free ones.

use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;
use wasm_tests::client::{Client, Protocol};
use wasm_tests::envoy;
use wasm_tests::istio::folder::Folder;
use wasm_tests::istio::{free_port, tools::output};
use wasm_tests::message::Request;
use wasm_tests::process::Process;
use wasm_tests::upstream::Upstream;
use wasm_tests::wait::eventually;
use wasm_tests::{find, raw, splitctl};

const USERS: usize = 1000;

/// The reader's copy, and the programs on the search path.
struct Copy {
    folder: TempDir,
    path: String,
    admin: SocketAddr,
    listener: SocketAddr,
    _upstreams: [Upstream; 2],
}

impl Copy {
    async fn new() -> Result<Self> {
        let folder = envoy::folder()?;
        let upstreams = [Upstream::start("stable").await?, Upstream::start("canary").await?];
        let [stable, canary] = upstreams.each_ref().map(|upstream| upstream.address.port());
        let address = || anyhow::Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?)));
        let (admin, listener) = (address()?, address()?);
        let manifests = Folder::copy(&folder.path().join("manifests"))?;
        for (from, to) in [
            (
                "0.0.0.0, port_value: 10000 }",
                format!("127.0.0.1, port_value: {} }}", listener.port()),
            ),
            ("port_value: 9901 }", format!("port_value: {} }}", admin.port())),
            ("port_value: 8081 }", format!("port_value: {stable} }}")),
            ("port_value: 8082 }", format!("port_value: {canary} }}")),
        ] {
            manifests.replace("envoy.yaml", from, &to)?;
        }
        let bin = folder.path().join("bin");
        fs::create_dir(&bin)?;
        let splitctl = splitctl::program()?;
        let splitctl = splitctl.parent().context("no folder")?;
        let path = format!("{}:{}:{}", bin.display(), splitctl.display(), std::env::var("PATH")?);
        let copy = Self { folder, path, admin, listener, _upstreams: upstreams };
        // The module is built already.
        let module = wasm_tests::module()?;
        copy.program(
            "make",
            &format!(
                "test \"$*\" = wasm && mkdir -p target && cp {} target/traffic_split.wasm",
                module.display()
            ),
        )?;
        let launcher = find::launcher()?;
        let arguments = launcher.arguments.iter().map(|it| format!("'{}'", it.display()));
        let arguments = arguments.collect::<Vec<_>>().join(" ");
        let options = "--disable-hot-restart --concurrency 1 --log-level warning";
        copy.program(
            "envoy",
            &format!("exec {} {arguments} \"$@\" {options}", launcher.program.display()),
        )?;
        Ok(copy)
    }

    fn program(&self, name: &str, script: &str) -> Result<()> {
        let path = self.folder.path().join("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n"))?;
        Ok(fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?)
    }

    /// The commands of the page, block by block.
    fn blocks(&self) -> Result<Vec<String>> {
        let page: PathBuf = self.folder.path().join("manifests/envoy.md");
        let text = fs::read_to_string(page)?.replace("127.0.0.1:9901", &self.admin.to_string());
        let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
        Ok(blocks.map(str::to_owned).collect())
    }

    fn run(&self, script: &str) -> Result<String> {
        let mut command = Command::new("sh");
        command.args(["-ec", script]).current_dir(self.folder.path());
        output(command.env("PATH", &self.path))
    }

    async fn start(&self, line: &str) -> Result<Process> {
        let arguments = [
            format!("--chdir={}", self.folder.path().display()),
            format!("PATH={}", self.path),
            "sh".into(),
            "-ec".into(),
            format!("exec {line}"),
        ];
        let mut process = Process::spawn("env", arguments, self.folder.path().join("envoy.log"))?;
        process
            .until("Envoy", async || {
                let mut client = Client::connect(Protocol::Http1, self.admin).await?;
                let ready = client.send(&Request::get("/ready")).await?;
                ensure!(ready.status == 200, "{ready:?}");
                Ok(())
            })
            .await?;
        Ok(process)
    }

    /// The users of the canary.
    async fn canary(&self) -> Result<BTreeSet<usize>> {
        let mut client = Client::connect(Protocol::Http1, self.listener).await?;
        let mut canary = BTreeSet::new();
        for user in 0..USERS {
            let cookie = format!("uid=user-{user}");
            let reply =
                client.send(&Request::get("/reviews").with("cookie", cookie.as_str())).await?;
            if reply.upstream().with_context(|| format!("{reply:?}"))? == "canary" {
                canary.insert(user);
            }
        }
        Ok(canary)
    }

    /// Waits for a canary of this share, within five standard errors.
    async fn share(&self, share: f64) -> Result<BTreeSet<usize>> {
        let due = USERS as f64 * share;
        let error = (due * (1.0 - share)).sqrt();
        eventually("the canary's share", async || {
            let canary = self.canary().await?;
            // A change may come while users are asked.
            ensure!(canary == self.canary().await?, "it moves");
            ensure!((canary.len() as f64 - due).abs() <= 5.0 * error, "{} of {due}", canary.len());
            Ok(canary)
        })
        .await
    }

    async fn tester(&self) -> Result<Option<String>> {
        let tester = Request::get("/").with("x-user-group", "beta");
        Ok(raw::send(self.listener, &tester).await?.upstream().map(str::to_owned))
    }
}

#[tokio::test]
async fn its_commands_lead_to_a_canary_and_back() -> Result<()> {
    let copy = Copy::new().await?;
    let blocks = copy.blocks()?;
    let [start, five, gauge, twenty, hold] = blocks.as_slice() else {
        anyhow::bail!("not five blocks: {blocks:?}")
    };
    let (build, line) = start.trim_end().split_once('\n').context("not two commands")?;
    copy.run(build)?;
    let _envoy = copy.start(line).await?;
    let ten = copy.share(0.1).await?;
    ensure!(copy.tester().await?.as_deref() == Some("canary"));

    let (change, counters) = five.trim_end().rsplit_once('\n').context("one command")?;
    let validated = copy.run(change)?;
    let generation = validated.trim().rsplit(' ').next().context("no generation")?.to_owned();
    eventually("the counters", async || {
        let printed = copy.run(counters)?;
        let shown = printed.contains("config_reload: 2") && printed.contains("config_fail: 0");
        ensure!(shown, "{printed}");
        Ok(())
    })
    .await?;
    eventually("the gauge", async || {
        let printed = copy.run(gauge)?;
        // Prometheus' text has it as a floating-point number.
        ensure!(printed.contains(&format!(" {generation}\n")), "{generation}: {printed}");
        Ok(())
    })
    .await?;
    let few = copy.share(0.05).await?;
    ensure!(few.is_subset(&ten), "some have entered");
    ensure!(copy.tester().await?.as_deref() == Some("canary"));

    let moves = copy.run(twenty)?;
    ensure!(
        moves.contains("The weights of the rule rollout are {stable: 80, canary: 20}"),
        "{moves}"
    );
    let more = copy.share(0.2).await?;
    ensure!(few.is_subset(&more), "some have left");

    copy.run(hold)?;
    eventually("everyone on stable", async || {
        ensure!(copy.tester().await?.as_deref() == Some("stable"), "the testers");
        ensure!(copy.canary().await?.is_empty(), "users");
        Ok(())
    })
    .await?;
    let back = "sed 's/\"hold\": \"stable\", //' manifests/traffic-split.yaml > next.yaml";
    copy.run(&format!("{back}; mv next.yaml manifests/traffic-split.yaml"))?;
    eventually("everyone back", async || {
        ensure!(copy.canary().await? == more, "not yet");
        Ok(())
    })
    .await
}
