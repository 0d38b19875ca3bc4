//! Whether anything that a run writes into a request could be taken for the client's own by a second
//! run of it.

use crate::config::{
    ActionSpec, Condition, ConditionTest, Config, KeySource, Mode, Part, RuleSpec,
};
use crate::request::BAGGAGE;

/// Whether later runs of a request have to be told of the first: if a rule sets a cookie, or reads one
/// of the headers that the filter writes.
pub(super) fn matters(config: &Config) -> bool {
    let own = |part: &Part| match part {
        Part::Header(name) => {
            let own = [&config.cluster_header, &config.variant_header, &config.point_header];
            own.into_iter().flatten().any(|own| own == name) || config.baggage && name == BAGGAGE
        }
        _ => false,
    };
    let matters = |rule: &RuleSpec| sets_cookie(rule) || reads(rule, own);
    // A plan in shadow writes nothing.
    config.mode == Mode::Enforce && config.rules.iter().any(matters)
}

fn sets_cookie(rule: &RuleSpec) -> bool {
    let issues = rule.sticky.as_ref().is_some_and(|sticky| sticky.issue.is_some());
    let persist = |action: &ActionSpec| match action {
        ActionSpec::To(_) => false,
        ActionSpec::Split(split) => split.persist.is_some(),
        ActionSpec::Route(route) => route.persist.is_some(),
    };
    issues || rule.overrides.is_some() || rule.action.as_ref().is_some_and(persist)
}

fn reads(rule: &RuleSpec, own: impl Fn(&Part) -> bool) -> bool {
    let condition = |condition: &Condition| match &condition.test {
        ConditionTest::Text { part, .. } => own(part),
        ConditionTest::SourceIp(_) => false,
    };
    let key = |source: &KeySource| source.part().is_some_and(&own);
    rule.entries.iter().flatten().flatten().any(condition)
        || rule.sticky.iter().flat_map(|sticky| &sticky.key).any(key)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::plan::Plan;

    fn matters(mut rule: Value, mode: &str) -> bool {
        rule["name"] = "r".into();
        let config = json!({ "mode": mode, "clusterHeader": "x-c", "variantHeader": "x-v",
                             "variants": { "a": { "cluster": "a" } }, "rules": [rule] });
        Plan::compile(config.to_string().as_bytes(), &|_| None).unwrap().reruns_matter
    }

    /// A first run writes it where the configuration says so.
    #[test]
    fn baggage_is_an_own_header_only_where_it_is_written() {
        for baggage in [true, false] {
            let matches = json!([{ "headers": { "baggage": { "contains": "a" } } }]);
            let config = json!({ "variantHeader": "x-v", "baggage": baggage, "variants": { "a": {} },
                                 "rules": [{ "name": "r", "match": matches, "to": "a" }] });
            let plan = Plan::compile(config.to_string().as_bytes(), &|_| None).unwrap();
            assert_eq!(plan.reruns_matter, baggage);
        }
    }

    #[test]
    fn a_second_run_matters_where_a_cookie_is_set_or_an_own_header_is_read() {
        let cookie = json!({ "cookie": "c", "maxAge": "1h" });
        let header = |name: &str| json!([{ "headers": { name: { "exact": "a" } } }]);
        for (rule, expected) in [
            (json!({ "to": "a" }), false),
            (json!({ "split": { "a": 1 }, "sticky": { "key": [{ "cookie": "c" }] } }), false),
            (json!({ "split": { "a": 1 }, "sticky": { "issue": cookie } }), true),
            (json!({ "split": { "a": 1 }, "persist": cookie }), true),
            (
                json!({ "to": "a", "override": { "queryParam": "q", "cookie": "c", "maxAge": "1h",
                                              "variants": ["a"] } }),
                true,
            ),
            (json!({ "to": "a", "match": header("x-other") }), false),
            (json!({ "to": "a", "match": header("x-v") }), true),
            (json!({ "to": "a", "match": header("x-c") }), true),
            (json!({ "split": { "a": 1 }, "sticky": { "key": [{ "header": "x-v" }] } }), true),
        ] {
            assert_eq!(matters(rule.clone(), "enforce"), expected, "{rule}");
            assert!(!matters(rule, "shadow"), "a plan in shadow writes nothing");
        }
    }
}
