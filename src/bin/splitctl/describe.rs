//! Conditions, layers and keys in words, by the names of the configuration.

use traffic_split::config::{Condition, ConditionTest, KeySource, Operator, RuleSpec};
use traffic_split::{HeaderList, Missed, Step};

use crate::explain::sent;

/// The elements of a list that are shown.
const SHOWN: usize = 5;

/// Why a rule does not match: the first condition of each entry that the request does not meet.
pub fn missed(rule: &RuleSpec, step: &Step<'_>, request: &HeaderList) -> Vec<String> {
    let entry = |missed: &Missed| rule.entries.as_ref()?.get(missed.entry);
    let line = |missed: &Missed| {
        let condition = entry(missed)?.get(missed.condition)?;
        let seen = seen(condition, request);
        Some(format!(
            "match[{}]: {} must {}, but {seen}",
            missed.entry,
            name(condition),
            question(condition)
        ))
    };
    step.missed.iter().filter_map(line).collect()
}

/// Why a rule matches: the conditions of the first entry that the request meets.
pub fn met(rule: &RuleSpec, step: &Step<'_>, request: &HeaderList) -> Vec<String> {
    let Some(entries) = &rule.entries else {
        return vec!["no match: every request".into()];
    };
    let Some((index, entry)) = step.met.and_then(|index| Some((index, entries.get(index)?))) else {
        return Vec::new();
    };
    let line = |condition: &Condition| {
        let seen = seen(condition, request);
        format!("match[{index}]: {} must {}, and {seen}", name(condition), question(condition))
    };
    entry.iter().map(line).collect()
}

/// The client's position in the rule's layer.
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

/// The places where a rule looks for a key.
pub fn sources(rule: &RuleSpec) -> String {
    let keys = rule.sticky.iter().flat_map(|sticky| &sticky.key);
    keys.map(KeySource::to_string).collect::<Vec<_>>().join(", ")
}

fn name(condition: &Condition) -> String {
    match &condition.test {
        ConditionTest::Text { part, .. } => part.to_string(),
        ConditionTest::SourceIp(_) => KeySource::SourceIp.to_string(),
    }
}

fn seen(condition: &Condition, request: &HeaderList) -> String {
    let text = |value: &[u8]| format!("{:?}", String::from_utf8_lossy(value));
    let values: Vec<String> = match &condition.test {
        ConditionTest::Text { part, .. } => part.values(request).into_iter().map(text).collect(),
        ConditionTest::SourceIp(_) => request.source.iter().map(|ip| format!("\"{ip}\"")).collect(),
    };
    let otherwise = match &condition.test {
        ConditionTest::Text { part, .. } => sent::in_other_case(part, request),
        ConditionTest::SourceIp(_) => None,
    };
    match values.as_slice() {
        [] => match otherwise {
            Some(other) => format!("it is absent; {other} is another one: a name has a case"),
            None => "it is absent".into(),
        },
        values => format!("it is {}", values.join(", ")),
    }
}

fn question(condition: &Condition) -> String {
    let not = if condition.not { "not " } else { "" };
    match &condition.test {
        ConditionTest::SourceIp(cidrs) => {
            let cidrs = cidrs.iter().map(|cidr| format!("{}/{}", cidr.address, cidr.prefix));
            format!("{not}be in {}", list(cidrs))
        }
        ConditionTest::Text { operator, ignore_case, .. } => {
            let case = if *ignore_case { " in any case" } else { "" };
            format!("{not}{}{case}", asked(operator))
        }
    }
}

fn asked(operator: &Operator) -> String {
    match operator {
        Operator::Exact(text) => format!("be {text:?}"),
        Operator::Prefix(text) => format!("begin with {text:?}"),
        Operator::PathPrefix(text) => format!("have the path prefix {text:?}"),
        Operator::Suffix(text) => format!("end with {text:?}"),
        Operator::Contains(text) => format!("contain {text:?}"),
        Operator::Member(text) => format!("have the member {text:?}"),
        Operator::Regex(text) => format!("match the regex {text:?}"),
        Operator::In(texts) => {
            format!("be one of {}", list(texts.iter().map(|text| format!("{text:?}"))))
        }
        Operator::Range(range) => format!("be an integer in [{}, {})", range.start, range.end),
        Operator::Present(true) => "be present".into(),
        Operator::Present(false) => "be absent".into(),
    }
}

fn list(items: impl ExactSizeIterator<Item = String>) -> String {
    let more = items.len().saturating_sub(SHOWN);
    let mut text = items.take(SHOWN).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(" or {more} more"));
    }
    text
}
