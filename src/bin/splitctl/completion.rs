//! `splitctl completion`: a script by which a shell completes subcommands, options and files.

use anyhow::Result;
use clap::{Args, Command};
use clap_complete::Shell;

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
    /// Prints the script that completes `command`.
    pub fn run(&self, command: &mut Command) -> Result<Answer> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, command, "splitctl", &mut script);
        Ok(Answer::good(String::from_utf8(script)?))
    }
}
