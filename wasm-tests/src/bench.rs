//! `make bench`: what a filter costs a real Envoy, beside what a user would pick instead.

mod candidate;
mod configure;
mod cpu;
mod report;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use procfs::process::Process;
use tempfile::TempDir;
use wasm_tests::bootstrap::{self, Listener};
use wasm_tests::envoy::{self, Envoy, Setup};
use wasm_tests::find;
use wasm_tests::message::Reply;
use wasm_tests::raw::{self, Connection};
use wasm_tests::standard::Standard;
use wasm_tests::upstream;

use candidate::Candidate;

/// Equal filters in a chain: enough that their cost stands out from the rest of a request's.
const CHAIN: usize = 20;
/// Processor time per candidate and round; the kernel's count of it is good to 1 % of a second.
/// Many short rounds: what disturbs a shared machine lasts for longer than one of them.
const SLICE: Duration = Duration::from_millis(500);
const ROUNDS: usize = 27;
/// Updates of a configuration per round: a sixth of a second of processor time and more.
const UPDATES: usize = 10;
/// Kept connections to each candidate.
const CONNECTIONS: usize = 8;
const ENVOY_PROCESSOR: usize = 0;
const LOAD_PROCESSOR: usize = 1;

/// The scale of a run.
struct Plan {
    /// Envoy on one processor, the load on another.
    apart: bool,
    slice: Duration,
    updates: usize,
    rounds: usize,
}

/// A candidate with its measurements: microseconds of Envoy's processor time per request, by round.
struct Measured {
    candidate: Candidate,
    connections: Vec<Connection>,
    requests: usize,
    rounds: Vec<f64>,
}

/// Measures and prints. A smoke run shows that every candidate does what it should.
pub async fn bench(smoke: bool) -> Result<ExitCode> {
    let standard = Standard::read()?;
    let apart = std::thread::available_parallelism()?.get() > LOAD_PROCESSOR;
    if apart {
        cpu::pin(Process::myself()?.pid(), LOAD_PROCESSOR)?;
    } else {
        eprintln!("One processor only: Envoy and the load share it.");
    }
    let plan = Plan {
        apart,
        slice: if smoke { Duration::ZERO } else { SLICE },
        updates: if smoke { 1 } else { UPDATES },
        rounds: if smoke { 1 } else { ROUNDS },
    };
    let length = if smoke { 2 } else { CHAIN };
    let chains = candidate::chains(&standard, length)?;
    let chains = measure("chains", chains, &standard, &plan).await?;
    let whole = measure("whole requests", candidate::whole(&standard)?, &standard, &plan).await?;
    let configured = configure::measure(&standard, &plan).await?;
    report::print(&chains, &whole, length, smoke);
    report::configured(&configured);
    Ok(ExitCode::SUCCESS)
}

/// The results of each candidate, in their order.
async fn measure(
    title: &str,
    candidates: Vec<Candidate>,
    standard: &Standard,
    plan: &Plan,
) -> Result<Vec<(String, Vec<f64>)>> {
    let upstreams = upstream::start(candidate::UPSTREAMS).await?;
    let listeners: Vec<&Listener> = candidates.iter().map(|c| &c.listener).collect();
    let bootstrap = bootstrap::bootstrap(listeners, &upstreams);
    let (envoy, process) =
        start(title, bootstrap, candidates.len(), envoy::folder()?, plan).await?;
    let request = raw::written(&standard.message(), "");
    let mut measured = Vec::new();
    for candidate in candidates {
        let address = envoy.address(&candidate.listener.name)?;
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(Connection::open(address, None).await?);
        }
        measured.push(Measured { candidate, connections, requests: 0, rounds: Vec::new() });
    }
    for round in 0..=plan.rounds {
        say(title, round, plan);
        for next in &mut measured {
            next.measure(&process, round, &request, plan.slice).await?;
        }
    }
    envoy.stop()?;
    Ok(measured.into_iter().map(|m| (m.candidate.listener.name, m.rounds)).collect())
}

/// An Envoy with one worker, and its process.
async fn start(
    title: &str,
    bootstrap: String,
    listeners: usize,
    folder: TempDir,
    plan: &Plan,
) -> Result<(Envoy, Process)> {
    let setup = Setup { bootstrap, concurrency: 1, listeners, folder: Some(folder) };
    eprintln!("{title}: starting Envoy ...");
    let envoy = Envoy::start(&find::launcher()?, setup).await?;
    let process = envoy.process()?;
    if plan.apart {
        cpu::pin(process.pid(), ENVOY_PROCESSOR)?;
    }
    Ok((envoy, process))
}

/// Says that a round begins; the first one warms up.
fn say(title: &str, round: usize, plan: &Plan) {
    match round {
        0 => eprintln!("{title}: warming up ..."),
        round => eprintln!("{title}: round {round} of {} ...", plan.rounds),
    }
}

impl Measured {
    /// Measures one slice. The first one checks the answer, and finds how many requests fill a
    /// slice.
    async fn measure(
        &mut self,
        process: &Process,
        round: usize,
        request: &[u8],
        slice: Duration,
    ) -> Result<()> {
        const TRIAL: usize = 2000;
        let requests = if round == 0 { TRIAL } else { self.requests };
        let before = cpu::time(process)?;
        let (requests, answer) = self.send(request, requests).await?;
        let each = (cpu::time(process)? - before) / requests as f64;
        if round == 0 {
            let name = &self.candidate.listener.name;
            ensure!((self.candidate.expected)(&answer), "{name} answered {answer:?}");
            self.requests = TRIAL.max((slice.as_micros() as f64 / each.max(1.0)) as usize);
        } else {
            self.rounds.push(each);
        }
        Ok(())
    }
    /// Sends at least so many requests, one a connection at a time; how many, and the last answer.
    async fn send(&mut self, request: &[u8], requests: usize) -> Result<(usize, Reply)> {
        let rounds = requests.div_ceil(CONNECTIONS);
        let mut last = Reply::default();
        for _ in 0..rounds {
            for connection in &mut self.connections {
                connection.write(request).await?;
            }
            for connection in &mut self.connections {
                last = connection.read().await?;
                ensure!(last.status == 200, "{last:?}");
            }
        }
        Ok((rounds * CONNECTIONS, last))
    }
}
