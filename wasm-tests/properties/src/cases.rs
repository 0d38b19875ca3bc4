//! Configurations that are taken.

use std::sync::LazyLock;

use serde_json::{Value, json};

/// The configuration of every case, and one with every feature.
pub(crate) static CONFIGURATIONS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let cases = [
        include_str!("../../cases/bytes.json"),
        include_str!("../../cases/conditions.json"),
        include_str!("../../cases/faults.json"),
        include_str!("../../cases/operators.json"),
        include_str!("../../cases/rules.json"),
        include_str!("../../cases/splits.json"),
    ];
    let read = |file: &&str| serde_json::from_str::<Vec<Value>>(file).expect("a list of cases");
    let configurations = cases.iter().flat_map(read).map(|case| case["config"].clone());
    configurations.chain([everything()]).collect()
});

/// A configuration with every feature.
fn everything() -> Value {
    let signing = json!({ "env": "KEYS" });
    let issue = json!({ "cookie": "x", "maxAge": "30d", "signing": signing });
    json!({
        "clusterHeader": "x-split-cluster",
        "variantHeader": "x-split-variant",
        "debugHeader": "x-split-debug",
        "metrics": "full",
        "variants": { "a": {"cluster": "to-a"}, "b": {"cluster": "to-b"}, "c": {"cluster": "to-c"} },
        "rules": [
            { "name": "tried", "mode": "shadow", "split": {"a": 1, "c": 1},
              "persist": { "cookie": "kept-2", "maxAge": "1h" },
              "sticky": { "issue": { "cookie": "y", "maxAge": "1h" } } },
            { "name": "pinned", "match": [ {"headers": {"x-user-group": {"regex": "(a|b)+"}}} ], "to": "c" },
            { "name": "list", "match": [ {"cookies": {"y": {"in": ["a", "b"], "ignoreCase": true}}} ], "to": "b" },
            { "name": "slice", "layer": "l", "slice": [0, 30], "to": "a", "sticky": {
                "key": [ {"cookie": "y"}, {"header": "x-user-id"} ], "issue": issue } },
            { "name": "kept", "match": [ {"headers": {"x-v": {"present": true}}} ],
              "split": {"a": 1, "b": 0}, "persist": { "cookie": "kept", "maxAge": "1h" } },
            { "name": "signed", "match": [ {"queryParams": {"x": {"range": {"start": -5, "end": 5}}}} ],
              "split": {"a": 1, "b": 2}, "persist": { "cookie": "sure", "maxAge": "1h", "signing": signing } },
            { "name": "ramped", "match": [ {"sourceIp": ["0.0.0.0/1", "::/1"]} ],
              "split": {"a": 75, "b": 25, "c": 0}, "sticky": { "key": [ {"header": "x-v"} ] },
              "ramp": { "variant": "c", "to": 50, "start": "2026-12-01T09:00:00Z", "duration": "24h", "steps": 3 },
              "guard": { "watch": "c", "fallback": "a", "maxErrorRate": "5%", "maxLatencyRatio": 2.5,
                         "minRequests": 10, "window": "10s", "cooldown": "1m" } },
            { "name": "rest", "split": {"a": 1, "b": 2, "c": 0},
              "history": [ {"a": 1}, {"a": 3, "gone": 1} ],
              "sticky": { "key": [ {"queryParam": "x"}, {"sourceIp": true} ], "issue": issue } }
        ]
    })
}
