//! What holds of the core whatever it is given. Each property is a function of bytes that panics
//! where it does not hold: `make fuzz` lets a fuzzer look for such bytes, `make test` tries a fixed
//! sequence of them, and what was once found lies in `regressions/`.

mod cases;
mod configuration;
mod cookies;
mod given;
mod importer;
mod matching;
pub mod named;
mod records;
mod requests;
mod written;

pub use configuration::configuration;
pub use cookies::cookies;
pub use importer::importer;
pub use matching::matching;
pub use records::records;
pub use requests::requests;

use std::path::{Path, PathBuf};

// The importer is a part of the program `splitctl`, which has no library.
#[path = "../../../src/bin/splitctl"]
#[allow(dead_code, reason = "the program uses the rest")]
mod splitctl {
    pub mod document;
    pub mod import;
    pub mod output;
}
use splitctl::{document, import, output};

/// A property. It panics where it does not hold, and returns whether the bytes were such that it
/// had something to assert.
pub type Property = fn(&[u8]) -> bool;

/// Every property by its name.
pub const ALL: [(&str, Property); 6] = [
    ("configuration", configuration),
    ("cookies", cookies),
    ("importer", importer),
    ("matching", matching),
    ("records", records),
    ("requests", requests),
];

/// The folder of the inputs that once broke a property: a folder for each that has any.
pub const REGRESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/regressions");

/// The inputs kept for a property, each a file.
pub fn regressions(name: &str) -> Vec<PathBuf> {
    let folder = Path::new(REGRESSIONS).join(name);
    if !folder.exists() {
        return Vec::new();
    }
    let files = std::fs::read_dir(folder).expect("a folder");
    files.map(|file| file.expect("an entry").path()).collect()
}

/// The inputs number `range` of a fixed sequence, each up to 512 bytes.
pub fn sequence(range: std::ops::Range<u64>) -> impl Iterator<Item = Vec<u8>> {
    range.map(|number| {
        let mut random = fastrand::Rng::with_seed(number);
        let mut bytes = vec![0; random.usize(..=512)];
        random.fill(&mut bytes);
        bytes
    })
}
