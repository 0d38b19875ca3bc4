//! `splitctl test`: requests, and where a configuration has to send them.

mod draw;
mod expected;
mod judge;
mod read;
mod report;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::input::Choice;
use crate::output::Answer;
use crate::routes::Routes;
use crate::when::When;
use expected::Destinations;
use report::Results;

/// Test where requests go
///
/// Sends the requests of each file of expectations through the rules, as the filter would, and
/// compares where they go. The exit code is 1 if one goes elsewhere. Shares are drawn 20,000 times
/// from a fixed seed, and may be off by 4 standard errors.
#[derive(Args)]
#[command(after_help = "Examples:
  splitctl test -f wasm-plugin.yaml expect.yaml
  splitctl test -f envoy.yaml tests/*.expect.yaml -o junit > results.xml

A file of expectations:
  variants: { canary: web-v2 }     # a name in this file, and its variant or cluster
  requests:
  - { authority: shop.example, path: /cart, headers: [ [x-preview, always] ], goes: canary }
  - { authority: shop.example, shares: { stable: 90, canary: 10 }, per: user }
  - { metadata: { envoy.filters.http.jwt_authn: { payload: { tier: gold } } }, goes: canary }
  - { filterState: { shop.tenant: acme }, goes: stable }
  - { authority: other.example, goes: none, note: no rule matches }")]
pub struct Test {
    /// A file, or - for standard input; then files with the routes of `split: route`
    #[arg(short, long = "filename", value_name = "FILE", required = true)]
    files: Vec<String>,
    /// The files of expectations
    #[arg(value_name = "EXPECTATIONS", required = true)]
    expectations: Vec<String>,
    #[command(flatten)]
    choice: Choice,
    /// Expect `requests` alone, and not what `asked` says in their place
    #[arg(long)]
    as_is: bool,
    #[command(flatten)]
    when: When,
    /// The output format
    #[arg(short, long, value_enum, default_value_t)]
    output: Form,
}

/// The form of the results.
#[derive(Clone, Copy, Default, ValueEnum)]
enum Form {
    /// For people
    #[default]
    Table,
    /// For CI systems: XML as JUnit writes it
    Junit,
}

impl Test {
    pub fn run(&self) -> Result<Answer> {
        let file = self.files.first().map_or("-", String::as_str);
        let checked = self.choice.read_one(file, self.when.seconds())?;
        let routes = Routes::read(&self.files)?;
        let destinations = Destinations::new(&checked, &routes, file);
        let mut results = Results::default();
        for path in &self.expectations {
            let expected = read::file(path, self.as_is)?;
            let renamed = destinations.rename(&expected)?;
            let judge = judge::Judge { checked: &checked, routes: &routes, names: &renamed };
            results.add(path, &expected, |expectation| judge.result(expectation));
        }
        let text = match self.output {
            Form::Table => results.table(),
            Form::Junit => results.junit(),
        };
        Ok(Answer { text, good: results.failed() == 0 })
    }
}
