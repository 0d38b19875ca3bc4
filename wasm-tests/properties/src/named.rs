//! Tests that data files name: `file::function`, or `file#NAME` for a request that begins so among the
//! cases.

use std::fs;
use std::path::{Path, PathBuf};

/// The folder of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The text of a file.
pub fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Whether there is such a test.
pub fn exists(test: &str) -> bool {
    let text = |file: &str| fs::read_to_string(root().join(file)).unwrap_or_default();
    match (test.split_once("::"), test.split_once('#')) {
        (Some((file, name)), _) => text(file).contains(&format!("fn {name}(")),
        (None, Some((file, row))) => {
            let text = text(file);
            text.contains(&format!("\"{row}: ")) || text.contains(&format!("\"{row}\""))
        }
        (None, None) => false,
    }
}
