//! `splitctl man`: the manual pages, one for the program and one for each subcommand.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Command};

use crate::output::Answer;

/// Write the manual pages into a folder
#[derive(Args)]
#[command(after_help = "Examples:
  splitctl man ~/.local/share/man/man1")]
pub struct Man {
    /// The folder, which is made if it is not there
    folder: PathBuf,
}

impl Man {
    /// Writes the pages of `command`.
    pub fn run(&self, command: Command) -> Result<Answer> {
        let folder = self.folder.display().to_string();
        fs::create_dir_all(&self.folder).with_context(|| folder.clone())?;
        clap_mangen::generate_to(command, &self.folder).with_context(|| folder.clone())?;
        Ok(Answer::good(format!("The manual pages are in {folder}: man {folder}/splitctl.1")))
    }
}
