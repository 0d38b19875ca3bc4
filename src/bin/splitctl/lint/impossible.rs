//! Conditions that no request meets, by the values that each part of a request can have when the filter
//! compares it.

use traffic_split::config::{Condition, ConditionTest, Operator, Part};

use super::operand::{Place, operand};
use super::{Finding, Lint, network, regex};

/// The elements of a list that are reported, of which the rest is alike.
const SHOWN: usize = 3;

/// Headers that Envoy removes before its filters run: they are for one connection alone (RFC 9110
/// section 7.6.1). `wasm-tests/tests/added_headers.rs` sends each of them.
const REMOVED: [&str; 2] = ["keep-alive", "proxy-connection"];

/// The warnings about a condition.
pub fn find(condition: &Condition) -> Vec<Finding> {
    let (part, operator, ignore_case) = match &condition.test {
        ConditionTest::SourceIp(cidrs) => {
            let empty = cidrs.iter().filter_map(|cidr| {
                let why = network::why_empty(cidr)?;
                Some(format!("{}/{} holds nobody: {why}", cidr.address, cidr.prefix))
            });
            let finding =
                |message| Finding::new(Lint::ImpossibleCondition, &condition.path, message);
            return empty.take(SHOWN).map(finding).collect();
        }
        ConditionTest::Text { part, operator, ignore_case } => (part, operator, *ignore_case),
    };
    let at = |name: &str| format!("{}.{name}", condition.path);
    let one = |name: &str, place, text: &str| {
        operand(part, place, text, ignore_case).map(|(lint, why)| Finding::new(lint, at(name), why))
    };
    if let Some(why) = absent(part, operator) {
        return vec![Finding::new(Lint::ImpossibleCondition, &condition.path, why)];
    }
    match operator {
        Operator::Exact(text) => one("exact", Place::Whole, text).into_iter().collect(),
        Operator::Prefix(text) => one("prefix", Place::Start, text).into_iter().collect(),
        Operator::PathPrefix(text) => one("pathPrefix", Place::Start, text).into_iter().collect(),
        Operator::Suffix(text) => one("suffix", Place::End, text).into_iter().collect(),
        Operator::Contains(text) => one("contains", Place::Inside, text).into_iter().collect(),
        Operator::Member(text) => one("member", Place::Inside, text).into_iter().collect(),
        Operator::In(texts) => {
            let texts = texts.iter().enumerate();
            let found = texts.filter_map(|(i, text)| one(&format!("in[{i}]"), Place::Whole, text));
            found.take(SHOWN).collect()
        }
        Operator::Regex(pattern) => {
            let found = regex::find(part, pattern, ignore_case).into_iter();
            found.map(|(lint, why)| Finding::new(lint, at("regex"), why)).collect()
        }
        Operator::Range(_) | Operator::Present(_) => Vec::new(),
    }
}

/// The reason why a part never is as asked, whatever the operand.
fn absent(part: &Part, operator: &Operator) -> Option<String> {
    if let Part::Header(name) = part
        && REMOVED.contains(&name.as_str())
    {
        return Some(format!("Envoy removes {name} before its filters run: it is always absent"));
    }
    match (part, operator) {
        (Part::Path, Operator::Range(_)) => {
            Some("a path begins with /, so it is no integer".into())
        }
        (Part::Method, Operator::Range(_)) => Some("a method is no integer".into()),
        (Part::Authority, Operator::Range(_)) => Some("a host is no integer".into()),
        (Part::Method | Part::Authority, Operator::Present(false)) => {
            Some(format!("every request has a {part}: Envoy refuses those without one"))
        }
        _ => None,
    }
}
