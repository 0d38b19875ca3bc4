//! `wasm-tests/security.json` has every sentence of `src/security.md` and of what README guarantees, and
//! every test that it names exists.

use properties::named::{exists, read};
use serde_json::{Map, Value};

const MAP: &str = "wasm-tests/security.json";
/// The sentences that no test can show, each with a reason: few.
const UNTESTED: usize = 6;

/// The documents, each from a heading on up to another one.
const DOCUMENTS: [(&str, &str, &str); 2] = [
    ("src/security.md", "# Security", "\n# "),
    ("README.md", "## What is guaranteed, and what is not", "\n## "),
];

/// The sentences of a text in Markdown: those of its paragraphs and lists, and each row of its tables.
fn sentences(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = text.lines().map(str::trim).peekable();
    let mut in_code = false;
    while let Some(line) = lines.next() {
        let is_fence = line.starts_with("```");
        in_code ^= is_fence;
        let is_rule = |line: &str| line.starts_with("|---");
        let is_head = line.starts_with('|') && lines.peek().is_some_and(|next| is_rule(next));
        if in_code || is_fence || is_head || line.is_empty() || line.starts_with('#') {
            continue;
        }
        match line.starts_with('|') {
            true if is_rule(line) => {}
            true => found.push(line.to_owned()),
            false => found.extend(split(line.strip_prefix("- ").unwrap_or(line))),
        }
    }
    found
}

/// A sentence ends where the next begins with a capital, or with a mark that text may begin with.
fn split(line: &str) -> Vec<String> {
    let mut sentences = vec![String::new()];
    let mut in_code = false;
    let mut chars = line.chars().peekable();
    let mut ended = false;
    while let Some(c) = chars.next() {
        let begins = |c: &char| c.is_uppercase() || "`[*(".contains(*c);
        if ended && c == ' ' && chars.peek().is_some_and(begins) {
            sentences.push(String::new());
        } else if let Some(sentence) = sentences.last_mut() {
            sentence.push(c);
        }
        in_code ^= c == '`';
        ended = !in_code && (".?!".contains(c) || ended && "*)\"'".contains(c));
    }
    sentences
}

/// The part of a document whose sentences are in the map.
fn part(file: &str, from: &str, to: &str) -> String {
    let text = read(file);
    let start = text.find(from).unwrap_or_else(|| panic!("{file} has no {from}"));
    let text = &text[start + from.len()..];
    text[..text.find(to).unwrap_or(text.len())].to_owned()
}

fn map() -> Value {
    serde_json::from_str(&read(MAP)).expect("JSON")
}

#[test]
fn every_sentence_has_its_tests() {
    let map = map();
    let mut wrong = Vec::new();
    for (file, from, to) in DOCUMENTS {
        let known = map[file].as_object().cloned().unwrap_or_default();
        let sentences = sentences(&part(file, from, to));
        for sentence in sentences.iter().filter(|it| !known.contains_key(*it)) {
            let line = Value::from(sentence.as_str());
            wrong.push(format!("add to {file:?}:\n    {line}: [\"FILE::TEST that proves it\"],"));
        }
        for sentence in known.keys().filter(|it| !sentences.contains(it)) {
            wrong.push(format!("take out of {file:?}, which does not say so:\n    {sentence:?}"));
        }
    }
    assert!(wrong.is_empty(), "{MAP}\n{}", wrong.join("\n"));
}

/// A list of tests, or the reason why no test can show it.
#[test]
fn every_test_exists() {
    let map = map();
    let documents = map.as_object().cloned().unwrap_or_default();
    let sentences = documents.values().filter_map(Value::as_object).flat_map(Map::iter);
    let mut untested = 0;
    let mut wrong = Vec::new();
    for (sentence, tests) in sentences {
        match tests {
            Value::String(reason) if !reason.is_empty() => untested += 1,
            Value::Array(tests) if !tests.is_empty() => {
                let missing = tests.iter().filter(|test| !test.as_str().is_some_and(exists));
                wrong.extend(missing.map(|test| format!("there is no {test}: {sentence:?}")));
            }
            _ => wrong.push(format!("give a test, or a reason why there is none: {sentence:?}")),
        }
    }
    assert!(wrong.is_empty(), "{MAP}\n{}", wrong.join("\n"));
    assert!(untested <= UNTESTED, "{untested} sentences without a test, more than {UNTESTED}");
}

#[test]
fn a_sentence_ends_where_it_ends() {
    let text = "# Head\n\nOne, `a.b`: [two](x.md). **Three.** Four (5.6 KiB). It is 4.1 `X. Y` long.\n\n\
                | head |\n|---|\n| a. B |\n\n```rust\nNo. Code.\n```\n- Last";
    let expected = [
        "One, `a.b`: [two](x.md).",
        "**Three.**",
        "Four (5.6 KiB).",
        "It is 4.1 `X. Y` long.",
        "| a. B |",
        "Last",
    ];
    assert_eq!(sentences(text), expected);
    assert!(!exists("wasm-tests/properties/tests/security.rs::no_such_test"));
    assert!(!exists("wasm-tests/no-such-file.rs::main") && !exists("main"));
}
