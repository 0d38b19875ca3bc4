//! What of a plan happens only once there is a response.

use super::Plan;
use crate::config::MetricsLevel;
use crate::rule::Rule;

impl Plan {
    /// The paths of the fields that need the response: it carries cookies and the debug header, is
    /// counted and watched.
    pub(crate) fn response_fields(&self) -> impl Iterator<Item = String> {
        let whole = [
            (self.metrics_level == MetricsLevel::Full, "metrics"),
            (self.debug_header.is_some(), "debugHeader"),
        ];
        // What is only tried hands out nothing.
        let rules = self.rules.iter().enumerate().filter(|(_, rule)| !self.shadow && !rule.shadow);
        given(whole).map(str::to_owned).chain(rules.flat_map(|(index, rule)| {
            let names = rule.response_fields();
            names.map(move |name| format!("rules[{index}].{name}"))
        }))
    }
}

impl Rule {
    fn response_fields(&self) -> impl Iterator<Item = &'static str> {
        let allocation = self.allocation();
        given([
            (self.key.as_ref().is_some_and(|key| key.issue.is_some()), "sticky.issue"),
            (allocation.is_some_and(|allocation| allocation.persist.is_some()), "persist"),
            (allocation.is_some_and(|allocation| allocation.guard.is_some()), "guard"),
        ])
    }
}

fn given<const N: usize>(fields: [(bool, &'static str); N]) -> impl Iterator<Item = &'static str> {
    fields.into_iter().filter_map(|(given, name)| given.then_some(name))
}

#[cfg(test)]
mod tests {
    use crate::Plan;

    #[test]
    fn every_field_that_needs_the_response_is_named() {
        let config = serde_json::json!({
            "variantHeader": "x-v", "metrics": "full", "debugHeader": "x-d",
            "variants": { "a": {}, "b": {} },
            "rules": [
                { "name": "pin", "match": [{ "headers": { "x": { "exact": "1" } } }], "to": "a" },
                { "name": "split", "split": { "a": 1, "b": 1 },
                  "sticky": { "issue": { "cookie": "id", "maxAge": "1d" } },
                  "persist": { "cookie": "v", "maxAge": "1d" },
                  "guard": { "watch": "a", "fallback": "b", "maxErrorRate": "5%" } }
            ]
        });
        let compile = |config: serde_json::Value| {
            Plan::compile(config.to_string().as_bytes(), &|_| None).unwrap()
        };
        let mut plain = config.clone();
        let named: Vec<_> = compile(config).response_fields().collect();
        let rule = ["sticky.issue", "persist", "guard"].map(|name| format!("rules[1].{name}"));
        assert_eq!(named, [&["metrics".to_owned(), "debugHeader".to_owned()], &rule[..]].concat());
        plain["metrics"] = "counts".into();
        plain.as_object_mut().unwrap().remove("debugHeader");
        plain["rules"][1]["mode"] = "shadow".into();
        assert_eq!(compile(plain).response_fields().count(), 0);
    }
}
