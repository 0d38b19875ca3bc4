//! Rows of `faults.json` that are configurations to be refused.

use serde_json::json;
use traffic_split::Plan;

/// The errors of a configuration; empty if it is taken.
fn wrong(config: &str) -> String {
    Plan::compile(config.as_bytes(), &|_| None).err().map_or_else(String::new, |e| e.to_string())
}

/// Row 45: headers that the filter must never write.
#[test]
fn row_45_no_protected_header_is_written() {
    for name in [
        "host",
        "Host",
        ":path",
        ":status",
        ":method",
        ":authority",
        ":scheme",
        "x-envoy-anything",
        "X-Envoy-Original-Path",
        "x-forwarded-for",
        "x-request-id",
        "authorization",
        "cookie",
        "set-cookie",
        "content-length",
        "transfer-encoding",
        "connection",
        "te",
        "upgrade",
        "x-istio-attributes",
        "sec-fetch-site",
        "grpc-timeout",
        "origin",
        "via",
    ] {
        for field in ["clusterHeader", "variantHeader"] {
            let config = json!({ field: name, "variants": {}, "rules": [] }).to_string();
            assert!(wrong(&config).starts_with(&format!("{field}: Invalid value")), "{name}");
        }
    }
}

/// Row 30: weights that are none.
#[test]
fn row_30_weights_that_are_no_weights_are_refused() {
    for weights in [
        r#"{"a":0,"b":0}"#,
        r#"{"a":-1,"b":2}"#,
        r#"{"a":1e7}"#,
        r#"{"a":1e999}"#,
        r#"{"a":NaN}"#,
        r#"{"a":"1"}"#,
        r#"{"a":null}"#,
        "{}",
        r#"{"a":-0.0}"#,
    ] {
        let config = json!({ "variantHeader": "x-v", "variants": { "a": {}, "b": {} },
                             "rules": [{ "name": "r", "split": "WEIGHTS" }] });
        let config = config.to_string().replace("\"WEIGHTS\"", weights);
        let said = wrong(&config);
        let refused = said.starts_with("rules[0].split") || said.contains("not JSON");
        assert!(refused, "{weights}: {said}");
    }
}
