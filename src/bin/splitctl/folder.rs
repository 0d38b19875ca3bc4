//! The files of a folder that is given with `-f`.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// The configurations that a folder may have, by the ends of their files' names.
const ENDINGS: [&str; 3] = ["json", "yaml", "yml"];

/// The files of a folder and of those in it, in the order of their names; a file by itself.
pub fn files(path: &str) -> Result<Vec<String>> {
    let path = Path::new(path);
    if !path.is_dir() {
        return Ok(vec![path.display().to_string()]);
    }
    let (mut open, mut found) = (vec![path.to_owned()], Vec::new());
    while let Some(folder) = open.pop() {
        let entries =
            fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        for entry in entries {
            let (path, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
            let hidden =
                path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default();
            // A link to a folder could lead back to this one.
            match kind.is_dir() {
                _ if hidden => {}
                true => open.push(path),
                false if ENDINGS.contains(&ending) => found.push(path.display().to_string()),
                false => {}
            }
        }
    }
    found.sort();
    Ok(found)
}
