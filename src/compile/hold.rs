//! A hold: one variant for every request that a rule matches, whatever the rules say.

use std::sync::Arc;

use super::Parts;
use crate::config::{Config, MetricsLevel, Mode};
use crate::metrics::Counted;
use crate::reason::Reason;
use crate::rule::{Action, Rule};
use crate::variant::Variant;

/// Has rules in shadow decide as well, if there is a hold: everyone whom a rule knows is held.
pub(super) fn enforce(config: &mut Config) {
    if config.hold.is_some() {
        config.mode = Mode::Enforce;
        config.rules.iter_mut().for_each(|rule| rule.mode = Mode::Enforce);
    }
}

/// The rules of a plan with a hold. Each has been compiled as ever, so that one that is wrong is
/// refused; the metrics, ramps and guards of its own stand still.
pub(super) fn hold(
    rules: Vec<Rule>,
    variant: &Arc<Variant>,
    level: MetricsLevel,
    parts: &mut Parts<'_>,
) -> Vec<Rule> {
    parts.metrics_level = level;
    parts.ramps.clear();
    parts.guards.iter_mut().for_each(|guard| guard.waits = true);
    rules.into_iter().map(|rule| held(rule, variant, parts)).collect()
}

fn held(rule: Rule, variant: &Arc<Variant>, parts: &mut Parts<'_>) -> Rule {
    let counted = Counted {
        rule: &rule.name,
        variant: Some(&variant.name),
        reasons: &[Reason::Hold],
        watched: false,
        weighed: false,
        assigned: false,
    };
    let target = parts.target(&rule.name, Arc::clone(variant), &counted, None);
    Rule { gate: None, key: None, action: Action::Hold(target), ..rule }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::plan::Plan;

    fn plan(hold: Option<&str>) -> Plan {
        let mut config = json!({
            "variantHeader": "x-v", "metrics": "full", "variants": { "stable": {}, "canary": {} },
            "rules": [
                { "name": "tried", "mode": "shadow", "to": "canary" },
                { "name": "rollout", "split": { "stable": 90, "canary": 10 },
                  "ramp": { "variant": "canary", "to": 50, "start": "2026-12-01T09:00:00Z",
                            "duration": "24h" },
                  "guard": { "watch": "canary", "fallback": "stable", "maxErrorRate": "5%" } }
            ]
        });
        if let Some(name) = hold {
            config["hold"] = Value::from(name);
        }
        Plan::compile(config.to_string().as_bytes(), &|_| None).unwrap()
    }

    /// Its records have the same names: the guard goes on where it stood.
    #[test]
    fn guards_wait_for_the_end_of_a_hold() {
        let (before, during) = (plan(None), plan(Some("stable")));
        assert_eq!(before.guards()[0].id(), during.guards()[0].id());
        assert!(!before.guards()[0].waits && during.guards()[0].waits);
        assert!(during.ramps.is_empty() && !during.shadows);
    }

    #[test]
    fn a_plan_with_a_hold_says_so_and_counts_what_is_held() {
        let plan = plan(Some("stable"));
        let expected = "hold stable, rules tried, rollout; generation ";
        assert_eq!(plan.to_string(), format!("{expected}{}", plan.generation()));
        let names: Vec<_> = plan.metrics().iter().map(|metric| metric.name).collect();
        let requests = names.iter().filter(|name| name.ends_with(";.;tsplit_requests_total"));
        let expected = ["tried", "rollout"].map(|rule| {
            format!("rule=.={rule};.;variant=.=stable;.;reason=.=hold;.;tsplit_requests_total")
        });
        assert!(requests.eq(&expected), "{names:?}");
        assert!(!names.iter().any(|name| name.ends_with("tsplit_weight_ppm")), "{names:?}");
    }
}
