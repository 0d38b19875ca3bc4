//! Operands that no value has, by the part of the request that is compared.

use traffic_split::config::Part;

use super::Lint;

/// The place of an operand in the values that it is compared with.
#[derive(Clone, Copy, PartialEq)]
pub enum Place {
    Whole,
    Start,
    Inside,
    End,
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
