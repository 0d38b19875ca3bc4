//! The licences of everything that the module or `splitctl` is linked from, as a text: they ask to go
//! along with what is shipped. Cargo knows the packages, and each brings its own texts.

use crate::packages::Packages;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The licences of what is linked for a target, as they stand in the packages.
///
/// # Errors
/// A package without a licence, or without its text.
pub fn text(target: &str) -> Result<String> {
    // Many packages have the same text, but for the line that names the holder.
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (id, package) in Packages::of(target)?.all {
        if !package.linked {
            continue;
        }
        let license = package.license.as_deref().with_context(|| format!("{id} has no licence"))?;
        let own = files(package.folder()?)?;
        ensure!(!own.is_empty() || package.is_root(), "{id} brings no text of its licence");
        for text in own {
            texts.entry(text).or_default().push(format!("{id} ({license})"));
        }
    }
    let text =
        |(text, names): (String, Vec<String>)| format!("{}\n\n{}\n", names.join("\n"), text.trim());
    let texts: Vec<_> = texts.into_iter().map(text).collect();
    Ok(format!("{HEAD}\n{}", texts.join(&format!("\n{}\n\n", "-".repeat(80)))))
}

const HEAD: &str = "The traffic-split filter and splitctl are under Apache-2.0. This is linked from these packages, and from Rust's standard library \
(MIT OR Apache-2.0).\n";

/// The texts of licences in a package, in the order of their names.
fn files(folder: &Path) -> Result<Vec<String>> {
    let mut paths: Vec<_> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.retain(|path| {
        let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_uppercase());
        let known = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE", "COPYRIGHT"];
        path.is_file() && name.is_some_and(|name| known.iter().any(|known| name.starts_with(known)))
    });
    paths.sort();
    let read =
        |path: &PathBuf| fs::read_to_string(path).with_context(|| path.display().to_string());
    paths.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::MODULE;

    #[test]
    fn every_package_that_the_module_is_linked_from_is_named() -> Result<()> {
        let text = text(MODULE)?;
        for (package, _) in Packages::of(MODULE)?.all.iter().filter(|(_, package)| package.linked) {
            let start = format!("{package} (");
            assert!(text.lines().any(|line| line.starts_with(&start)), "{package}");
        }
        let builds = |(name, package): &(&String, &crate::packages::Package)| {
            !package.linked && text.contains(&format!("{name} ("))
        };
        let packages = Packages::of(MODULE)?;
        assert_eq!(
            packages.all.iter().find(builds).map(|(name, _)| name),
            None,
            "it is not linked"
        );
        for phrase in ["Permission is hereby granted", "Apache License", "proxy-wasm 0.2"] {
            assert!(text.contains(phrase), "{phrase}");
        }
        assert_eq!(text, self::text(MODULE)?, "the same each time");
        Ok(())
    }

    #[test]
    fn a_text_of_a_licence_is_known_by_its_name() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let names = ["COPYING", "COPYRIGHT", "License-MIT", "LICENCE.md", "NOTICE", "UNLICENSE"];
        for name in names.iter().chain(&["README.md", "lib.rs"]) {
            fs::write(folder.path().join(name), name)?;
        }
        fs::create_dir(folder.path().join("LICENSES"))?;
        let mut expected = names;
        expected.sort_unstable();
        assert_eq!(files(folder.path())?, expected);
        Ok(())
    }

    #[test]
    fn every_package_that_splitctl_is_linked_from_brings_its_licence() -> Result<()> {
        for target in ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"] {
            assert!(text(target)?.contains("ring 0.17"), "{target}");
        }
        Ok(())
    }
}
