//! Two callers of one service: the filter is in the sidecar of the first, and not in the second's.

use crate::crowd::Crowd;
use crate::seen::Seen;
use crate::shell::Shell;
use crate::steer;
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use traffic_split::Plan;
use wasm_tests::bootstrap::POINT_HEADER;
use wasm_tests::istio::place::Place;
use wasm_tests::istio::proxy::Proxy;
use wasm_tests::istio::weights::{self, Weights};
use wasm_tests::message::Request;
use wasm_tests::wait::eventually;

/// The two, and users who ask both all the time.
pub struct Callers {
    virtual_host: String,
    request: Request,
    plan: Plan,
    with: (Proxy, SocketAddr),
    without: (Proxy, SocketAddr),
}

/// The users of both callers.
pub struct Crowds {
    /// They ask through the filter.
    pub with: Crowd,
    without: Crowd,
}

impl Callers {
    /// Starts them, where the folder's plugin and EnvoyFilter are applied already.
    pub async fn start(place: &Place, folder: &str) -> Result<Self> {
        let patch = json!({"spec": {"selector": {"matchLabels": {"app": "productpage"}}}});
        let patch =
            ["patch", "wasmplugin", "traffic-split", "--type=merge", "-p", &patch.to_string()];
        place.kubectl(&patch)?;
        let with = place.sidecar("productpage").await?;
        with.0.plugin(|_| true).await?;
        let without = place.sidecar_at("details", Ipv4Addr::new(127, 0, 0, 2)).await?;
        let callers = Self {
            virtual_host: format!("{}:{}", place.host, place.port),
            request: place.request(),
            plan: steer::plan(place, folder)?,
            with,
            without,
        };
        for (proxy, _) in [&callers.with, &callers.without] {
            pointed(proxy, &callers.virtual_host).await?;
        }
        ensure!(callers.without.0.plugins().await?.is_empty(), "the filter is in both sidecars");
        Ok(callers)
    }

    /// The first caller's sidecar, and where it listens.
    pub fn with(&self) -> (&Proxy, SocketAddr) {
        (&self.with.0, self.with.1)
    }

    /// Runs the commands of a README by which one sees that it works, and expects each to print so.
    pub async fn see(&self, shell: &Shell, commands: &str, printed: &[&str]) -> Result<()> {
        // Its pod has no name to ask for.
        fs::write(shell.folder.join("dump.json"), self.with.0.admin("/config_dump").await?)?;
        let commands = commands.replace("POD.NAMESPACE", "--file dump.json");
        ensure!(commands.lines().count() == printed.len(), "{commands}");
        for (command, expected) in commands.lines().zip(printed) {
            let printed = shell.run(command)?;
            ensure!(printed.contains(expected), "`{command}` prints no `{expected}`: {printed}");
        }
        Ok(())
    }

    /// The filter's plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Lets the users ask.
    pub async fn crowds(&self) -> Result<Crowds> {
        let crowd = async |(proxy, address): &(Proxy, SocketAddr)| {
            Crowd::start(proxy, &self.virtual_host, *address, &self.request).await
        };
        Ok(Crowds { with: crowd(&self.with).await?, without: crowd(&self.without).await? })
    }

    /// Ends it: through the filter nobody left the canary while it grew, and each answer is from
    /// where the native core says; without it, many did leave. What both saw.
    pub async fn judge(&self, crowds: Crowds) -> Result<Seen> {
        let (with, without) = (crowds.with.stop().await?, crowds.without.stop().await?);
        println!("{}: weights {:?}", self.virtual_host, with.weights());
        for line in with.is_what_the_core_says(&self.plan, &self.request)? {
            println!("{line}");
        }
        let (stayed, flipped) = (with.flipped(), without.flipped());
        println!(
            "with the filter: {} requests, {} new users, {stayed} users left the canary while it \
             grew; without: {} requests, {flipped} users",
            with.count(),
            with.newcomers(),
            without.count()
        );
        ensure!(stayed == 0, "{stayed} users left the canary");
        ensure!(with.newcomers() > 0 && without.newcomers() == 0);
        ensure!(flipped > 0, "without the filter nobody left the canary either");
        Ok(with)
    }
}

/// Waits until Envoy has the header's name in the route of this virtual host.
pub async fn pointed(proxy: &Proxy, virtual_host: &str) -> Result<Weights> {
    eventually("the header's name in the route", async || {
        let weights = weights::weights(proxy, virtual_host).await?;
        let weights = weights.with_context(|| format!("no weights\n{}", proxy.log()))?;
        ensure!(weights.header == POINT_HEADER, "{weights:?}\n{}", proxy.log());
        Ok(weights)
    })
    .await
}
