//! Every bound of the filter, kept to and gone beyond by one.

use serde_json::{Map, Value, json};
use traffic_split::{Plan, limits};

fn env(name: &str) -> Option<String> {
    let key = |bytes| "k".repeat(bytes);
    match name {
        "KEYS" => Some(vec![key(limits::SIGNING_KEY_BYTES); limits::SIGNING_KEYS].join(",")),
        "MANY" => Some(vec![key(limits::SIGNING_KEY_BYTES); limits::SIGNING_KEYS + 1].join(",")),
        "SHORT" => Some(key(limits::SIGNING_KEY_BYTES - 1)),
        _ => None,
    }
}

/// The errors of a configuration; empty if it is taken.
fn wrong(config: &str) -> String {
    Plan::compile(config.as_bytes(), &env).err().map_or_else(String::new, |e| e.to_string())
}

fn with(rules: Value) -> Value {
    json!({ "variantHeader": "x-v", "variants": { "a": {}, "b": {} }, "rules": rules })
}

/// One rule with these fields.
fn rule(fields: Value) -> Value {
    let mut rule = json!({ "name": "r" });
    if let (Some(rule), Value::Object(fields)) = (rule.as_object_mut(), fields) {
        rule.extend(fields);
    }
    with(json!([rule]))
}

fn matching(condition: Value) -> Value {
    rule(json!({ "to": "a", "match": [{ "headers": { "x": condition } }] }))
}

fn sticky(sticky: Value) -> Value {
    rule(json!({ "split": { "a": 1 }, "sticky": sticky }))
}

fn issuing(name: &str, max_age: &str) -> Value {
    json!({ "issue": { "cookie": name, "maxAge": max_age } })
}

fn named(count: usize, value: &Value) -> Value {
    Value::Object((0..count).map(|n| (format!("n{n}"), value.clone())).collect::<Map<_, _>>())
}

fn list(count: usize, each: impl Fn(usize) -> Value) -> Value {
    (0..count).map(each).collect()
}

/// A configuration of so many, or of so many bytes.
type Sized = fn(usize) -> Value;

const SIZED: [(&str, usize, Sized); 26] = [
    ("RULES", limits::RULES, |n| with(list(n, |i| json!({ "name": format!("r{i}"), "to": "a" })))),
    (
        "VARIANTS",
        limits::VARIANTS,
        |n| json!({ "variantHeader": "x-v", "variants": named(n, &json!({})), "rules": [] }),
    ),
    // Any object: here one that has nothing to do there, but is read.
    (
        "FIELDS",
        limits::FIELDS,
        |n| json!({ "variantHeader": "x-v", "variants": named(n, &json!({})), "rules": [] }),
    ),
    ("SPLIT_VARIANTS", limits::SPLIT_VARIANTS, |n| {
        json!({ "variantHeader": "x-v", "variants": named(n, &json!({})),
                "rules": [{ "name": "r", "split": named(n, &json!(1)) }] })
    }),
    ("MATCH_ENTRIES", limits::MATCH_ENTRIES, |n| {
        rule(json!({ "to": "a", "match": list(n, |_| json!({ "path": { "exact": "/" } })) }))
    }),
    ("CONDITIONS", limits::CONDITIONS, |n| {
        rule(json!({ "to": "a", "match": [{ "headers": named(n, &json!({ "exact": "a" })) }] }))
    }),
    ("CONDITIONS of several kinds", limits::CONDITIONS, |n| {
        let headers = named(n - 1, &json!({ "exact": "a" }));
        rule(json!({ "to": "a", "match": [{ "headers": headers, "path": { "exact": "/" } }] }))
    }),
    ("KEY_SOURCES", limits::KEY_SOURCES, |n| {
        sticky(json!({ "key": list(n, |i| json!({ "cookie": format!("c{i}") })) }))
    }),
    ("JSON_NAMES", limits::JSON_NAMES, |n| {
        sticky(json!({ "key": [{ "cookie": "c", "json": vec!["a"; n].join(".") }] }))
    }),
    ("NO_IDENTITIES", limits::NO_IDENTITIES, |n| {
        sticky(json!({ "key": [{ "cookie": "c" }], "ignore": list(n, |i| json!(i.to_string())) }))
    }),
    ("LIST", limits::LIST, |n| matching(json!({ "in": list(n, |i| json!(i.to_string())) }))),
    ("LIST of networks", limits::LIST, |n| {
        let networks = list(n, |i| json!(format!("10.{}.{}.0/24", i / 256, i % 256)));
        rule(json!({ "to": "a", "match": [{ "sourceIp": networks }] }))
    }),
    ("NAME_BYTES", limits::NAME_BYTES, |n| with(json!([{ "name": "r".repeat(n), "to": "a" }]))),
    (
        "NAME_BYTES of a variant",
        limits::NAME_BYTES,
        |n| json!({ "variantHeader": "x-v", "variants": { "v".repeat(n): {} }, "rules": [] }),
    ),
    (
        "CLUSTER_BYTES",
        limits::CLUSTER_BYTES,
        |n| json!({ "clusterHeader": "x-c", "variants": { "a": { "cluster": "c".repeat(n) } }, "rules": [] }),
    ),
    ("TEXT_BYTES", limits::TEXT_BYTES, |n| matching(json!({ "exact": "x".repeat(n) }))),
    ("TEXT_BYTES of a salt", limits::TEXT_BYTES, |n| {
        sticky(json!({ "key": [{ "cookie": "c" }], "salt": "s".repeat(n) }))
    }),
    ("TEXT_BYTES of a header's name", limits::TEXT_BYTES, |n| {
        let headers = json!({ "h".repeat(n): { "exact": "a" } });
        rule(json!({ "to": "a", "match": [{ "headers": headers }] }))
    }),
    ("REGEX_BYTES", limits::REGEX_BYTES, |n| matching(json!({ "regex": "r".repeat(n) }))),
    ("REGEXES", limits::REGEXES, |n| {
        let entry = |i| json!({ "path": { "regex": format!("/{i}") } });
        let each = |i: usize| {
            let entries = list(n.saturating_sub(i * 64).min(64), entry);
            json!({ "name": format!("r{i}"), "to": "a", "match": entries })
        };
        with(list(n.div_ceil(64), each))
    }),
    ("REGEX_DEPTH", limits::REGEX_DEPTH as usize, |n| {
        matching(json!({ "regex": format!("{}a{}", "(".repeat(n), ")".repeat(n)) }))
    }),
    ("HISTORY", limits::HISTORY, |n| {
        rule(json!({ "split": { "a": 1 }, "history": list(n, |_| json!({ "a": 1 })),
                     "sticky": { "key": [{ "cookie": "c" }] } }))
    }),
    ("IDENTITIES", limits::IDENTITIES, |n| {
        let each = |i| {
            json!({ "name": format!("r{i}"), "split": { "a": 1 },
                    "sticky": issuing(&format!("id{i}"), "1d") })
        };
        with(list(n, each))
    }),
    ("TEXTS", limits::TEXTS, |n| {
        rule(json!({ "to": "a", "match": [{ "baggage": named(n, &json!({ "exact": "a" })) }] }))
    }),
    ("SEGMENTS", limits::SEGMENTS, |n| {
        sticky(json!({ "key": [{ "metadata": list(n, |i| json!(format!("s{i}"))) }] }))
    }),
    ("OVERRIDES", limits::OVERRIDES, |n| {
        let each = |i| {
            json!({ "name": format!("r{i}"), "to": "a", "override": { "queryParam": "q",
                    "cookie": format!("c{i}"), "maxAge": "1h", "variants": ["b"] } })
        };
        with(list(n, each))
    }),
];

#[test]
fn so_many_and_one_more() {
    for (name, limit, config) in SIZED {
        assert_eq!(wrong(&config(limit).to_string()), "", "{name} at the limit");
        assert_ne!(wrong(&config(limit + 1).to_string()), "", "{name} and one more");
    }
}

#[test]
fn a_configuration_of_so_many_bytes_and_one_more() {
    let config = with(json!([])).to_string();
    let padded = |bytes: usize| format!("{config}{}", " ".repeat(bytes - config.len()));
    assert_eq!(wrong(&padded(limits::CONFIG_BYTES)), "");
    assert!(wrong(&padded(limits::CONFIG_BYTES + 1)).contains("Too long"));
}

#[test]
fn numbers_at_their_ends_and_beyond() {
    let weight = |weight: f64| rule(json!({ "split": { "a": weight, "b": 1 } }));
    let ramp = |duration: &str, steps: u32| {
        rule(json!({ "split": { "a": 1, "b": 1 }, "sticky": { "key": [{ "cookie": "c" }] },
            "ramp": { "variant": "b", "to": 100, "start": "2026-12-01T09:00:00Z",
                      "duration": duration, "steps": steps } }))
    };
    let guard = |field: &str, value: Value| {
        let mut guard = json!({ "watch": "a", "fallback": "b", "maxErrorRate": "5%" });
        guard[field] = value;
        rule(json!({ "split": { "a": 1, "b": 1 }, "guard": guard }))
    };
    let signed = |env: &str| {
        sticky(json!({ "issue": { "cookie": "i", "maxAge": "1d", "signing": { "env": env } } }))
    };
    let seconds = |seconds: u64| format!("{seconds}s");
    for (name, good, bad) in [
        ("WEIGHT_MAX", weight(limits::WEIGHT_MAX), weight(limits::WEIGHT_MAX + 1.0)),
        ("WEIGHT_MIN", weight(limits::WEIGHT_MIN), weight(limits::WEIGHT_MIN / 2.0)),
        ("no weight", weight(0.0), weight(-1e-300)),
        (
            "MAX_AGE",
            sticky(issuing("i", &seconds(limits::MAX_AGE))),
            sticky(issuing("i", &seconds(limits::MAX_AGE + 1))),
        ),
        ("RAMP_STEPS", ramp("1d", limits::RAMP_STEPS), ramp("1d", limits::RAMP_STEPS + 1)),
        (
            "MAX_AGE of a ramp",
            ramp(&seconds(limits::MAX_AGE), 0),
            ramp(&seconds(limits::MAX_AGE + 1), 0),
        ),
        (
            "WINDOW",
            guard("window", json!(seconds(limits::WINDOW))),
            guard("window", json!(seconds(limits::WINDOW + 1))),
        ),
        (
            "WINDOW of a cooldown",
            guard("cooldown", json!(seconds(limits::WINDOW))),
            guard("cooldown", json!(seconds(limits::WINDOW + 1))),
        ),
        (
            "GUARD_REQUESTS",
            guard("minRequests", json!(limits::GUARD_REQUESTS)),
            guard("minRequests", json!(limits::GUARD_REQUESTS + 1)),
        ),
        (
            "LATENCY_RATIO",
            guard("maxLatencyRatio", json!(limits::LATENCY_RATIO)),
            guard("maxLatencyRatio", json!(limits::LATENCY_RATIO + 0.1)),
        ),
        ("SIGNING_KEYS", signed("KEYS"), signed("MANY")),
        ("SIGNING_KEY_BYTES", signed("KEYS"), signed("SHORT")),
    ] {
        assert_eq!(wrong(&good.to_string()), "", "{name} at the limit");
        assert_ne!(wrong(&bad.to_string()), "", "{name} beyond");
    }
}

/// Where the bounds on requests are tested, and one that no number of the configuration is.
const ELSEWHERE: [(&str, &str, &str); 25] = [
    ("AMBIGUOUS_NUMBER", "src/request/texts.rs", "no_whole_number_below_the_bound_is_a_text"),
    (
        "BAGGAGE_BYTES",
        "src/baggage/tests.rs",
        "a_member_that_would_make_the_list_too_long_is_not_added",
    ),
    (
        "BAGGAGE_MEMBERS",
        "src/baggage/tests.rs",
        "a_member_that_would_make_the_list_too_long_is_not_added",
    ),
    ("CLOCK_SKEW", "src/outcome/tests.rs", "what_does_not_verify_is_reissued"),
    ("COOKIE_BYTES", "src/request/cookies.rs", "scanning_is_bounded"),
    ("COOKIE_PAIRS", "src/request/cookies.rs", "scanning_is_bounded"),
    ("HOST_BYTES", "src/outcome/tests.rs", "what_does_not_verify_is_reissued"),
    ("KEY_BYTES", "src/key.rs", "a_key_over_its_limit_is_absent"),
    ("QUERY_PAIRS", "src/request/query.rs", "scanning_is_bounded"),
    ("INNER_BYTES", "src/request/spent.rs", "each_kind_of_work_ends"),
    ("INTEGER_BYTES", "src/matcher/text.rs", "a_number_of_more_digits_than_any_has_is_none"),
    ("REPEATED_BYTES", "src/request/spent.rs", "each_kind_of_work_ends"),
    (
        "REGEX_EFFORT",
        "src/regex/tests.rs",
        "an_expression_without_a_table_takes_no_more_steps_than_are_left",
    ),
    (
        "REGEX_EFFORTS",
        "src/regex/tests.rs",
        "all_tables_of_a_configuration_take_no_more_than_their_effort",
    ),
    (
        "REGEX_STATES",
        "wasm-tests/properties/tests/limits.rs",
        "a_regex_is_bounded_by_what_it_compiles_to",
    ),
    ("REGEX_TABLE", "src/regex/tests.rs", "a_table_has_no_more_entries_than_its_bound"),
    ("RERUNS", "wasm-tests/tests/hostile_runs.rs", "runs_that_never_come_leave_nothing"),
    ("SCANNED_BYTES", "src/request/spent.rs", "each_kind_of_work_ends"),
    ("SEARCH_BYTES", "src/matcher/text.rs", "a_value_too_long_to_be_searched_is_noted"),
    ("SEARCH_STEPS", "src/matcher/text.rs", "a_condition_takes_no_more_steps_than_its_own"),
    ("SIGNED_BYTES", "wasm-tests/properties/tests/limits.rs", "the_longest_signed_value_fits"),
    ("SIGNED_VALUES", "src/outcome/tests.rs", "what_does_not_verify_is_reissued"),
    ("SIGNED_VALUES_OF_REQUEST", "src/request/spent.rs", "each_kind_of_work_ends"),
    (
        "STEPS_OF_STATE",
        "src/regex/tests.rs",
        "an_expression_without_a_table_takes_no_more_steps_than_are_left",
    ),
    ("VALUE_BYTES", "src/request.rs", "unusable_values_are_absent"),
];

/// A bound that nobody tries is a guess.
#[test]
fn every_limit_is_tested() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |path: &str| std::fs::read_to_string(root.join(path)).expect(path);
    let here = read("wasm-tests/properties/tests/limits.rs");
    let constants = read("src/limits.rs");
    let names = constants.lines().filter_map(|line| line.strip_prefix("pub const "));
    for name in names.filter_map(|line| line.split(':').next()) {
        match ELSEWHERE.iter().find(|(known, ..)| *known == name) {
            Some((_, file, test)) => {
                let text = read(file);
                assert!(text.contains(&format!("fn {test}(")), "{file} has no {test}");
                assert!(text.contains(name), "{file} says nothing of {name}");
            }
            None => {
                let mut words = here.split(|c: char| c != '_' && !c.is_ascii_alphanumeric());
                assert!(words.any(|word| word == name), "nobody tries {name}");
            }
        }
    }
}

/// The longest value that is issued fits into what is read back.
#[test]
fn the_longest_signed_value_fits() {
    let (name, time, mac) = (limits::NAME_BYTES, "ffffffffffffffff".len(), 43);
    assert!(name + 1 + time + 1 + time + 1 + mac <= limits::SIGNED_BYTES);
}

/// A repetition is a state for each time, and the match is one more.
#[test]
fn a_regex_is_bounded_by_what_it_compiles_to() {
    let taken =
        |n: usize| wrong(&matching(json!({ "regex": format!("[a-z]{{{n}}}") })).to_string());
    assert_eq!(taken(limits::REGEX_STATES - 1), "");
    let refused = taken(limits::REGEX_STATES);
    assert!(refused.contains("exceeds the size limit: repeat less"), "{refused}");
}

#[test]
fn errors_are_told_up_to_so_many() {
    let errors = |n: usize| {
        let config = with(list(n, |i| json!({ "name": format!("r{i}"), "to": "c" })));
        wrong(&config.to_string()).lines().count()
    };
    assert_eq!(errors(limits::ERRORS), limits::ERRORS);
    assert_eq!(
        errors(limits::ERRORS + 1),
        limits::ERRORS + 1,
        "one line says how many are left out"
    );
    assert_eq!(errors(limits::ERRORS + 9), limits::ERRORS + 1);
}

/// The most rules there may be take the most pairs together, and one pair more is refused.
#[test]
fn pairs_of_a_rule_and_a_cluster_are_bounded() {
    let config = |clusters: usize| {
        let variants =
            (0..clusters).map(|n| (format!("v{n}"), json!({ "cluster": format!("c{n}") })));
        let rule = |n| {
            json!({ "name": format!("r{n}"), "split": "route",
                    "sticky": { "key": [ { "cookie": "uid" } ] } })
        };
        json!({ "pointHeader": "x-p", "metrics": "full", "rules": list(limits::RULES, rule),
                "variants": variants.collect::<Map<_, _>>() })
    };
    let most = limits::ATTRIBUTED / limits::RULES;
    assert_eq!(wrong(&config(most).to_string()), "");
    let errors = wrong(&config(most + 1).to_string());
    assert!(errors.contains(&format!("more than {} pairs", limits::ATTRIBUTED)), "{errors}");
}
