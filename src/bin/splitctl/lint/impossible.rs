//! Conditions that no request meets, by the values that each part of a request can have when the filter
//! compares it.

use traffic_split::config::{Condition, ConditionTest, Operator, Part};

use super::{Finding, Lint, network, regex};

/// The elements of a list that are reported, of which the rest is alike.
const SHOWN: usize = 3;

/// The place of an operand in the values that it is compared with.
#[derive(Clone, Copy, PartialEq)]
pub enum Place {
    Whole,
    Start,
    Inside,
    End,
}

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

/// The lint of an operand that no value of the part has at this place, and the reason.
pub fn operand(part: &Part, place: Place, text: &str, ignore_case: bool) -> Option<(Lint, String)> {
    let impossible = |why: String| Some((Lint::ImpossibleCondition, why));
    if let Some(c) = text.chars().find(|c| c.is_ascii_control() && *c != '\t') {
        return impossible(format!("no value has {c:?}: Envoy refuses control characters"));
    }
    let is_blank = |c: char| c == ' ' || c == '\t';
    if matches!(place, Place::Whole | Place::Start) && text.starts_with(is_blank)
        || matches!(place, Place::Whole | Place::End) && text.ends_with(is_blank)
    {
        return impossible("no value begins or ends with a blank: values are trimmed".into());
    }
    let with = |wrong: &dyn Fn(char) -> bool| text.chars().find(|c| wrong(*c));
    match part {
        Part::Header(_) | Part::Property(_) | Part::Baggage(_) => None,
        Part::Path => match (place, with(&|c| c == '?' || c == '#'), with(&is_encoded)) {
            (_, Some('?'), _) => {
                impossible("a path ends before ?: ask for a parameter by queryParams".into())
            }
            (_, Some(_), _) => impossible("a path ends before #, which no client sends".into()),
            (_, None, Some(c)) => {
                impossible(format!("a path has {c:?} percent-encoded: {}", encoded(c)))
            }
            (Place::Whole, ..) if !text.starts_with('/') && text != "*" => {
                impossible("a path begins with /".into())
            }
            (Place::Start, ..) if !text.starts_with('/') && text != "*" => Some((
                Lint::PrefixWithoutSlash,
                "a path begins with /, so none begins like this".into(),
            )),
            _ => None,
        },
        Part::Method if text.is_empty() => impossible("a method is not empty".into()),
        Part::Method => match with(&|c| !is_token(c)) {
            Some(c) => {
                impossible(format!("a method has no {c:?}: give several in a list, with in"))
            }
            None if !ignore_case && text.bytes().any(|b| b.is_ascii_lowercase()) => Some((
                Lint::LowerCaseMethod,
                "methods are compared in their case, and are in capitals".into(),
            )),
            None => None,
        },
        Part::Authority => match with(&|c| !c.is_ascii() || " /?#*\\,\"<>".contains(c)) {
            _ if text.contains("://") => impossible("a host has no scheme before it".into()),
            Some('/' | '?' | '#') => {
                impossible("a host has no path behind it: that is path".into())
            }
            Some('*') => {
                impossible("a host has no *: for all below a domain, give suffix: .DOMAIN".into())
            }
            Some(',') => impossible("a host has no comma: give several in a list, with in".into()),
            Some(c) if !c.is_ascii() => {
                impossible(format!("a host has no {c:?}: clients send it in ASCII, as xn--…"))
            }
            Some(c) => impossible(format!("a host has no {c:?}")),
            None => None,
        },
        Part::Cookie(_) | Part::CookieAnyCase(_) => match with(&|c| c == ';' || c == ' ') {
            Some(';') => impossible("a cookie ends before ;".into()),
            Some(_) => {
                impossible("a cookie has no space: servers encode it, and it is not decoded".into())
            }
            None => None,
        },
        Part::QueryParam(_) => match with(&|c| c == '&' || c == '#' || is_encoded(c)) {
            Some('&') => impossible("a parameter ends before &".into()),
            Some('#') => impossible("a query ends before #".into()),
            Some(c) => impossible(format!(
                "a query has {c:?} percent-encoded, and it is not decoded: {}",
                encoded(c)
            )),
            None => None,
        },
    }
}

/// Whether no URL has this character as it is (RFC 3986 section 2).
fn is_encoded(c: char) -> bool {
    !c.is_ascii() || c == ' '
}

fn encoded(c: char) -> String {
    let mut bytes = [0; 4];
    c.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Whether a method may have it (RFC 9110 section 5.6.2).
fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}
