//! `splitctl completion`: so that the shell completes subcommands, options and files.

use anyhow::Result;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::Cli;
use crate::output::Answer;

/// Print a completion script for a shell
#[derive(Args)]
#[command(after_help = "Examples:
  source <(splitctl completion bash)
  splitctl completion zsh > \"${fpath[1]}/_splitctl\"
  splitctl completion fish > ~/.config/fish/completions/splitctl.fish")]
pub struct Completion {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completion {
    pub fn run(&self) -> Result<Answer> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "splitctl", &mut script);
        Ok(Answer::good(String::from_utf8(script)?))
    }
}
