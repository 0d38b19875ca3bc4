//! Archives and digests that depend on nothing but their content: no owner, no date.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};

/// A file of an archive.
pub struct File {
    /// Its path in the archive.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
    /// Whether it can be run.
    pub program: bool,
}

impl File {
    /// A file that is only read.
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        File { name: name.into(), bytes: bytes.into(), program: false }
    }
}

/// These files as a tar archive, in the order in which they are given.
///
/// # Errors
/// A path that does not fit into the archive.
pub fn tar(files: &[File]) -> Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    for file in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(file.bytes.len().try_into()?);
        header.set_mode(if file.program { 0o755 } else { 0o644 });
        header.set_mtime(0);
        builder.append_data(&mut header, &file.name, file.bytes.as_slice())?;
    }
    Ok(builder.into_inner()?)
}

/// Compresses bytes.
///
/// # Errors
/// None: they are written into memory.
pub fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

/// The files of a folder and its folders, in the order of their names, which begin with `prefix`.
///
/// # Errors
/// A file cannot be read.
pub fn files(folder: &Path, prefix: &str) -> Result<Vec<File>> {
    let mut paths: Vec<_> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        let name = path.file_name().and_then(|name| name.to_str()).context("a name of a file")?;
        let name = format!("{prefix}{name}");
        if path.is_dir() {
            found.append(&mut files(&path, &format!("{name}/"))?);
        } else {
            found.push(File::new(name, read(&path)?));
        }
    }
    Ok(found)
}

/// The content of a file.
///
/// # Errors
/// It cannot be read; the error names it.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| path.display().to_string())
}

/// The SHA-256 digest in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
