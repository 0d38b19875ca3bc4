//! Conditions as written become matchers: operands are encoded, expressions compiled.

use crate::config::{Condition, ConditionTest, Errors, KeySource, Operator, Part, RuleSpec};
use crate::limits;
use crate::matcher::{List, Matcher, Networks, Operand, Search, Test, Text};
use crate::regex::Regex;

/// What the conditions of a configuration share that search values.
pub(super) struct Searches {
    /// The steps of each in a request.
    steps: u32,
    /// The states that may still be visited to make tables of expressions.
    effort: u32,
}

impl Searches {
    pub(super) fn of(rules: &[RuleSpec]) -> Self {
        let entries = rules.iter().filter_map(|rule| rule.entries.as_deref()).flatten();
        let searches = |condition: &&Condition| {
            let ConditionTest::Text { operator, .. } = &condition.test else { return false };
            matches!(operator, Operator::Regex(_) | Operator::Contains(_) | Operator::Member(_))
        };
        let count = u32::try_from(entries.flatten().filter(searches).count()).unwrap_or(u32::MAX);
        let steps = limits::SEARCH_STEPS.checked_div(count).unwrap_or(limits::SEARCH_STEPS);
        Searches { steps, effort: limits::REGEX_EFFORTS }
    }
}

/// Checks how much a configuration looks at that is read and made for each request.
pub(super) fn check_texts(rules: &[RuleSpec], errors: &mut Errors) {
    let conditions = rules.iter().flat_map(|rule| rule.entries.iter().flatten().flatten());
    let conditions = conditions.filter_map(|condition| match &condition.test {
        ConditionTest::Text { part, .. } => Some(part),
        ConditionTest::SourceIp(_) => None,
    });
    let keys = rules.iter().filter_map(|rule| rule.sticky.as_ref()).flat_map(|it| &it.key);
    let parts = conditions.chain(keys.filter_map(KeySource::part));
    let mut known: Vec<&Part> = Vec::new();
    for part in parts.filter(|part| matches!(part, Part::Property(_) | Part::Baggage(_))) {
        if !known.contains(&part) && known.len() <= limits::TEXTS {
            known.push(part);
        }
    }
    if known.len() > limits::TEXTS {
        let most = limits::TEXTS;
        let remedy = format!("more than {most} different metadata, filterState and baggage");
        errors.forbidden("rules", remedy);
    }
}

/// The matcher of a condition; `None` if its regular expression is wrong, which `errors` then tells.
pub(super) fn compile(
    condition: Condition,
    searches: &mut Searches,
    errors: &mut Errors,
) -> Option<Matcher> {
    let Condition { path, test, not } = condition;
    Some(match test {
        ConditionTest::SourceIp(cidrs) => {
            Matcher { test: Test::SourceIp(Networks::new(&cidrs)), not }
        }
        ConditionTest::Text { part, operator, ignore_case } => {
            let not = not != (operator == Operator::Present(false));
            let text = text(&path, (operator, ignore_case), searches, errors)?;
            let test = match part {
                Part::Authority => Test::Host(text),
                part => Test::Text(part, text),
            };
            Matcher { test, not }
        }
    })
}

fn text(
    path: &str,
    (operator, ignore_case): (Operator, bool),
    searches: &mut Searches,
    errors: &mut Errors,
) -> Option<Text> {
    let operand = |text: String| Operand::new(&text, ignore_case);
    Some(match operator {
        Operator::Exact(text) => Text::Exact(operand(text)),
        Operator::Prefix(text) => Text::Prefix(operand(text)),
        Operator::PathPrefix(text) => {
            Text::PathPrefix(Operand::new(text.strip_suffix('/').unwrap_or(&text), ignore_case))
        }
        Operator::Suffix(text) => Text::Suffix(operand(text)),
        Operator::Contains(text) => Text::Contains(Search::new(&text, ignore_case), searches.steps),
        Operator::Member(text) => Text::Member(operand(text), searches.steps),
        Operator::In(texts) => Text::In(List::new(texts.iter().map(String::as_str), ignore_case)),
        Operator::Regex(pattern) => match Regex::new(&pattern, ignore_case, &mut searches.effort) {
            Ok(regex) => Text::Regex(regex, searches.steps),
            Err(error) => {
                errors.invalid(&format!("{path}.regex"), format!("{pattern:?}"), error);
                return None;
            }
        },
        Operator::Range(range) => Text::Range(range),
        Operator::Present(_) => Text::Present,
    })
}
