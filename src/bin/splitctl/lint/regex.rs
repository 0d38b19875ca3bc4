//! Regular expressions that match less than they seem to, since they match whole values.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::literal::{ExtractKind, Extractor};
use traffic_split::config::Part;

use super::Lint;
use super::operand::{Place, operand};

/// Headers with sentences in them, of which hardly anybody means the whole.
const SENTENCES: [&str; 7] =
    ["accept", "accept-language", "cookie", "forwarded", "referer", "user-agent", "via"];

/// The warnings about a regular expression, each with its reason.
pub fn find(part: &Part, pattern: &str, ignore_case: bool) -> Vec<(Lint, String)> {
    let (start, rest) = flag(pattern, |p| p.strip_prefix('^'));
    let (end, inner) = flag(rest, |p| p.strip_suffix('$').filter(|p| !p.ends_with('\\')));
    if let Some(literals) = literals(inner) {
        let one = |text: &String| operand(part, Place::Whole, text, ignore_case);
        if let Some(found) = literals.iter().find_map(one) {
            return vec![found];
        }
        let is_sentence = matches!(part, Part::Header(name) if SENTENCES.contains(&name.as_str()));
        return match literals.as_slice() {
            [text] if !(start && end) && *part != Part::Method => {
                vec![whole(format!("it matches the whole value, so nothing but {text:?}"))]
            }
            [_, _, ..] if is_sentence && !(start && end) => {
                vec![whole("each alternative matches the whole value, and not a part of it".into())]
            }
            _ => Vec::new(),
        };
    }
    if let Some((_, why)) = impossible(part, pattern, ignore_case) {
        return vec![(Lint::ImpossibleCondition, format!("nothing matches it: {why}"))];
    }
    let open = |text: &str, by: &str| !text.contains(by) && !text.contains('|');
    if start && !end && open(inner, ".*") && open(inner, ".+") {
        return vec![whole("it has ^ and no $, and matches the whole value all the same".into())];
    }
    if end && !start && open(inner, ".*") && open(inner, ".+") {
        return vec![whole("it has $ and no ^, and matches the whole value all the same".into())];
    }
    Vec::new()
}

/// The lint of an expression if all that it matches begins, or all of it ends, as no value does.
fn impossible(part: &Part, pattern: &str, ignore_case: bool) -> Option<(Lint, String)> {
    let hir = ParserBuilder::new().unicode(false).utf8(false).build().parse(pattern).ok()?;
    let ends = [(ExtractKind::Prefix, Place::Start), (ExtractKind::Suffix, Place::End)];
    ends.into_iter().find_map(|(kind, place)| {
        let texts = Extractor::new().kind(kind).extract(&hir);
        let texts = texts.literals().filter(|texts| !texts.is_empty())?.iter().map(|text| {
            let place = if text.is_exact() { Place::Whole } else { place };
            let is_any = text.is_empty() && !text.is_exact();
            let text = std::str::from_utf8(text.as_bytes()).ok().filter(|_| !is_any)?;
            operand(part, place, text, ignore_case)
        });
        texts.collect::<Option<Vec<_>>>()?.into_iter().next()
    })
}

fn whole(why: String) -> (Lint, String) {
    (Lint::WholeRegex, why)
}

/// Whether a mark was there, and the text without it.
fn flag<'t>(text: &'t str, strip: impl Fn(&'t str) -> Option<&'t str>) -> (bool, &'t str) {
    strip(text).map_or((false, text), |rest| (true, rest))
}

/// The alternatives of an expression without anything to repeat or to choose from; `None` for others. A
/// single dot is taken for a dot, as its author most likely did.
fn literals(pattern: &str) -> Option<Vec<String>> {
    let grouped = pattern.strip_prefix("(?:").or_else(|| pattern.strip_prefix('('));
    let inner = grouped.and_then(|rest| rest.strip_suffix(')')).unwrap_or(pattern);
    let mut found = vec![String::new()];
    let mut chars = inner.chars().peekable();
    while let Some(c) = chars.next() {
        let literal = match c {
            '|' => {
                found.push(String::new());
                continue;
            }
            '\\' => chars.next().filter(|c| c.is_ascii_punctuation())?,
            '.' if chars.peek().is_some_and(|next| "*+?{".contains(*next)) => return None,
            '(' | ')' | '[' | ']' | '{' | '}' | '*' | '+' | '?' | '^' | '$' => return None,
            c => c,
        };
        found.last_mut()?.push(literal);
    }
    Some(found)
}
