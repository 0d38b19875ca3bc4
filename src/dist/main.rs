//! `dist trim IN OUT` and `dist image MODULE FOLDER`: what `make wasm` and `make image` call.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Parser;

/// Makes what is shipped from what the compiler leaves
#[derive(Parser)]
enum Command {
    /// Take exports, functions, names and sections that Envoy has no use for out of a module
    Trim {
        /// The module that the compiler left
        module: PathBuf,
        /// Where the smaller one goes
        output: PathBuf,
    },
    /// Write a module and its licences as an OCI image layout, and its digest beside it
    Image {
        /// The module
        module: PathBuf,
        /// The folder of the layout, which is made anew
        folder: PathBuf,
    },
}

fn main() -> Result<()> {
    match Command::parse() {
        Command::Trim { module, output } => {
            let module = fs::read(&module).with_context(|| module.display().to_string())?;
            write(&output, &dist::trim::trim(&module)?)
        }
        Command::Image { module, folder } => {
            let digest = dist::image::write(&module, &dist::licenses::text()?, &folder)?;
            fs::write(folder.with_extension("digest"), &digest)?;
            println!("{}  {digest}", folder.display());
            Ok(())
        }
    }
}

/// Writes a file in one step: an Envoy that watches it never sees half of it.
fn write(output: &Path, bytes: &[u8]) -> Result<()> {
    let partial = output.with_extension("partial");
    fs::write(&partial, bytes).with_context(|| partial.display().to_string())?;
    fs::rename(&partial, output).with_context(|| output.display().to_string())
}
