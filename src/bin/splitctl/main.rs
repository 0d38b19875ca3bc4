//! `splitctl`: shows what a configuration of the filter does before it is applied. It decides with
//! the filter's own core, so it cannot differ from the filter.
//!
//! The exit code is 0, or 1 if a configuration is not valid, a test fails, an import with `--strict`
//! loses something, a variant is worse, a sample ratio is broken or more clients move than may, or 2 if
//! there is no answer.

#![deny(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used
)]
#![cfg_attr(
    test,
    allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)
)]

mod analyze;
mod baseline;
#[cfg(test)]
mod chance;
mod check;
mod completion;
mod curve;
mod describe;
mod diff;
mod discovery;
mod document;
mod effort;
mod explain;
mod folder;
mod given;
mod hint;
mod import;
mod input;
mod keys;
mod link;
mod lint;
mod man;
mod misread;
mod movement;
mod output;
mod plugin;
mod render;
mod resume;
mod routes;
mod rules;
mod schema;
mod sequential;
mod simulate;
mod test;
mod validate;
mod watch;
mod when;
mod yaml;

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};
use output::{Answer, BAD, one_line};

/// Check, explain and compare configurations of the traffic-split filter
#[derive(Parser)]
#[command(
    name = "splitctl",
    version,
    max_term_width = 100,
    after_help = "Examples:
  splitctl validate -f wasm-plugin.yaml
  splitctl explain -f envoy.yaml -H 'cookie: uid=7' --path /reviews/1
  splitctl simulate -f envoy.yaml --rule rollout
  splitctl diff -f old.yaml -f new.yaml
  splitctl import -f ingress.yaml --key cookie=uid
  splitctl test -f envoy.yaml expect.yaml
  splitctl link -f traffic-split.yaml --rule rollout --variant canary
  splitctl watch --prometheus http://localhost:9090 -f traffic-split.yaml --baseline stable
  splitctl analyze --log access.jsonl -f traffic-split.yaml --baseline stable

The exit code is 1 if a configuration is not valid, a test fails, an import with --strict loses
something, a variant is worse, a sample ratio is broken or more clients move than --max-moved
allows, and 2 if the usage is wrong, a file cannot be read or Prometheus does not answer."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Validate(validate::Validate),
    Explain(explain::Explain),
    Simulate(simulate::Simulate),
    Diff(diff::Diff),
    Import(import::command::Import),
    Test(test::Test),
    Link(link::Link),
    Watch(watch::Watch),
    Analyze(analyze::Analyze),
    Render(render::Render),
    Schema(schema::Schema),
    Completion(completion::Completion),
    Man(man::Man),
    /// Print the version, which is the filter's too
    Version,
}

fn main() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| usage(&error));
    let answer = cli.command.run();
    match answer.and_then(|answer| Ok((answer.print()?, answer.good))) {
        Ok(((), true)) => ExitCode::SUCCESS,
        Ok(((), false)) => ExitCode::from(1),
        Err(error) => {
            if error.is::<input::Invalid>() {
                output::complain(&format!("{BAD}{error}{BAD:#}"));
                return ExitCode::from(1);
            }
            output::complain(&format!("{BAD}error{BAD:#}: {}", one_line(&format!("{error:#}"))));
            ExitCode::from(2)
        }
    }
}

/// Says what is wrong with the command line, which may have a password in it.
fn usage(error: &clap::Error) -> ! {
    let text = error.to_string();
    if output::printable(&text) == text {
        error.exit();
    }
    output::complain(text.trim_end());
    std::process::exit(error.exit_code());
}

impl Command {
    fn run(&self) -> Result<Answer> {
        match self {
            Command::Validate(validate) => validate.run(),
            Command::Explain(explain) => explain.run(),
            Command::Simulate(simulate) => simulate.run(),
            Command::Diff(diff) => diff.run(),
            Command::Import(import) => import.run(),
            Command::Test(test) => test.run(),
            Command::Link(link) => link.run(),
            Command::Watch(watch) => watch.run(),
            Command::Analyze(analyze) => analyze.run(),
            Command::Render(render) => render.run(),
            Command::Schema(schema) => schema.run(),
            Command::Completion(completion) => completion.run(&mut Cli::command()),
            Command::Man(man) => man.run(Cli::command()),
            Command::Version => Ok(Answer::good(Cli::command().render_version())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
