//! The time and the memory that a configuration costs to take, where they are notable.

use traffic_split::Plan;
use traffic_split::config::{ConditionTest, Config, Operator};

/// Milliseconds from which on a worker stalls notably.
const NOTABLE_MS: f64 = 50.0;

/// MiB from which on the memory is notable.
const NOTABLE_MIB: f64 = 16.0;

/// Measured in Envoy 1.40 on a shared core of 2.9 GHz: what each metric costs a VM, with Envoy's own
/// part, and each value of a list and each regular expression.
const OF_METRIC: (f64, f64) = (0.003, 0.00035);
const OF_VALUE: (f64, f64) = (0.0006, 0.0002);
const OF_REGEX: (f64, f64) = (0.05, 0.01);

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
