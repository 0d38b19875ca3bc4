//! The files of a release, of programs that are built already: `make dist` builds them anew, by the
//! compiler that it names, in minutes.

use anyhow::Result;
use dist::provenance::Build;
use dist::release::{Built, Program};
use std::path::{Path, PathBuf};

/// The targets of `splitctl`.
pub const MACHINES: [&str; 2] = ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"];

/// The stand-in for `splitctl` of a target. Any file does for a program that is not run: those of a
/// release are smaller than a test's.
pub fn program(target: &str) -> PathBuf {
    crate::root().join(if target == MACHINES[0] { "LICENSE" } else { "Cargo.toml" })
}

/// Writes a release into `folder`.
pub fn write(folder: &Path) -> Result<()> {
    write_of(&crate::module()?, folder)
}

/// Writes a release of another module.
pub fn write_of(module: &Path, folder: &Path) -> Result<()> {
    let program = |target: &str| Program { target: target.into(), path: program(target) };
    let runs = crate::splitctl::program()?;
    let programs = MACHINES.map(program);
    let built = Built { module, programs: &programs, runs: &runs, musl: "1.2.5" };
    let build = Build {
        version: traffic_split::VERSION,
        commit: "0123456789abcdef0123456789abcdef01234567",
        source: Some("https://example.com/split"),
        builder: "urn:traffic-split:builder:test",
        rust: "1.95.0",
    };
    dist::release::write(&built, &build, folder)
}
