//! `dist trim`, `dist image`, `dist release` and `dist verify`: what `make wasm`, `make image`, `make dist`
//! and `make verify` call.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Parser};
use dist::packages::MODULE;
use dist::provenance::Build;
use dist::release::{Built, Program};

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
    /// Write every file of a release into a folder
    Release(Release),
    /// Check that the files of a release are those that its list names
    Verify {
        /// The version
        version: String,
        /// The folder
        folder: PathBuf,
    },
}

#[derive(Args)]
struct Release {
    /// The version, which is that of Cargo.toml
    version: String,
    /// The folder, which is made anew
    folder: PathBuf,
    /// The module
    #[arg(long)]
    module: PathBuf,
    /// The folder in which cargo has built splitctl for each target
    #[arg(long)]
    builds: PathBuf,
    /// A target of splitctl; programs of the first one run here
    #[arg(long = "target")]
    targets: Vec<String>,
    /// The version of musl that splitctl is linked with
    #[arg(long)]
    musl: String,
    /// The version of Rust
    #[arg(long)]
    rust: String,
    /// The commit that was built
    #[arg(long)]
    commit: String,
    /// The address of the repository
    #[arg(long, env)]
    source: Option<String>,
    /// The address of who builds, for the provenance
    #[arg(long, env, default_value = "urn:traffic-split:builder:by-hand")]
    builder: String,
}

impl Release {
    fn write(&self) -> Result<()> {
        let program = |target: &String| Program {
            target: target.clone(),
            path: self.builds.join(target).join("release/splitctl"),
        };
        let programs: Vec<_> = self.targets.iter().map(program).collect();
        let runs = &programs.first().context("no --target is given")?.path;
        let built = Built { module: &self.module, programs: &programs, runs, musl: &self.musl };
        let build = Build {
            version: &self.version,
            commit: &self.commit,
            source: self.source.as_deref(),
            builder: &self.builder,
            rust: &self.rust,
        };
        dist::release::write(&built, &build, &self.folder)
    }
}

fn main() -> Result<()> {
    match Command::parse() {
        Command::Trim { module, output } => {
            let module = fs::read(&module).with_context(|| module.display().to_string())?;
            write(&output, &dist::trim::trim(&module)?)
        }
        Command::Image { module, folder } => {
            let digest = dist::image::write(&module, &dist::licenses::text(MODULE)?, &folder)?;
            fs::write(folder.with_extension("digest"), &digest)?;
            println!("{}  {digest}", folder.display());
            Ok(())
        }
        Command::Release(release) => release.write(),
        Command::Verify { version, folder } => {
            let files = dist::verify::check(&version, &folder)?;
            println!("{files} files are those that {} lists.", dist::release::SUMS);
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
