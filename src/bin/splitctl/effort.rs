//! The time and the memory that a configuration costs to take, where they are notable.

use traffic_split::Plan;
use traffic_split::config::{ConditionTest, Config, Operator};

/// Milliseconds from which on a worker stalls notably.
const NOTABLE_MS: f64 = 50.0;

/// MiB from which on the memory is notable.
const NOTABLE_MIB: f64 = 16.0;

/// Milliseconds and MiB of each metric, of each value of a list and of each regular expression, in one of
/// the VMs of Envoy 1.40: measured with 131,000, 42,000 and 1,000 of them.
const OF_METRIC: (f64, f64) = (0.0042, 0.000_28);
const OF_VALUE: (f64, f64) = (0.001, 0.000_14);
const OF_REGEX: (f64, f64) = (0.05, 0.004);

/// The cost in words; `None` where it is not notable.
pub fn told(config: &Config, plan: &Plan) -> Option<String> {
    let operators = || {
        let entries = config.rules.iter().filter_map(|rule| rule.entries.as_deref()).flatten();
        entries.flatten().filter_map(|condition| match &condition.test {
            ConditionTest::Text { operator, .. } => Some(operator),
            ConditionTest::SourceIp(_) => None,
        })
    };
    let values =
        operators().map(|operator| if let Operator::In(list) = operator { list.len() } else { 0 });
    let regexes = operators().filter(|operator| matches!(operator, Operator::Regex(_))).count();
    let parts =
        [(plan.metrics().count(), OF_METRIC), (values.sum(), OF_VALUE), (regexes, OF_REGEX)];
    let sum = |of: fn((f64, f64)) -> f64| -> f64 {
        parts.iter().map(|(count, costs)| *count as f64 * of(*costs)).sum()
    };
    let (ms, mib) = (sum(|costs| costs.0), sum(|costs| costs.1));
    let notable = ms >= NOTABLE_MS || mib >= NOTABLE_MIB;
    notable.then(|| format!("takes about {ms:.0} ms and {mib:.0} MiB in each VM"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, Value, json};

    fn of(rules: Value, metrics: &str) -> Option<String> {
        let variants: Map<_, _> = (0..16).map(|n| (format!("v{n}"), json!({}))).collect();
        let config = json!({ "variantHeader": "x-v", "metrics": metrics, "variants": variants, "rules": rules });
        let text = config.to_string();
        let plan = Plan::compile(text.as_bytes(), &|_| None).unwrap();
        told(&Config::parse(text.as_bytes()).unwrap(), &plan)
    }

    #[test]
    fn what_costs_much_is_told() {
        let split: Map<_, _> = (0..16).map(|n| (format!("v{n}"), json!(1))).collect();
        let splits = |count: usize| -> Value {
            (0..count).map(|n| json!({ "name": format!("r{n}"), "split": split })).collect()
        };
        assert_eq!(of(splits(10), "full"), None);
        assert_eq!(of(splits(1024), "off"), None);
        let most = of(splits(1024), "full");
        assert_eq!(most.as_deref(), Some("takes about 619 ms and 41 MiB in each VM"));
        let regex = |n| json!([{ "path": { "regex": format!("/{n}/.*") } }]);
        let rule = |n| json!({ "name": format!("r{n}"), "to": "v0", "match": regex(n) });
        let many = of((0..1024).map(rule).collect(), "off");
        assert_eq!(many.as_deref(), Some("takes about 51 ms and 4 MiB in each VM"));
    }
}
