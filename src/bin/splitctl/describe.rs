//! Conditions and keys in words, in the terms of the configuration.

use traffic_split::config::{Condition, KeySource, Operator, RuleSpec, Subject};
use traffic_split::{Missed, Step};

use crate::given::Given;

/// Elements of a list that are shown.
const SHOWN: usize = 5;

/// Why a rule does not match: what each entry asks first that the request does not have.
pub fn missed(rule: &RuleSpec, step: &Step<'_>, request: &Given) -> Vec<String> {
    let entry = |missed: &Missed| rule.entries.as_ref()?.get(missed.entry);
    let line = |missed: &Missed| {
        let condition = entry(missed)?.get(missed.condition)?;
        let seen = seen(&condition.subject, request);
        Some(format!(
            "match[{}]: {} must {}, but {seen}",
            missed.entry,
            name(condition),
            question(condition)
        ))
    };
    step.missed.iter().filter_map(line).collect()
}

/// Why a rule matches: what the first entry asks that the request meets.
pub fn met(rule: &RuleSpec, step: &Step<'_>, request: &Given) -> Vec<String> {
    let Some(entries) = &rule.entries else {
        return vec!["no match: every request".into()];
    };
    let Some((index, entry)) = step.met.and_then(|index| Some((index, entries.get(index)?))) else {
        return Vec::new();
    };
    let line = |condition: &Condition| {
        let seen = seen(&condition.subject, request);
        format!("match[{index}]: {} must {}, and {seen}", name(condition), question(condition))
    };
    entry.iter().map(line).collect()
}

/// Where a key was found.
pub fn source(source: &KeySource) -> String {
    match source {
        KeySource::Header(name) => format!("header {name}"),
        KeySource::Cookie(name) => format!("cookie {name}"),
        KeySource::QueryParam(name) => format!("query parameter {name}"),
        KeySource::SourceIp => "source address".into(),
    }
}

/// What a layer makes of a client.
pub fn layer(rule: &RuleSpec, step: &Step<'_>) -> Option<String> {
    let layer = rule.layer.as_ref()?;
    let slice = format!("slice [{}, {}] of the layer {}", layer.start, layer.end, layer.name);
    Some(match (step.position, &step.key) {
        (Some(position), Some(key)) if key.issued => {
            format!("{slice}: a new client's place is chance, here it is {position:.2}")
        }
        (Some(position), _) => format!("{slice}: the client is at {position:.2}"),
        (None, _) => format!("{slice}: the request has no key to tell clients apart"),
    })
}

/// Where a rule looks for keys.
pub fn sources(rule: &RuleSpec) -> String {
    let keys = rule.sticky.iter().flat_map(|sticky| &sticky.key);
    keys.map(source).collect::<Vec<_>>().join(", ")
}

fn name(condition: &Condition) -> String {
    match &condition.subject {
        Subject::Header(name) => format!("header {name}"),
        Subject::Cookie(name) => format!("cookie {name}"),
        Subject::QueryParam(name) => format!("query parameter {name}"),
        Subject::Path => "path".into(),
        Subject::Method => "method".into(),
        Subject::Authority => "authority".into(),
        Subject::SourceIp => "source address".into(),
    }
}

fn seen(subject: &Subject, request: &Given) -> String {
    let values = subject.values(request);
    let text = |value: &Vec<u8>| format!("{:?}", String::from_utf8_lossy(value));
    match values.as_slice() {
        [] => "it is absent".into(),
        values => format!("it is {}", values.iter().map(text).collect::<Vec<_>>().join(", ")),
    }
}

fn question(condition: &Condition) -> String {
    let not = if condition.not { "not " } else { "" };
    let case = if condition.ignore_case { " in any case" } else { "" };
    let asked = match &condition.operator {
        Operator::Exact(text) => format!("be {text:?}"),
        Operator::Prefix(text) => format!("begin with {text:?}"),
        Operator::Suffix(text) => format!("end with {text:?}"),
        Operator::Contains(text) => format!("contain {text:?}"),
        Operator::Regex(text) => format!("match the regex {text:?}"),
        Operator::In(texts) => {
            format!("be one of {}", list(texts.iter().map(|text| format!("{text:?}"))))
        }
        Operator::Range(start, end) => format!("be an integer in [{start}, {end})"),
        Operator::Present(true) => "be present".into(),
        Operator::Present(false) => "be absent".into(),
        Operator::Cidrs(cidrs) => {
            let cidrs = cidrs.iter().map(|cidr| format!("{}/{}", cidr.address, cidr.prefix));
            format!("be in {}", list(cidrs))
        }
    };
    format!("{not}{asked}{case}")
}

fn list(items: impl ExactSizeIterator<Item = String>) -> String {
    let more = items.len().saturating_sub(SHOWN);
    let mut text = items.take(SHOWN).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(" or {more} more"));
    }
    text
}
