//! The repository's documents, as tests read them.

use anyhow::Result;
use std::fs;

/// Every document, by its path.
pub const DOCUMENTS: [&str; 21] = [
    "README.md",
    "manifests/argo-rollouts/README.md",
    "manifests/chart/README.md",
    "manifests/engines/README.md",
    "manifests/envoy-gateway/README.md",
    "manifests/envoy.md",
    "manifests/flagger/README.md",
    "manifests/import/README.md",
    "manifests/istio/README.md",
    "manifests/istio/existing.md",
    "manifests/monitoring/README.md",
    "manifests/monitoring/experiments.md",
    "manifests/overlays/README.md",
    "src/changes.md",
    "src/configuration.md",
    "src/dist/releases.md",
    "src/jobs.md",
    "src/numbers.md",
    "src/security.md",
    "src/wire-contract.md",
    "wasm-tests/bench/README.md",
];

/// A fenced block.
pub struct Block {
    /// The document's path.
    pub document: &'static str,
    /// The word behind the opening fence.
    pub language: String,
    /// The lines between the fences.
    pub text: String,
}

/// The fenced blocks of every document.
pub fn all() -> Result<Vec<Block>> {
    let mut blocks = Vec::new();
    for document in DOCUMENTS {
        let text = fs::read_to_string(crate::root().join(document))?;
        let fenced = text.split("```").skip(1).step_by(2);
        blocks.extend(fenced.filter_map(|fenced| {
            let (language, text) = fenced.split_once('\n')?;
            Some(Block { document, language: language.into(), text: text.into() })
        }));
    }
    Ok(blocks)
}

/// The texts of the blocks of a language.
pub fn blocks(language: &str) -> Result<Vec<String>> {
    let mut blocks = all()?;
    blocks.retain(|block| block.language == language);
    anyhow::ensure!(!blocks.is_empty(), "no block of {language}");
    Ok(blocks.into_iter().map(|block| block.text).collect())
}

/// Without numbers, signs and the width of columns, which chance decides.
pub fn steady(text: &str) -> Vec<String> {
    let word = |word: &str| -> String {
        word.chars().filter(|c| !c.is_ascii_digit() && !"+-.,%".contains(*c)).collect()
    };
    let line = |line: &str| -> String {
        let words: Vec<_> = line.split_whitespace().map(word).collect();
        words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    };
    text.lines().map(line).filter(|line| !line.is_empty()).collect()
}
