//! Examples of what a condition is about: values that meet it, and values that it leaves out.

use std::collections::BTreeSet;
use std::net::IpAddr;

use regex_syntax::hir::{Class, Hir, HirKind};
use traffic_split::config::{Cidr, Condition, ConditionTest, Operator, Part};

use super::client::KEY;
use super::described::Described;

/// The most examples of one condition beside the first.
const MORE: usize = 8;

/// A setting of one part of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// The part is left as it is.
    Any,
    Value(Part, String),
    Without(Part),
    Source(IpAddr),
}

/// The values that a configuration compares parts with as a whole.
#[derive(Default)]
pub struct Operands(BTreeSet<(String, String)>);

impl Operands {
    pub fn add(&mut self, condition: &Condition) {
        let ConditionTest::Text { part, operator, .. } = &condition.test else { return };
        let values = match operator {
            Operator::Exact(text) => std::slice::from_ref(text),
            Operator::In(texts) => texts,
            _ => return,
        };
        self.0.extend(values.iter().map(|value| (part.to_string(), value.clone())));
    }

    fn has(&self, part: &Part, value: &str) -> bool {
        self.0.contains(&(part.to_string(), value.to_owned()))
    }
}

impl Setting {
    pub fn apply(&self, request: &mut Described) {
        match self {
            Setting::Any => {}
            Setting::Without(part) => request.without.push(part.clone()),
            Setting::Source(address) => request.source = Some(*address),
            Setting::Value(part, value) => {
                let pair = |name: &String| (name.clone(), value.clone());
                match part {
                    Part::Header(name) | Part::Property(name) => request.headers.push(pair(name)),
                    Part::Baggage(name) => request.baggage.push(pair(name)),
                    Part::Cookie(name) | Part::CookieAnyCase(name) => {
                        request.cookies.push(pair(name));
                    }
                    Part::QueryParam(name) => request.params.push(pair(name)),
                    Part::Path => request.path = Some(value.clone()),
                    Part::Method => request.method = Some(value.clone()),
                    Part::Authority => request.authority = Some(value.clone()),
                }
            }
        }
    }
}

/// The settings that a condition is about; the first one meets it. `is_key` says whether clients have
/// their key in its part; `other` has the values of the other configuration.
pub fn settings(condition: &Condition, is_key: bool, other: &Operands) -> Vec<Setting> {
    let (part, positive) = match &condition.test {
        ConditionTest::SourceIp(networks) => {
            (None, addresses(networks).into_iter().map(Setting::Source).collect())
        }
        ConditionTest::Text { part, operator, .. } => {
            (Some(part), texts(part, operator, is_key, other))
        }
    };
    let mut positive: Vec<Setting> = positive;
    if !condition.not {
        return positive;
    }
    let present = match &condition.test {
        ConditionTest::Text { operator: Operator::Present(present), .. } => Some(*present),
        _ => None,
    };
    let base = match (part, present) {
        (Some(part), Some(true)) => Setting::Without(part.clone()),
        (Some(part), Some(false)) => value(part, "1", is_key),
        _ => Setting::Any,
    };
    positive.truncate(2);
    positive.insert(0, base);
    positive
}

fn texts(part: &Part, operator: &Operator, is_key: bool, other: &Operands) -> Vec<Setting> {
    let key = if is_key { KEY } else { "" };
    let slash = |text: &str| if *part == Part::Path && !text.starts_with('/') { "/" } else { "" };
    let set = |text: String| Setting::Value(part.clone(), text);
    match operator {
        Operator::Exact(text) => vec![set(text.clone())],
        Operator::Prefix(text) | Operator::PathPrefix(text) => vec![set(format!("{text}{key}"))],
        Operator::Member(text) => vec![set(text.clone())],
        Operator::Suffix(text) | Operator::Contains(text) => {
            vec![set(format!("{}{key}{text}", slash(text)))]
        }
        Operator::Regex(regex) => {
            let examples = matching(regex);
            examples.into_iter().map(set).collect()
        }
        Operator::In(texts) => {
            let new = texts.iter().skip(1).filter(|text| !other.has(part, text)).take(MORE);
            texts.iter().take(1).chain(new).cloned().map(set).collect()
        }
        Operator::Range(range) => {
            vec![set(range.start.to_string()), set((range.end - 1).to_string())]
        }
        Operator::Present(true) => vec![value(part, "1", is_key)],
        Operator::Present(false) => vec![Setting::Without(part.clone())],
    }
}

/// Any value: where clients have their key in the part, the key is one.
fn value(part: &Part, text: &str, is_key: bool) -> Setting {
    match part {
        Part::Path | Part::Method => Setting::Any,
        _ if is_key => Setting::Any,
        part => Setting::Value(part.clone(), text.to_owned()),
    }
}

/// The first and the last address of each network, as far as they are few.
fn addresses(networks: &[Cidr]) -> Vec<IpAddr> {
    let ends = |network: &Cidr| match network.address {
        IpAddr::V4(address) => {
            let host = u32::MAX.checked_shr(network.prefix).unwrap_or(0);
            let bits = address.to_bits();
            [IpAddr::V4((bits & !host).into()), IpAddr::V4((bits | host).into())]
        }
        IpAddr::V6(address) => {
            let host = u128::MAX.checked_shr(network.prefix).unwrap_or(0);
            let bits = address.to_bits();
            [IpAddr::V6((bits & !host).into()), IpAddr::V6((bits | host).into())]
        }
    };
    let mut addresses: Vec<_> = networks.iter().take(MORE).flat_map(ends).collect();
    addresses.dedup();
    addresses
}

/// A text that matches a regular expression, for each of its alternatives.
fn matching(regex: &str) -> Vec<String> {
    // As the filter's engine reads it, whose classes and cases are those of ASCII.
    let mut parser = regex_syntax::ParserBuilder::new();
    let Ok(hir) = parser.unicode(false).utf8(false).build().parse(regex) else { return Vec::new() };
    let mut outer = &hir;
    while let HirKind::Capture(group) = outer.kind() {
        outer = &group.sub;
    }
    match outer.kind() {
        HirKind::Alternation(ways) => ways.iter().take(MORE).map(shortest).collect(),
        _ => vec![shortest(outer)],
    }
}

/// The shortest text that matches, with the first of the ways that are as good.
fn shortest(hir: &Hir) -> String {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => String::new(),
        HirKind::Literal(literal) => String::from_utf8_lossy(&literal.0).into_owned(),
        HirKind::Class(class) => one_of(class),
        HirKind::Repetition(repeated) => shortest(&repeated.sub).repeat(repeated.min as usize),
        HirKind::Capture(group) => shortest(&group.sub),
        HirKind::Concat(parts) => parts.iter().map(shortest).collect(),
        HirKind::Alternation(ways) => ways.first().map(shortest).unwrap_or_default(),
    }
}

/// A character of a class, a usual one if there is one.
fn one_of(class: &Class) -> String {
    const USUAL: &str = "a1/-_.xAb";
    let (first, has): (Option<char>, Box<dyn Fn(char) -> bool>) = match class {
        Class::Unicode(class) => (
            class.ranges().first().map(|range| range.start()),
            Box::new(|c| class.ranges().iter().any(|r| r.start() <= c && c <= r.end())),
        ),
        Class::Bytes(class) => (
            class.ranges().first().map(|range| char::from(range.start())),
            Box::new(|c| {
                let ranges = class.ranges().iter();
                ranges.map(|r| char::from(r.start())..=char::from(r.end())).any(|r| r.contains(&c))
            }),
        ),
    };
    let found = USUAL.chars().find(|c| has(*c)).or(first);
    found.map(String::from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_matches_is_found() {
        for (regex, texts) in [
            ("beta", &["beta"][..]),
            (".*bot.*", &["bot"]),
            ("(googlebot|bingbot)", &["googlebot", "bingbot"]),
            ("[0-9]{3}-x?", &["111-"]),
            ("(?i)ab+", &["ab"]),
            (r"/api/v\d+/(orders|carts)", &["/api/v1/orders"]),
            ("(", &[]),
        ] {
            assert_eq!(matching(regex), texts, "{regex}");
            let whole = |text: &String| {
                regex_lite::Regex::new(&format!("^(?:{regex})$")).unwrap().is_match(text)
            };
            assert!(matching(regex).iter().all(whole), "{regex}");
        }
    }

    #[test]
    fn the_ends_of_a_network_are_in_it() {
        let network = |address: &str, prefix| Cidr { address: address.parse().unwrap(), prefix };
        let shown = |networks: &[Cidr]| {
            addresses(networks).iter().map(IpAddr::to_string).collect::<Vec<_>>()
        };
        assert_eq!(shown(&[network("10.1.2.3", 8)]), ["10.0.0.0", "10.255.255.255"]);
        assert_eq!(shown(&[network("10.1.2.3", 32)]), ["10.1.2.3"]);
        assert_eq!(shown(&[network("0.0.0.0", 0)]), ["0.0.0.0", "255.255.255.255"]);
        assert_eq!(shown(&[network("fd00::", 127)]), ["fd00::", "fd00::1"]);
    }
}
