//! The configurations and the request whose cost is counted and measured.

use anyhow::Result;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::bootstrap::POINT_HEADER;
use crate::host::Headers;
use crate::message::{self, Request};

/// The standard set, as in `bench/standard.json`: two pins that miss, then a sticky split on a
/// cookie, and a browser's request.
#[derive(Deserialize)]
pub struct Standard {
    /// The filter's configuration.
    pub configuration: Value,
    /// The request's headers.
    pub request: Vec<(String, String)>,
}

impl Standard {
    /// Reads it.
    pub fn read() -> Result<Self> {
        Ok(serde_json::from_str(include_str!("../bench/standard.json"))?)
    }

    /// The request as the module's host has it.
    pub fn headers(&self) -> Headers {
        let bytes = |text: &str| text.as_bytes().to_vec();
        self.request.iter().map(|(name, value)| (bytes(name), bytes(value))).collect()
    }

    /// The request as a client sends it.
    pub fn message(&self) -> Request {
        let of = |name: &str| {
            let found = self.request.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let named = self.request.iter().filter(|(name, _)| !name.starts_with(':'));
        let headers = named.map(|(n, v)| (n.clone(), message::Value(v.clone().into_bytes())));
        Request {
            method: of(":method"),
            path: of(":path"),
            authority: of(":authority"),
            headers: headers.collect(),
            ..Request::default()
        }
    }

    /// The same set with the weights in the route, whose entries the pins choose by their places.
    pub fn by_route(&self) -> Value {
        let mut rules = self.configuration["rules"].clone();
        rules[2]["split"] = "route".into();
        let variants = json!({ "canary": { "point": "last" }, "next": { "point": 80 } });
        json!({ "metrics": "off", "pointHeader": POINT_HEADER, "variants": variants, "rules": rules })
    }

    /// A configuration of `count` rules by exact headers, cookies and path prefixes in turn, which
    /// all miss, and last the standard split.
    pub fn rules(&self, count: usize) -> Value {
        let condition = |n: usize| match n % 3 {
            0 => json!({ "headers": { "x-tenant": { "exact": format!("tenant-{n}") } } }),
            1 => json!({ "cookies": { "group": { "exact": format!("group-{n}") } } }),
            _ => json!({ "path": { "prefix": format!("/service-{n}/") } }),
        };
        let pin =
            |n| json!({ "name": format!("rule-{n}"), "match": [condition(n)], "to": "canary" });
        self.with((0..count.saturating_sub(1)).map(pin))
    }

    /// A configuration with a rule that looks for a header in a list of `count` values, and the
    /// standard split.
    pub fn list(&self, count: usize) -> Value {
        let values: Vec<_> = (0..count).map(|n| format!("customer-{n}")).collect();
        self.customers(json!({ "in": values }))
    }

    /// The same configuration with a single value.
    pub fn exact(&self) -> Value {
        self.customers(json!({ "exact": "customer-0" }))
    }

    /// The standard set with its last split by the buckets of each flag engine, by the engine's name.
    pub fn engines(&self) -> Vec<(&'static str, Value)> {
        let with = |(name, weights, settings): (&'static str, [f64; 3], Value)| {
            let split: Value = ["stable", "canary", "next"]
                .into_iter()
                .zip(weights)
                .map(|(variant, weight)| json!({ variant: weight }))
                .collect();
            let mut configuration = self.configuration.clone();
            configuration["variants"]["next"] = json!({ "cluster": "next" });
            if let Some(rule) =
                configuration["rules"].as_array_mut().and_then(|rules| rules.last_mut())
            {
                rule["split"] = split;
                rule["otherwise"] = "stable".into();
                rule["sticky"] =
                    json!({ "key": rule["sticky"]["key"], "engine": { name: settings } });
            }
            (name, configuration)
        };
        let engines = [
            ("flagd", [80.0, 10.0, 10.0], json!({ "prefix": "checkout" })),
            (
                "growthbook",
                [0.8, 0.1, 0.1],
                json!({ "hashVersion": 2, "seed": "2f1c", "coverage": 0.8, "namespace": ["pricing", 0, 1] }),
            ),
            ("launchdarkly", [8e4, 1e4, 1e4], json!({ "flag": "checkout", "salt": "5f1e0c" })),
            ("nginx", [80.0, 10.0, 10.0], json!({ "suffix": "exp1" })),
            ("posthog", [80.0, 10.0, 10.0], json!({ "flag": "checkout" })),
            ("unleash", [800.0, 100.0, 100.0], json!({ "groupId": "checkout" })),
        ];
        engines.into_iter().map(with).collect()
    }

    fn customers(&self, operator: Value) -> Value {
        let matches = json!([{ "headers": { "dnt": operator } }]);
        self.with([json!({ "name": "customers", "match": matches, "to": "canary" })])
    }

    fn with(&self, rules: impl IntoIterator<Item = Value>) -> Value {
        let mut configuration = self.configuration.clone();
        let split = configuration["rules"].as_array().and_then(|rules| rules.last()).cloned();
        configuration["rules"] = rules.into_iter().chain(split).collect();
        configuration
    }
}
