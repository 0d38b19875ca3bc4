//! Rules as a person would write them in YAML.

mod scalar;
mod wrap;

use super::arrange::Rule;
use super::form::{Action, Condition, Engine, Entry, Key, Part, Remark, Split, Test};
use super::names::Variants;
pub use scalar::text;
pub use wrap::{envoy, wasm_plugin};

/// What is written.
pub struct Draft {
    pub rules: Vec<Rule>,
    pub variants: Variants,
    /// The header with the variant's name.
    pub header: String,
    /// The remarks that belong to no rule.
    pub remarks: Vec<Remark>,
    /// The keys that make weights sticky (`--key`).
    pub keys: Vec<Key>,
}

/// Writes the configuration. With `clusters`, each variant has a cluster of its name.
pub fn configuration(draft: &Draft, clusters: bool) -> String {
    let mut out = comments(&draft.remarks, "");
    if clusters {
        out += "clusterHeader: x-split-cluster\n";
    }
    out += &format!("variantHeader: {}\n", text(&draft.header));
    out += &variants(draft, clusters);
    if draft.rules.is_empty() {
        return out + "rules: []\n";
    }
    out += "rules:\n";
    out + &draft.rules.iter().map(|it| rule(it, draft)).collect::<String>()
}

/// A line of a comment for each remark.
pub fn comments(remarks: &[Remark], indent: &str) -> String {
    remarks.iter().map(|it| format!("{indent}# {}\n", it.display())).collect()
}

fn variants(draft: &Draft, clusters: bool) -> String {
    let all = draft.variants.all().iter().map(|(_, name)| {
        let cluster = if clusters { format!(" cluster: {} ", text(name)) } else { String::new() };
        format!("{}: {{{cluster}}}", text(name))
    });
    let all: Vec<String> = all.collect();
    let line = format!("variants: {{ {} }}\n", all.join(", "));
    if line.len() <= LINE {
        return line;
    }
    format!("variants:\n{}", all.iter().map(|it| format!("  {it}\n")).collect::<String>())
}

/// The characters of a line.
const LINE: usize = 100;

fn rule(rule: &Rule, draft: &Draft) -> String {
    let mut out = comments(&rule.remarks, "");
    out += &format!("- name: {}\n", text(&rule.name));
    if !rule.entries.is_empty() {
        out += "  match:\n";
        out += &rule.entries.iter().map(entry).collect::<String>();
    }
    match &rule.action {
        Action::To(to) => out + &format!("  to: {}\n", text(draft.variants.name(to))),
        Action::Split(split) => out + &weights(split, draft) + &keeping(rule, split, draft),
    }
}

/// An entry of `match`: a line for each kind of part.
fn entry(entry: &Entry) -> String {
    let mut lines: Vec<String> = Vec::new();
    let single = |part: &Part| match part {
        Part::Authority => Some("authority"),
        Part::Path => Some("path"),
        Part::Method => Some("method"),
        _ => None,
    };
    for condition in entry {
        if let Some(name) = single(&condition.part) {
            lines.push(format!("{name}: {}", self::condition(condition)));
        }
    }
    type Kind = (&'static str, fn(&Part) -> Option<&String>);
    let kinds: [Kind; 3] = [
        ("headers", |part| if let Part::Header(name) = part { Some(name) } else { None }),
        ("queryParams", |part| if let Part::Query(name) = part { Some(name) } else { None }),
        ("cookies", |part| match part {
            Part::Cookie(name) | Part::CookieAnyCase(name) => Some(name),
            _ => None,
        }),
    ];
    for (kind, name_of) in kinds {
        let named = entry.iter().filter_map(|it| Some((name_of(&it.part)?, it)));
        let all: Vec<_> =
            named.map(|(name, it)| format!("{}: {}", text(name), condition(it))).collect();
        let line = format!("{kind}: {{ {} }}", all.join(", "));
        if all.is_empty() {
        } else if line.len() <= LINE {
            lines.push(line);
        } else {
            lines.push(format!("{kind}:\n      {}", all.join("\n      ")));
        }
    }
    lines
        .iter()
        .enumerate()
        .map(|(place, line)| format!("  {} {line}\n", if place == 0 { "-" } else { " " }))
        .collect()
}

fn condition(condition: &Condition) -> String {
    let list = |texts: &[String]| texts.iter().map(|it| text(it)).collect::<Vec<_>>().join(", ");
    let mut inner = match &condition.test {
        Test::Exact(it) => format!("exact: {}", text(it)),
        Test::Prefix(it) => format!("prefix: {}", text(it)),
        Test::PathPrefix(it) => format!("pathPrefix: {}", text(it)),
        Test::Suffix(it) => format!("suffix: {}", text(it)),
        Test::Contains(it) => format!("contains: {}", text(it)),
        Test::Regex(it) => format!("regex: {}", scalar::quoted(it)),
        Test::In(texts) => format!("in: [{}]", list(texts)),
        Test::Present(is) => format!("present: {is}"),
    };
    let has_case = !matches!(condition.test, Test::Present(_));
    let flags = [
        (condition.not, "not"),
        (condition.ignore_case && has_case, "ignoreCase"),
        (matches!(condition.part, Part::CookieAnyCase(_)), "ignoreNameCase"),
    ];
    for (_, flag) in flags.iter().filter(|(is, _)| *is) {
        inner += &format!(", {flag}: true");
    }
    format!("{{ {inner} }}")
}

fn weights(split: &Split, draft: &Draft) -> String {
    let one = |(to, weight): &(_, f64)| format!("{}: {weight}", text(draft.variants.name(to)));
    let all: Vec<String> = split.weights.iter().map(one).collect();
    match &split.engine {
        None => format!("  split: {{ {} }}\n", all.join(", ")),
        // An engine takes the variants in order.
        Some(_) => {
            let all: Vec<_> = all.iter().map(|it| format!("{{ {it} }}")).collect();
            format!("  split: [{}]\n", all.join(", "))
        }
    }
}

/// The fields that keep a client with its variant.
fn keeping(rule: &Rule, split: &Split, draft: &Draft) -> String {
    let mut out = String::new();
    match &split.engine {
        Some(engine) => {
            out += &format!("  sticky:\n    key: [ {} ]\n{}", key(&engine.key), settings(engine))
        }
        None if !draft.keys.is_empty() => {
            let keys: Vec<_> = draft.keys.iter().map(key).collect();
            let salt =
                rule.salt.as_ref().map_or(String::new(), |it| format!("    salt: {}\n", text(it)));
            out += &format!("  sticky:\n    key: [ {} ]\n{salt}", keys.join(", "));
        }
        None => {}
    }
    if let Some(seconds) = split.session {
        let age = seconds.map_or("session".to_owned(), duration);
        let cookie = text(&format!("split-{}", rule.name));
        out += &format!("  persist: {{ cookie: {cookie}, maxAge: {age} }}\n");
    }
    out
}

fn settings(engine: &Engine) -> String {
    let all: Vec<_> =
        engine.settings.iter().map(|(name, value)| format!("{name}: {}", text(value))).collect();
    let all = if all.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", all.join(", ")) };
    format!("    engine: {{ {}: {all} }}\n", engine.name)
}

fn key(key: &Key) -> String {
    match key {
        Key::Cookie(name) => format!("{{ cookie: {} }}", text(name)),
        Key::Header(name) => format!("{{ header: {} }}", text(name)),
        Key::Query(name) => format!("{{ queryParam: {} }}", text(name)),
        Key::SourceIp => "{ sourceIp: true }".to_owned(),
    }
}

/// Seconds in the largest unit that has them whole.
fn duration(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let unit = units.into_iter().find(|(length, _)| seconds.is_multiple_of(*length));
    unit.map_or(String::new(), |(length, unit)| format!("{}{unit}", seconds / length))
}
