//! Conditions as written become matchers: operands are encoded, expressions compiled.

use regex_lite::{Regex, RegexBuilder};

use crate::config::{Condition, Errors, Operator, Subject};
use crate::limits;
use crate::matcher::{List, Matcher, Networks, Operand, Search, Test, Text};

pub(super) fn compile(condition: Condition, errors: &mut Errors) -> Option<Matcher> {
    let Condition { path, subject, operator, not, ignore_case } = condition;
    let not = not != (operator == Operator::Present(false));
    if let Operator::Cidrs(cidrs) = operator {
        return Some(Matcher { test: Test::SourceIp(Networks::new(&cidrs)), not });
    }
    let text = text(&path, operator, ignore_case, errors)?;
    let test = match subject {
        Subject::Header(name) => Test::Header(name, text),
        Subject::Cookie(name) => Test::Cookie(name, text),
        Subject::QueryParam(name) => Test::QueryParam(name, text),
        Subject::Path => Test::Path(text),
        Subject::Method => Test::Method(text),
        Subject::Authority => Test::Authority(text),
        Subject::SourceIp => return None,
    };
    Some(Matcher { test, not })
}

fn text(path: &str, operator: Operator, ignore_case: bool, errors: &mut Errors) -> Option<Text> {
    let operand = |text: String| Operand::new(&text, ignore_case);
    Some(match operator {
        Operator::Exact(text) => Text::Exact(operand(text)),
        Operator::Prefix(text) => Text::Prefix(operand(text)),
        Operator::Suffix(text) => Text::Suffix(operand(text)),
        Operator::Contains(text) => Text::Contains(Search::new(&text, ignore_case)),
        Operator::In(texts) => Text::In(List::new(texts.iter().map(String::as_str), ignore_case)),
        Operator::Regex(pattern) => Text::Regex(regex(path, &pattern, ignore_case, errors)?),
        Operator::Range(start, end) => Text::Range(start..end),
        Operator::Present(_) => Text::Present,
        Operator::Cidrs(_) => return None,
    })
}

/// Compiled twice: alone, so that `a)|(b` is refused, and anchored, which is what matches.
fn regex(path: &str, pattern: &str, ignore_case: bool, errors: &mut Errors) -> Option<Regex> {
    let build = |pattern: &str| {
        RegexBuilder::new(pattern)
            .case_insensitive(ignore_case)
            .size_limit(limits::REGEX_PROGRAM_BYTES)
            .nest_limit(limits::REGEX_DEPTH)
            .build()
    };
    match build(pattern).and_then(|_| build(&format!("^(?:{pattern})$"))) {
        Ok(regex) => Some(regex),
        Err(error) => {
            errors.invalid(&format!("{path}.regex"), format!("{pattern:?}"), error);
            None
        }
    }
}
