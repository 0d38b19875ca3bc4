//! `make demo` and `make run`.

use anyhow::{Context, Result, bail};
use clap::Parser;
use serde_json::Value;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use wasm_tests::attack::{self, Attack};
use wasm_tests::envoy::Envoy;
use wasm_tests::find;
use wasm_tests::manifest::{self, FILTER};
use wasm_tests::soak::{self, Scale};
use wasm_tests::upstream::Upstream;

mod bench;
mod demo;
mod table;

/// Tries, shows and measures the filter in a real Envoy.
///
/// ENVOY, FUNC_E and ENVOY_VERSION choose the Envoy, WASM the filter's module.
#[derive(Parser)]
enum Command {
    /// Send real requests through manifests/envoy.yaml, and say where they went
    Demo,
    /// Keep manifests/envoy.yaml running, to send requests by hand
    Run,
    /// Measure what the filter costs Envoy, beside what else could be used
    Bench {
        /// Only see that every candidate runs
        #[arg(long)]
        smoke: bool,
    },
    /// Keep an Envoy under load while its configuration changes
    Soak(Scale),
    /// Send random requests that want more than the rules give, and check each answer
    Attack(Attack),
    /// Look for the configuration and the request that cost the filter most
    Costly {
        /// Pairs to try
        #[arg(default_value_t = 1000)]
        tries: usize,
        /// The beginning of the sequence of random numbers
        #[arg(default_value_t = 1)]
        seed: u64,
    },
    /// Bring an Envoy, and print the command that runs it
    Envoy,
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Command::parse() {
        Command::Demo => until_signal(demo::demo()).await,
        Command::Run => until_signal(run()).await,
        Command::Bench { smoke } => until_signal(bench::bench(smoke)).await,
        Command::Soak(scale) => until_signal(soak(scale)).await,
        Command::Attack(attack) => until_signal(attack_with(attack)).await,
        Command::Envoy => envoy(),
        Command::Costly { tries, seed } => costly(tries, seed),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// Drops the work on a signal, and with it every process that it has started.
async fn until_signal(work: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    // Before signals are caught: they still end us while a package is installed.
    find::launcher()?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    // The shell's convention: 128 and the signal's number.
    tokio::select! {
        outcome = work => outcome,
        _ = interrupt.recv() => Ok(ExitCode::from(130)),
        _ = terminate.recv() => Ok(ExitCode::from(143)),
        _ = hangup.recv() => Ok(ExitCode::from(129)),
    }
}

/// The manifest, in a real Envoy with real upstreams; with this configuration of the filter where
/// one is given.
async fn serve(configuration: Option<&Value>) -> Result<(Envoy, [Upstream; 2])> {
    let stable = Upstream::start("stable").await?;
    let canary = Upstream::start("canary").await?;
    let mut manifest = manifest::runnable(stable.address.port(), canary.address.port())?;
    if let Some(configuration) = configuration {
        manifest = manifest.reconfigured(configuration)?;
    }
    let launcher = find::launcher()?;
    eprintln!("Starting {} with manifests/envoy.yaml ...", launcher.program.display());
    Ok((Envoy::start(&launcher, manifest.setup(2)?).await?, [stable, canary]))
}

/// Runs a soak; a failure if any request failed, or if memory grew by more than 2 %.
async fn soak(scale: Scale) -> Result<ExitCode> {
    eprintln!("Soaking: {scale:?} ...");
    let figures = soak::run(scale).await?;
    println!("{figures}");
    let good = figures.is_good(&scale) && figures.greatest_growth() <= 2.0;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn attack_with(scale: Attack) -> Result<ExitCode> {
    eprintln!("Attacking: {scale:?} ...");
    println!("{}", attack::run(scale).await?);
    Ok(ExitCode::SUCCESS)
}

/// Prints the costliest pairs, for `wasm-tests/costly.json`.
fn costly(tries: usize, seed: u64) -> Result<ExitCode> {
    let module = std::fs::read(wasm_tests::module()?)?;
    let mut random = wasm_tests::costly::random(seed);
    for (fuel, genes) in wasm_tests::costly::search(&module, &[], tries, &mut random)? {
        println!("{fuel:>12} {}", serde_json::to_string(&genes)?);
    }
    Ok(ExitCode::SUCCESS)
}

fn envoy() -> Result<ExitCode> {
    let launcher = find::launcher()?;
    let arguments = launcher.arguments.iter().map(|argument| argument.display());
    let line: Vec<_> = arguments.map(|argument| format!(" {argument}")).collect();
    println!("{}{}", launcher.program.display(), line.concat());
    Ok(ExitCode::SUCCESS)
}

async fn run() -> Result<ExitCode> {
    let (mut envoy, _upstreams) = serve(None).await?;
    let url = format!("http://{}", envoy.address(manifest::LISTENER)?);
    let admin = format!("http://{}", envoy.admin());
    let file = manifest::filter_of(&envoy);
    let folder = file.parent().context("no folder")?.display();
    println!(
        "Envoy serves; every answer says which upstream gave it, and what that upstream saw. Try:

  curl {url}/                                no rule: stable
  curl {url}/ -H 'x-user-group: beta'        pinned by a header: canary
  curl {url}/ -b preview=1                   pinned by a cookie: canary
  curl {url}/reviews -b uid=alice            sticky: the same upstream every time
  curl {url}/reviews -i                      a new user: issued the cookie split-id
  curl {url}/ratings                         random: canary for every fourth
  curl {url}/ -H 'x-split-cluster: canary'   not for a client to say: stable

New weights, while it runs (Envoy reads the file when another one is moved into its place):

  cd {folder}
  sed 's/\"stable\": 90, \"canary\": 10/\"stable\": 50, \"canary\": 50/' {FILTER} > next.yaml
  mv next.yaml {FILTER}
  curl '{admin}/stats?filter=config_reload|config_fail'   one more reload, and no failure

Envoy's log: {}
Its admin interface: {admin}
Ctrl-C ends it.",
        envoy.log_path().display(),
    );
    let status = envoy.ended().await?;
    bail!("Envoy ended with {status}:\n{}", envoy.log())
}
