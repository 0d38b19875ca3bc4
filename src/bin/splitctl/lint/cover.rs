//! Rules that no request reaches, because earlier ones take all of theirs.

use traffic_split::config::{
    ActionSpec, Condition, ConditionTest, Config, Mode, Operator, Part, RuleSpec,
};

use super::network::are_within;
use super::text::Values;
use super::{Finding, Lint};

/// A rule's entries, each with its conditions. A rule without `match` has one entry without conditions.
struct Matched<'c> {
    rule: &'c RuleSpec,
    entries: Vec<Vec<Test<'c>>>,
}

/// A condition, ready to be compared with others.
struct Test<'c> {
    condition: &'c Condition,
    /// The values of a condition on a text.
    values: Option<Values<'c>>,
}

/// Finds the rules that can never decide. Rules in shadow take nothing, and are tried for every request.
pub fn unreachable(config: &Config) -> Vec<Finding> {
    let live = config.rules.iter().filter(|rule| rule.mode == Mode::Enforce);
    let rules: Vec<_> = live.map(Matched::new).collect();
    let mut found = Vec::new();
    for (place, later) in rules.iter().enumerate() {
        let earlier = rules.get(..place).unwrap_or_default();
        if let Some(takers) = takers(later, earlier) {
            let message = match takers.as_slice() {
                [one] => format!("it never decides: {one} takes all of its requests"),
                many => format!("it never decides: {} take all of its requests", many.join(", ")),
            };
            found.push(Finding::new(Lint::UnreachableRule, &later.rule.path, message));
        }
    }
    found
}

/// The first rule of the later plugin that takes all requests of a rule of the earlier one, for each of
/// those.
pub fn undone<'c>(earlier: &'c Config, later: &'c Config) -> Vec<(&'c RuleSpec, &'c RuleSpec)> {
    let live = |config: &'c Config| -> Vec<Matched<'c>> {
        let live = config.rules.iter().filter(|rule| rule.mode == Mode::Enforce);
        live.map(Matched::new).collect()
    };
    let (earlier, later) = (live(earlier), live(later));
    let of = |rule: &Matched<'c>| {
        let taker = later.iter().find(|taker| takers(rule, std::slice::from_ref(taker)).is_some());
        taker.map(|taker| (rule.rule, taker.rule))
    };
    earlier.iter().filter_map(of).collect()
}

/// The names of the rules that take all requests of a later one; `None` if some are left to it.
fn takers<'c>(later: &Matched<'_>, earlier: &[Matched<'c>]) -> Option<Vec<&'c str>> {
    let mut takers: Vec<&str> = Vec::new();
    for entry in &later.entries {
        let covering: Vec<_> = earlier.iter().filter(|rule| rule.covers(entry)).collect();
        let whole =
            covering.iter().find(|matched| matched.rule.layer.is_none() && is_total(matched.rule));
        let names: Vec<_> = match whole {
            Some(one) => vec![one.rule.name.as_str()],
            None => whole_layer(&covering)?,
        };
        takers.extend(names.into_iter().filter(|name| !takers.contains(name)).collect::<Vec<_>>());
    }
    Some(takers)
}

/// The rules of a layer whose slices take every client, each of whom has a key because they issue one.
fn whole_layer<'c>(covering: &[&Matched<'c>]) -> Option<Vec<&'c str>> {
    covering.iter().find_map(|first| {
        let layer = first.rule.layer.as_ref()?;
        let of_layer = |matched: &&&Matched<'c>| {
            let rule = matched.rule;
            let issues = rule.sticky.as_ref().is_some_and(|sticky| sticky.issue.is_some());
            rule.layer.as_ref().is_some_and(|it| it.name == layer.name) && issues && is_total(rule)
        };
        let rules: Vec<_> = covering.iter().filter(of_layer).map(|matched| matched.rule).collect();
        let taken: f64 =
            rules.iter().filter_map(|r| r.layer.as_ref()).map(|it| it.end - it.start).sum();
        (taken >= 100.0 - 1e-9).then(|| rules.iter().map(|rule| rule.name.as_str()).collect())
    })
}

/// Whether a rule decides about all requests that it matches, and that are in its slice. A flag engine
/// leaves clients to the next rule.
fn is_total(rule: &RuleSpec) -> bool {
    let has_engine = rule.sticky.as_ref().is_some_and(|sticky| sticky.engine.is_some());
    match &rule.action {
        Some(ActionSpec::Split(split)) if has_engine => split.otherwise.is_some(),
        action => action.is_some(),
    }
}

impl<'c> Matched<'c> {
    fn new(rule: &'c RuleSpec) -> Self {
        let entries = match &rule.entries {
            None => vec![Vec::new()],
            Some(entries) => entries.iter().map(|it| it.iter().map(Test::new).collect()).collect(),
        };
        Matched { rule, entries }
    }

    /// Whether every request that meets these conditions matches the rule.
    fn covers(&self, entry: &[Test<'_>]) -> bool {
        self.entries.iter().any(|own| {
            own.iter().all(|test| test.is_always_met() || entry.iter().any(|it| it.implies(test)))
        })
    }
}

impl<'c> Test<'c> {
    fn new(condition: &'c Condition) -> Self {
        let values = match &condition.test {
            ConditionTest::Text { part, operator, ignore_case } => {
                Some(Values::new(part, operator, *ignore_case))
            }
            ConditionTest::SourceIp(_) => None,
        };
        Test { condition, values }
    }

    fn is_always_met(&self) -> bool {
        !self.is_negated() && self.values.as_ref().is_some_and(Values::are_all)
    }

    fn is_negated(&self) -> bool {
        let absent = matches!(
            self.condition.test,
            ConditionTest::Text { operator: Operator::Present(false), .. }
        );
        self.condition.not != absent
    }

    /// Whether every request that meets this condition meets the other one.
    fn implies(&self, other: &Test<'_>) -> bool {
        let negated = (self.is_negated(), other.is_negated());
        match (&self.values, &other.values) {
            (Some(own), Some(others)) if own.part == others.part => match negated {
                (false, false) => own.are_within(others),
                (true, true) => others.are_within(own),
                // A header may have several values, one of which the other condition excludes.
                (false, true) => {
                    let has_one = matches!(
                        own.part,
                        Part::Path
                            | Part::Method
                            | Part::Cookie(_)
                            | Part::CookieAnyCase(_)
                            | Part::QueryParam(_)
                            | Part::Property(_)
                            | Part::Baggage(_)
                    );
                    has_one && own.exclude(others)
                }
                (true, false) => false,
            },
            (None, None) => match (&self.condition.test, &other.condition.test) {
                (ConditionTest::SourceIp(own), ConditionTest::SourceIp(others)) => match negated {
                    (false, false) => are_within(own, others),
                    (true, true) => are_within(others, own),
                    _ => false,
                },
                _ => false,
            },
            _ => false,
        }
    }
}
