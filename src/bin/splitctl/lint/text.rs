//! Conditions on texts as sets of values: which values they accept, and which sets hold which.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::HashSet;

use regex_lite::{Regex, RegexBuilder};
use traffic_split::config::{Operator, Part};

/// The values that a condition accepts, whether it is negated or not.
pub struct Values<'c> {
    pub part: &'c Part,
    operator: &'c Operator,
    ignore_case: bool,
    regex: OnceCell<Option<Regex>>,
    listed: OnceCell<HashSet<String>>,
}

impl<'c> Values<'c> {
    pub fn new(part: &'c Part, operator: &'c Operator, ignore_case: bool) -> Self {
        let (regex, listed) = (OnceCell::new(), OnceCell::new());
        Values { part, operator, ignore_case, regex, listed }
    }

    /// Whether every value that these accept is accepted by the others. `false` where nothing is known.
    pub fn are_within(&self, others: &Values<'_>) -> bool {
        if matches!(others.operator, Operator::Present(_)) {
            return true;
        }
        let fits = others.ignore_case || !self.ignore_case;
        if self.operator == others.operator && fits {
            return true;
        }
        if let (Operator::Range(inner), Operator::Range(outer)) = (self.operator, others.operator) {
            return outer.start <= inner.start && inner.end <= outer.end;
        }
        if let Some(values) = self.listed() {
            return values.iter().all(|value| (fits || is_caseless(value)) && others.accept(value));
        }
        let Some(text) = self.text().filter(|text| fits || is_caseless(text)) else { return false };
        let text = others.folded(text);
        let Some(other) = others.text() else { return false };
        let other = others.folded(other);
        let (text, other) = (&*text, &*other);
        match (self.operator, others.operator) {
            (Operator::Prefix(_), Operator::Prefix(_)) => text.starts_with(other),
            (Operator::Prefix(_), Operator::PathPrefix(_)) => {
                text.strip_prefix(other).is_some_and(|rest| rest.starts_with('/'))
            }
            (Operator::PathPrefix(_), Operator::Prefix(_)) => {
                text.starts_with(other) || text.is_empty() && other == "/"
            }
            (Operator::PathPrefix(_), Operator::PathPrefix(_)) => begins_path(text, other),
            (Operator::Suffix(_), Operator::Suffix(_)) => text.ends_with(other),
            (_, Operator::Contains(_)) => text.contains(other),
            _ => false,
        }
    }

    /// Whether no value is accepted by both. `false` where nothing is known.
    pub fn exclude(&self, others: &Values<'_>) -> bool {
        let fits = others.ignore_case || !self.ignore_case;
        let excluded = |value: &&str| (fits || is_caseless(value)) && !others.accept(value);
        self.listed().is_some_and(|values| values.iter().all(excluded))
    }

    /// Whether the part of the request that they are for always has one of them.
    pub fn are_all(&self) -> bool {
        matches!(
            (self.part, self.operator),
            (Part::Path, Operator::Prefix(text) | Operator::PathPrefix(text)) if text == "/"
        ) || matches!((self.part, self.operator), (Part::Method, Operator::Present(_)))
    }

    fn accept(&self, value: &str) -> bool {
        let (value, text) = (self.folded(value), self.text().unwrap_or_default());
        let text = self.folded(text);
        match self.operator {
            Operator::Exact(_) => value == text,
            Operator::Prefix(_) => value.starts_with(&*text),
            Operator::PathPrefix(_) => begins_path(&value, &text),
            Operator::Suffix(_) => value.ends_with(&*text),
            Operator::Contains(_) => value.contains(&*text),
            Operator::Member(text) => {
                let text = self.folded(text);
                value.split(',').any(|element| element.trim() == text)
            }
            Operator::Regex(pattern) => self.regex(pattern).is_some_and(|it| it.is_match(&value)),
            Operator::In(texts) => {
                let folded = || texts.iter().map(|text| self.folded(text).into_owned()).collect();
                self.listed.get_or_init(folded).contains(&*value)
            }
            Operator::Range(range) => {
                let signed = value.parse::<i64>().map(i128::from);
                let number = signed.or_else(|_| value.parse::<u64>().map(i128::from));
                number.is_ok_and(|number| range.contains(&number))
            }
            Operator::Present(_) => true,
        }
    }

    fn regex(&self, pattern: &str) -> Option<&Regex> {
        let build = || {
            let mut builder = RegexBuilder::new(&format!("^(?:{pattern})$"));
            builder.case_insensitive(self.ignore_case).build().ok()
        };
        self.regex.get_or_init(build).as_ref()
    }

    /// The values, if there are so many.
    fn listed(&self) -> Option<Vec<&'c str>> {
        match self.operator {
            Operator::Exact(text) => Some(vec![text]),
            Operator::In(texts) => Some(texts.iter().map(String::as_str).collect()),
            _ => None,
        }
    }

    /// The text that is compared; that of a path's segments is without the `/` at its end.
    fn text(&self) -> Option<&'c str> {
        match self.operator {
            Operator::Exact(text)
            | Operator::Prefix(text)
            | Operator::Suffix(text)
            | Operator::Contains(text) => Some(text),
            Operator::PathPrefix(text) => Some(text.strip_suffix('/').unwrap_or(text)),
            _ => None,
        }
    }

    fn folded<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.ignore_case {
            true => text.to_ascii_lowercase().into(),
            false => text.into(),
        }
    }
}

fn begins_path(path: &str, first: &str) -> bool {
    let rest = path.strip_prefix(first);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn is_caseless(text: &str) -> bool {
    !text.bytes().any(|b| b.is_ascii_alphabetic())
}
