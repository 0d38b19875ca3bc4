//! The notes of a release: its part of the list of changes.

use anyhow::{Context, Result};

/// The text below the heading `## VERSION`, up to the next version. Its links, which lead on from the
/// folder `src` of the repository, lead to `source` at that version.
///
/// # Errors
/// No heading names the version.
pub fn of(changes: &str, version: &str, source: Option<&str>) -> Result<String> {
    let is_heading = |line: &&str| {
        let mut words = line.strip_prefix("## ").into_iter().flat_map(str::split_whitespace);
        words.next() == Some(version)
    };
    let after = changes.lines().skip_while(|line| !is_heading(line));
    let mut part = after.skip(1).take_while(|line| !line.starts_with("## ")).peekable();
    part.peek().with_context(|| format!("src/changes.md has no heading `## {version}`"))?;
    let text = part.collect::<Vec<_>>().join("\n");
    let text = match source {
        None => text,
        Some(source) => linked(&text, &format!("{source}/blob/v{version}")),
    };
    Ok(format!("{}\n", text.trim()))
}

fn linked(text: &str, base: &str) -> String {
    let mut parts = text.split("](");
    let mut linked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        linked.push_str("](");
        match part.strip_prefix("../") {
            _ if part.starts_with("https://") => linked.push_str(part),
            _ if part.starts_with('#') => linked.push_str(&format!("{base}/src/changes.md{part}")),
            Some(path) => linked.push_str(&format!("{base}/{path}")),
            None => linked.push_str(&format!("{base}/src/{part}")),
        }
    }
    linked
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGES: &str = "# Changes\n\n## What a version promises\n\nMuch.\n\n## 2.0.0 (not yet released)\n\n\
        - [b](../manifests/b.md), [c](wire-contract.md#c), [d](https://example.com), [e](#e).\n\n## 1.0.0 (2026-12-01)\n\n- Old.\n";

    #[test]
    fn a_version_has_its_own_part_alone() -> Result<()> {
        assert_eq!(of(CHANGES, "1.0.0", None)?, "- Old.\n");
        let source = Some("https://example.com/split");
        let linked = "- [b](https://example.com/split/blob/v2.0.0/manifests/b.md), \
             [c](https://example.com/split/blob/v2.0.0/src/wire-contract.md#c), [d](https://example.com), \
             [e](https://example.com/split/blob/v2.0.0/src/changes.md#e).\n";
        assert_eq!(of(CHANGES, "2.0.0", source)?, linked);
        let error = of(CHANGES, "1.0", None).map_err(|error| error.to_string());
        assert_eq!(error, Err("src/changes.md has no heading `## 1.0`".into()));
        Ok(())
    }

    #[test]
    fn this_version_has_notes() -> Result<()> {
        let notes = of(include_str!("../changes.md"), env!("CARGO_PKG_VERSION"), None)?;
        assert!(notes.starts_with("### ") && notes.lines().count() > 3, "{notes}");
        Ok(())
    }
}
