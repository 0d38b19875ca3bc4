//! Archives and digests that depend on nothing but their content: no owner, no date.

use std::io::Write;

use anyhow::Result;
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

/// The SHA-256 digest in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
