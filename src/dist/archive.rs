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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_folder_is_read_in_the_order_of_names() -> Result<()> {
        let folder = tempfile::tempdir()?;
        fs::create_dir(folder.path().join("b"))?;
        let names: Vec<_> = (0..40).map(|n| format!("{:02}", n * 7 % 40)).collect();
        for name in names.iter().map(String::as_str).chain(["b/2", "b/1", "a"]) {
            fs::write(folder.path().join(name), name)?;
        }
        let found = files(folder.path(), "x/")?;
        let found: Vec<_> = found.iter().map(|file| file.name.as_str()).collect();
        let mut expected: Vec<_> = names.iter().map(|name| format!("x/{name}")).collect();
        expected.sort();
        expected.extend(["x/a", "x/b/1", "x/b/2"].map(str::to_owned));
        assert_eq!(found, expected);
        Ok(())
    }

    #[test]
    fn an_archive_has_no_date_and_no_owner() -> Result<()> {
        let files =
            [File::new("read", "me"), File { program: true, ..File::new("folder/run", "it") }];
        let bytes = gzip(&tar(&files)?)?;
        // RFC 1952: four bytes of time, and the byte of the system.
        assert_eq!(bytes.get(4..8), Some(&[0; 4][..]));
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(bytes.as_slice()).read_to_end(&mut plain)?;
        let mut archive = tar::Archive::new(plain.as_slice());
        let mut modes = Vec::new();
        for entry in archive.entries()? {
            let mut entry = entry?;
            let header = entry.header();
            let owner = (header.as_old().uid, header.as_old().gid);
            assert_eq!((header.mtime()?, owner), (0, ([0; 8], [0; 8])));
            let mode = header.mode()?;
            let mut text = String::new();
            entry.read_to_string(&mut text)?;
            modes.push((entry.path()?.display().to_string(), mode, text));
        }
        let expected = [("read", 0o644, "me"), ("folder/run", 0o755, "it")];
        assert_eq!(modes, expected.map(|(name, mode, text)| (name.into(), mode, text.into())));
        Ok(())
    }
}
