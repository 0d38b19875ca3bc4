use super::*;
use crate::Plan;

fn names(metrics: &str) -> Vec<String> {
    let config = serde_json::json!({
        "variantHeader": "x-v", "metrics": metrics, "variants": { "a": {}, "b": {} },
        "rules": [
            { "name": "pin", "to": "a" },
            { "name": "try", "mode": "shadow", "to": "b" },
            { "name": "r", "split": { "a": 1 }, "sticky": { "key": [{ "cookie": "u" }] } }
        ]
    });
    compiled(&config)
}

fn compiled(config: &serde_json::Value) -> Vec<String> {
    let plan = Plan::compile(config.to_string().as_bytes(), &|_| None).unwrap();
    plan.metrics().iter().map(|metric| metric.name).collect()
}

#[test]
fn nothing_is_defined_that_cannot_be_counted() {
    assert!(names("off").is_empty());
    let counts = [
        "tsplit_unmatched_total",
        "what=.=value;.;tsplit_absent_total",
        "what=.=cookies;.;tsplit_absent_total",
        "what=.=key;.;tsplit_absent_total",
        "what=.=seal;.;tsplit_absent_total",
        "what=.=query;.;tsplit_absent_total",
        "what=.=search;.;tsplit_absent_total",
        "tsplit_config_generation",
        "tsplit_version",
        "rule=.=pin;.;variant=.=a;.;reason=.=pinned;.;tsplit_requests_total",
        "rule=.=try;.;variant=.=b;.;reason=.=shadow;.;tsplit_requests_total",
        "rule=.=try;.;variant=.=b;.;tsplit_shadow_changed_total",
        "rule=.=r;.;variant=.=a;.;tsplit_weight_ppm",
        "rule=.=r;.;variant=.=a;.;reason=.=sticky;.;tsplit_requests_total",
        "rule=.=r;.;variant=.=a;.;reason=.=random;.;tsplit_requests_total",
    ];
    assert_eq!(names("counts"), counts);
    let mut full = counts.map(str::to_owned).to_vec();
    for (at, rule) in [(10, "pin"), (22, "r")] {
        let tags = format!("rule=.={rule};.;variant=.=a;.;");
        let classes = ["2xx", "3xx", "4xx", "5xx", "reset"];
        let classes = classes.map(|c| format!("{tags}class=.={c};.;tsplit_responses_total"));
        let latency = format!("{tags}tsplit_response_time_ms");
        let aborted = format!("{tags}tsplit_aborted_total");
        full.splice(at..at, classes.into_iter().chain([aborted, latency]));
    }
    assert_eq!(names("full"), full);
}

#[test]
fn a_guards_gauge_is_that_of_the_watched_variant() {
    for (metrics, mode, gauges) in [
        ("off", "enforce", 0),
        ("counts", "enforce", 1),
        ("full", "enforce", 1),
        ("full", "shadow", 0),
    ] {
        let config = serde_json::json!({
            "variantHeader": "x-v", "metrics": metrics, "variants": { "a": {}, "b": {} },
            "rules": [{ "name": "r", "mode": mode, "split": { "a": 1, "b": 1 },
                "guard": { "watch": "b", "fallback": "a", "maxErrorRate": "5%" } }]
        });
        let names = compiled(&config);
        let gauge = |name: &&String| name.ends_with("tsplit_guard_tripped");
        assert_eq!(names.iter().filter(gauge).count(), gauges, "{metrics} {mode}");
        let named = |name: &String| name == "rule=.=r;.;variant=.=b;.;tsplit_guard_tripped";
        assert_eq!(names.iter().any(named), gauges == 1);
    }
}

#[test]
fn classes() {
    for (status, grpc, class) in [
        (200, None, Class::Success),
        (101, None, Class::Success),
        (304, None, Class::Redirect),
        (404, None, Class::ClientError),
        (503, None, Class::ServerError),
        (200, Some(0), Class::Success),
        (200, Some(14), Class::ServerError),
        (200, Some(5), Class::ClientError),
    ] {
        assert_eq!(Class::of(status, grpc), class, "{status} {grpc:?}");
    }
}
