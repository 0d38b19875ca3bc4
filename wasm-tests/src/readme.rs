//! `README.md`, as tests read it.

use anyhow::Result;
use std::fs;

/// The fenced blocks of a language.
pub fn blocks(language: &str) -> Result<Vec<String>> {
    let text = fs::read_to_string(crate::root().join("README.md"))?;
    let fenced = text.split("```").skip(1).step_by(2);
    let blocks = fenced.filter_map(|fenced| {
        let (name, text) = fenced.split_once('\n')?;
        (name == language).then(|| text.to_owned())
    });
    let blocks: Vec<_> = blocks.collect();
    anyhow::ensure!(!blocks.is_empty(), "no block of {language}");
    Ok(blocks)
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
