//! Conditions as written become matchers: operands are encoded, expressions compiled.

use regex_lite::{Regex, RegexBuilder};

use crate::config::{Condition, ConditionTest, Errors, Operator, Part};
use crate::limits;
use crate::matcher::{List, Matcher, Networks, Operand, Search, Test, Text};

/// The matcher of a condition; `None` if its regular expression is wrong, which `errors` then tells.
pub(super) fn compile(condition: Condition, errors: &mut Errors) -> Option<Matcher> {
    let Condition { path, test, not } = condition;
    Some(match test {
        ConditionTest::SourceIp(cidrs) => {
            Matcher { test: Test::SourceIp(Networks::new(&cidrs)), not }
        }
        ConditionTest::Text { part, operator, ignore_case } => {
            let not = not != (operator == Operator::Present(false));
            let text = text(&path, operator, ignore_case, errors)?;
            let test = match part {
                Part::Authority => Test::Host(text),
                part => Test::Text(part, text),
            };
            Matcher { test, not }
        }
    })
}

fn text(path: &str, operator: Operator, ignore_case: bool, errors: &mut Errors) -> Option<Text> {
    let operand = |text: String| Operand::new(&text, ignore_case);
    Some(match operator {
        Operator::Exact(text) => Text::Exact(operand(text)),
        Operator::Prefix(text) => Text::Prefix(operand(text)),
        Operator::PathPrefix(text) => {
            Text::PathPrefix(Operand::new(text.strip_suffix('/').unwrap_or(&text), ignore_case))
        }
        Operator::Suffix(text) => Text::Suffix(operand(text)),
        Operator::Contains(text) => Text::Contains(Search::new(&text, ignore_case)),
        Operator::In(texts) => Text::In(List::new(texts.iter().map(String::as_str), ignore_case)),
        Operator::Regex(pattern) => Text::Regex(regex(path, &pattern, ignore_case, errors)?),
        Operator::Range(range) => Text::Range(range),
        Operator::Present(_) => Text::Present,
    })
}

/// Compiled twice: alone, so that `a)|(b` is refused, and anchored, which is what matches. The anchor
/// goes to a line of its own if a comment (`(?x) a # b`) would swallow it.
fn regex(path: &str, pattern: &str, ignore_case: bool, errors: &mut Errors) -> Option<Regex> {
    let build = |pattern: &str| {
        RegexBuilder::new(pattern)
            .case_insensitive(ignore_case)
            .size_limit(limits::REGEX_PROGRAM_BYTES)
            .nest_limit(limits::REGEX_DEPTH)
            .build()
    };
    let anchored =
        || build(&format!("^(?:{pattern})$")).or_else(|_| build(&format!("^(?:{pattern}\n)$")));
    match build(pattern).and_then(|_| anchored()) {
        Ok(regex) => Some(regex),
        Err(error) => {
            errors.invalid(&format!("{path}.regex"), format!("{pattern:?}"), error);
            None
        }
    }
}
