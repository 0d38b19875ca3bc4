//! Rules that divide the requests of one host by their path, and draw its clients apart.

use traffic_split::config::{ActionSpec, Condition, ConditionTest, Mode, Part, RuleSpec};

use super::Decided;

/// The other rules that send this client to another variant on other paths.
pub fn reasons(decided: &Decided<'_>) -> Vec<String> {
    let Some(key) = decided.sent_key().filter(|_| decided.is_hashed()) else { return Vec::new() };
    let rules = decided.checked.config.rules.iter().zip(decided.checked.plan.rules());
    let others = rules.filter(|(spec, _)| are_apart(decided.spec, spec, decided));
    let reason = |(spec, rule): (&RuleSpec, &traffic_split::Rule)| {
        let there = rule.assign(&decided.checked.snapshot, key).ok()?.name.as_str();
        (Some(there) != decided.variant).then(|| {
            format!(
                "the rule {} takes other paths of this host and has another salt: there the same key gives \
                 {there}. Where a client is to have one variant on all paths, give both rules the same \
                 `salt`",
                spec.name
            )
        })
    };
    others.filter_map(reason).collect()
}

fn are_apart(own: &RuleSpec, other: &RuleSpec, decided: &Decided<'_>) -> bool {
    let (Some(sticky), Some(others)) = (&own.sticky, &other.sticky) else { return false };
    let (Some(ActionSpec::Split(split)), Some(ActionSpec::Split(splits))) =
        (&own.action, &other.action)
    else {
        return false;
    };
    let common = split
        .weights
        .iter()
        .filter(|weight| splits.weights.iter().any(|known| known.variant == weight.variant));
    let by_hash = sticky.engine.is_none() && others.engine.is_none();
    let same_key = decided.key.is_some_and(|key| others.key.first() == Some(&key.source));
    own.name != other.name
        && other.mode == Mode::Enforce
        && by_hash
        && same_key
        && common.count() > 1
        && own.salt() != other.salt()
        && divides(own, other)
}

/// Whether two rules ask for the same in all but the path.
fn divides(own: &RuleSpec, other: &RuleSpec) -> bool {
    let all = [Vec::new()];
    let entries = |rule: &RuleSpec| rule.entries.clone().unwrap_or_else(|| all.to_vec());
    let others = entries(other);
    entries(own).iter().any(|entry| {
        others.iter().any(|known| {
            let (own, other) = (parts(entry), parts(known));
            own.1 == other.1 && own.0 != other.0
        })
    })
}

/// The tests of an entry, each with its `not`.
type Tests<'c> = Vec<(&'c ConditionTest, bool)>;

/// The conditions on the path, and the others.
fn parts(entry: &[Condition]) -> (Tests<'_>, Tests<'_>) {
    let tests = entry.iter().map(|condition| (&condition.test, condition.not));
    tests.partition(|(test, _)| matches!(test, ConditionTest::Text { part: Part::Path, .. }))
}
