//! The cost of a new configuration inside Envoy, above that of one that nobody reads.

use std::time::Duration;

use anyhow::{Result, ensure};
use procfs::process::Process;
use serde_json::json;
use wasm_tests::bootstrap::{self, DEFAULT, Listener};
use wasm_tests::discovery::Discovered;
use wasm_tests::envoy::{self, Envoy};
use wasm_tests::standard::Standard;
use wasm_tests::upstream;

use super::candidate::wasm;
use super::{Plan, cpu};

/// Rules of the configuration.
pub const RULES: usize = 1000;
const OURS: &str = "ours";
const EMPTY: &str = "empty";
/// A time longer than every VM takes. Asking Envoy costs it half a millisecond, so it is asked once
/// about each update, whichever filter that is for.
const PAUSE: Duration = Duration::from_millis(150);

/// The measurements: milliseconds of Envoy's processor time, by round.
pub struct Configured {
    /// The size of the configuration.
    pub bytes: usize,
    /// VMs that configure each update, by what they log: one that Envoy makes only to try it, the
    /// main thread's own, and each worker's.
    pub vms: usize,
    /// An update of ours.
    pub update: Vec<f64>,
    /// An update of the empty filter by the same text.
    pub empty: Vec<f64>,
}

impl Configured {
    /// The time that one VM takes for an update, by round.
    pub fn each(&self) -> Vec<f64> {
        let rounds = self.update.iter().zip(&self.empty);
        rounds.map(|(ours, empty)| (ours - empty) / self.vms as f64).collect()
    }
}

/// Two filters in one Envoy, and the texts that they are given.
struct Updates<'a> {
    standard: &'a Standard,
    ours: Discovered,
    empty: Discovered,
    /// Texts so far: each is another one, since Envoy passes over what it knows.
    texts: usize,
}

/// Updates both filters in turn.
pub async fn measure(standard: &Standard, plan: &Plan) -> Result<Configured> {
    const TITLE: &str = "configuring";
    let upstreams = upstream::start([DEFAULT]).await?;
    let folder = envoy::folder()?;
    let [ours, empty] = [OURS, EMPTY].map(|name| Discovered::new(folder.path(), name));
    let listener = |filter: &Discovered, name| Listener {
        filters: vec![filter.filter()],
        ..Listener::without_filter(name)
    };
    let listeners = [listener(&ours, OURS), listener(&empty, EMPTY)];
    let mut updates = Updates { standard, ours, empty, texts: 0 };
    let text = updates.text();
    updates.ours.write(&filter(OURS, &text)?)?;
    updates.empty.write(&filter(EMPTY, &text)?)?;
    let bootstrap = bootstrap::bootstrap(&listeners, &upstreams);
    let (envoy, process) = super::start(TITLE, bootstrap, listeners.len(), folder, plan).await?;
    let mut configured =
        Configured { bytes: text.len(), vms: 0, update: Vec::new(), empty: Vec::new() };
    for round in 0..=plan.rounds {
        super::say(TITLE, round, plan);
        let [ours, empty] = updates.round(&envoy, &process, plan.updates).await?;
        if round > 0 {
            configured.update.push(ours);
            configured.empty.push(empty);
        }
    }
    // Each VM says so, and the last one may be late.
    let lines = envoy.log().matches("configured: ").count();
    configured.vms = (lines as f64 / updates.texts as f64).round() as usize;
    ensure!(configured.vms > 0, "no VM has said that it was configured:\n{}", envoy.log());
    envoy.stop()?;
    Ok(configured)
}

impl Updates<'_> {
    /// The next text: the same rules, one of them by another name.
    fn text(&mut self) -> String {
        let mut configuration = self.standard.rules(RULES);
        configuration["rules"][0]["name"] = json!(format!("update-{:06}", self.texts));
        self.texts += 1;
        configuration.to_string()
    }

    /// The cost of one update of our filter, and of one of the empty filter by the same texts.
    async fn round(&mut self, envoy: &Envoy, process: &Process, count: usize) -> Result<[f64; 2]> {
        let texts: Vec<_> = (0..count).map(|_| self.text()).collect();
        let ours = push(&self.ours, OURS, &texts, envoy, process).await?;
        let empty = push(&self.empty, EMPTY, &texts, envoy, process).await?;
        Ok([ours, empty])
    }
}

/// Milliseconds of Envoy's processor time for one of these updates.
async fn push(
    discovered: &Discovered,
    name: &str,
    texts: &[String],
    envoy: &Envoy,
    process: &Process,
) -> Result<f64> {
    let before = cpu::time(process)?;
    for text in texts {
        let taken = discovered.push(envoy, &filter(name, text)?, PAUSE).await?;
        ensure!(taken, "Envoy refused an update of {name}:\n{}", envoy.log());
    }
    Ok((cpu::time(process)? - before) / 1000.0 / texts.len() as f64)
}

fn filter(name: &str, configuration: &str) -> Result<serde_json::Value> {
    let module = match name {
        OURS => wasm_tests::module()?,
        _ => wasm_tests::target().join("empty.wasm"),
    };
    wasm(&module, name, configuration)
}
