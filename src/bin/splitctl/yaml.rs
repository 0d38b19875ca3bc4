//! Parts of a configuration as YAML on one line, for people to copy.

use traffic_split::config::Weight;

/// The words that YAML 1.1 reads as booleans or null.
const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];

/// Writes weights as YAML.
pub fn weights(weights: &[Weight]) -> String {
    let weight = |it: &Weight| format!("{}: {}", quoted(&it.variant), it.weight);
    format!("{{{}}}", weights.iter().map(weight).collect::<Vec<_>>().join(", "))
}

/// Writes a text as a YAML scalar that every reader takes for a string.
pub fn quoted(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { format!("{text:?}") }
}
