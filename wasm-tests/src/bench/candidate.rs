//! The candidates that are measured.

use std::path::{self, Path};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use wasm_tests::bootstrap::{CLUSTER_HEADER, Listener, POINT_HEADER, typed};
use wasm_tests::message::Reply;
use wasm_tests::standard::Standard;

/// The clusters of the standard set.
pub const UPSTREAMS: [&str; 3] = ["reviews-v1", "reviews-v2", "reviews-v3"];

/// A way to serve the standard request.
pub struct Candidate {
    /// Its name, its filters and its routes.
    pub listener: Listener,
    /// Whether an answer is right.
    pub expected: fn(&Reply) -> bool,
}

/// Chains of equal filters over a route that answers by itself.
pub fn chains(standard: &Standard, length: usize) -> Result<Vec<Candidate>> {
    let module = wasm_tests::module()?;
    let empty = wasm_tests::target().join("empty.wasm");
    let ours = |name: &str, configuration: Value| wasm(&module, name, &configuration.to_string());
    let counting = |metrics: &str| {
        let mut configuration = standard.configuration.clone();
        configuration["metrics"] = json!(metrics);
        configuration
    };
    // In a VM of its own each, as all candidates; the key is the same for every run.
    let exposing = || -> Result<Value> {
        let mut configuration = counting("full");
        configuration["unit"] = json!({"env": "SPLIT_UNIT_KEY"});
        let mut filter = ours(UNIT, configuration)?;
        filter["typed_config"]["config"]["vm_config"]["environment_variables"] =
            json!({"key_values": {"SPLIT_UNIT_KEY": "a key of thirty-two bytes or more"}});
        Ok(filter)
    };
    let told = || {
        let mut configuration = standard.configuration.clone();
        configuration["baggage"] = json!(true);
        ours(BAGGAGE, configuration)
    };
    let with = |name: &str, field: &str, value: Value| {
        let mut configuration = standard.configuration.clone();
        configuration["rules"][2][field] = value;
        ours(name, configuration)
    };
    // The request has neither a link nor the cookie, which are looked for all the same.
    let forced = json!({
        "queryParam": "split", "cookie": "split-force", "maxAge": "8h", "variants": ["canary"]
    });
    // No earlier filter has left a claim, which is asked for all the same.
    let claimed = json!({
        "key": [{"metadata": ["envoy.filters.http.jwt_authn", "payload", "sub"]}, {"cookie": "uid"}]
    });
    let decides = |reply: &Reply| is_reviews(reply, "x-cluster");
    let leaves = |reply: &Reply| !is_reviews(reply, "x-cluster");
    let chain = |name: &str, filter: Option<Value>, expected| {
        let filters = filter.map(|filter| vec![filter; length]).unwrap_or_default();
        let routes = json!([{
            "match": {"prefix": "/"},
            "direct_response": {"status": 200},
            "response_headers_to_add": [{
                "header": {"key": "x-cluster", "value": format!("%REQ({CLUSTER_HEADER})%")}
            }]
        }]);
        let listener = Listener { filters, routes, ..Listener::without_filter(name) };
        Candidate { listener, expected }
    };
    let mut chains = vec![
        chain(NO_FILTER, None, leaves),
        chain(EMPTY, Some(wasm(&empty, "empty", "")?), leaves),
        chain(
            ONE_READ,
            Some(written("one-read", include_str!("../../bench/one-read.wat"))?),
            decides,
        ),
        chain(
            SAME_CALLS,
            Some(written("same-calls", include_str!("../../bench/same-calls.wat"))?),
            decides,
        ),
        chain(LUA, Some(lua()), decides),
        chain(STANDARD, Some(ours(STANDARD, standard.configuration.clone())?), decides),
        chain(COUNTS, Some(ours(COUNTS, counting("counts"))?), decides),
        chain(FULL, Some(ours(FULL, counting("full"))?), decides),
        chain(UNIT, Some(exposing()?), decides),
        chain(BAGGAGE, Some(told()?), decides),
        chain(OVERRIDE, Some(with(OVERRIDE, "override", forced)?), decides),
        chain(METADATA, Some(with(METADATA, "sticky", claimed)?), decides),
        chain(ONE_RULE, Some(ours(ONE_RULE, standard.rules(1))?), decides),
        chain(THOUSAND_RULES, Some(ours(THOUSAND_RULES, standard.rules(1000))?), decides),
        chain(EXACT, Some(ours(EXACT, standard.exact())?), decides),
        chain(LIST, Some(ours(LIST, standard.list(10_000))?), decides),
    ];
    if let Some(module) = std::env::var_os("BASELINE") {
        let filter =
            wasm(&path::absolute(module)?, "baseline", &standard.configuration.to_string())?;
        chains.push(chain(BASELINE, Some(filter), decides));
    }
    Ok(chains)
}

/// Whether this header names a version of the standard set's service.
fn is_reviews(reply: &Reply, header: &str) -> bool {
    reply.header(header).is_some_and(|value| value.starts_with("reviews-v"))
}

pub const NO_FILTER: &str = "no filter";
pub const EMPTY: &str = "empty SDK filter";
pub const ONE_READ: &str = "no decision, one read";
pub const SAME_CALLS: &str = "no decision, the same calls";
pub const LUA: &str = "Lua, standard set";
pub const STANDARD: &str = "ours, standard set";
pub const BASELINE: &str = "BASELINE, standard set";
pub const COUNTS: &str = "ours, metrics: counts";
pub const FULL: &str = "ours, metrics: full";
pub const UNIT: &str = "ours, metrics: full, unit";
pub const BAGGAGE: &str = "ours, baggage";
pub const OVERRIDE: &str = "ours, override";
pub const METADATA: &str = "ours, metadata as a key";
pub const ONE_RULE: &str = "ours, 1 rule";
pub const THOUSAND_RULES: &str = "ours, 1,000 rules";
pub const EXACT: &str = "ours, one exact value";
pub const LIST: &str = "ours, 10,000 values";
pub const WEIGHTED: &str = "weighted_clusters";
pub const HASHED: &str = "weighted_clusters by hash";
pub const BY_ROUTE: &str = "ours, weights in the route";

/// Candidates with one filter, or none, before a route to an upstream.
pub fn whole(standard: &Standard) -> Result<Vec<Candidate>> {
    let module = wasm_tests::module()?;
    let ours = wasm(&module, "ours", &standard.configuration.to_string())?;
    let empty = wasm(&wasm_tests::target().join("empty.wasm"), "empty", "")?;
    let weights = json!({"clusters": [
        {"name": "reviews-v1", "weight": 80},
        {"name": "reviews-v2", "weight": 15},
        {"name": "reviews-v3", "weight": 5}
    ]});
    let mut sticky = weights.clone();
    sticky["use_hash_policy"] = json!(true);
    let hash = json!([{"cookie": {"name": "uid"}}]);
    let candidate = |name: &str, filters: Vec<Value>, route: Value| {
        let routes = json!([{"match": {"prefix": "/"}, "route": route}]);
        let listener = Listener { filters, routes, ..Listener::without_filter(name) };
        Candidate { listener, expected: |reply| is_reviews(reply, "x-upstream") }
    };
    let by_header = json!({"cluster_header": CLUSTER_HEADER});
    let by_route = wasm(&module, "by-route", &standard.by_route().to_string())?;
    let mut placed = weights.clone();
    placed["header_name"] = json!(POINT_HEADER);
    Ok(vec![
        candidate(WEIGHTED, vec![], json!({"weighted_clusters": weights.clone()})),
        candidate(EMPTY, vec![empty], json!({"weighted_clusters": weights})),
        candidate(HASHED, vec![], json!({"weighted_clusters": sticky, "hash_policy": hash})),
        candidate(LUA, vec![lua()], by_header.clone()),
        candidate(STANDARD, vec![ours], by_header),
        candidate(BY_ROUTE, vec![by_route], json!({"weighted_clusters": placed})),
    ])
}

/// A module written by hand, which shows what no filter goes below.
fn written(name: &str, text: &str) -> Result<Value> {
    let module = wasm_tests::target().join(format!("{name}.wasm"));
    std::fs::write(&module, wat::parse_str(text)?)?;
    wasm(&module, name, "")
}

/// The filter of this module, under this name, and in a VM of its own: filters that share one, and
/// write the same headers, tell each other what they wrote, which costs more.
pub fn wasm(module: &Path, root: &str, configuration: &str) -> Result<Value> {
    std::fs::metadata(module).with_context(|| format!("{}: run make", module.display()))?;
    let config = json!({"config": {
        "name": root,
        "root_id": root,
        "configuration": typed("google.protobuf.StringValue", json!({"value": configuration})),
        "vm_config": {
            "vm_id": root,
            "runtime": "envoy.wasm.runtime.v8",
            "code": {"local": {"filename": module}}
        }
    }});
    let config = typed("envoy.extensions.filters.http.wasm.v3.Wasm", config);
    Ok(json!({"name": "envoy.filters.http.wasm", "typed_config": config}))
}

fn lua() -> Value {
    let code = include_str!("../../bench/split.lua");
    let config = json!({"default_source_code": {"inline_string": code}});
    let config = typed("envoy.extensions.filters.http.lua.v3.Lua", config);
    json!({"name": "envoy.filters.http.lua", "typed_config": config})
}
