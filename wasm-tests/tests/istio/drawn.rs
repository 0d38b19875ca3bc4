//! Route resources and requests, drawn from a seed.

use fastrand::Rng;
use serde_json::{Map, Value, json};
use wasm_tests::message::Request;

/// The names of the destinations.
pub const DESTINATIONS: [&str; 5] = ["five", "four", "one", "three", "two"];

/// The gateway of the VirtualServices.
pub const GATEWAY: &str = "imported-gateway";

/// Resources that have hosts in common with no other set.
pub struct Set {
    pub resources: Vec<Value>,
    /// The hosts that Envoy has a virtual host for.
    pub hosts: Vec<String>,
    /// The hosts that requests are for.
    asked: Vec<String>,
}

/// The host of a destination.
pub fn host(name: &str) -> String {
    format!("{name}.imported.svc.cluster.local")
}

const HEADERS: [&str; 4] = ["x-a", "x-b", "X-C", "x-d"];
const VALUES: [&str; 8] = ["a", "ab", "abc", "b", "A", "Ab", "", "b-c"];
const PATHS: [&str; 12] =
    ["/", "/a", "/a/", "/a/b", "/ab", "/A", "/A/b", "/b", "/a/b/c", "/b/a", "/a/bc", "/abc"];
const PREFIXES: [&str; 7] = ["/", "/a", "/a/", "/a/b", "/A", "/b", "/ab"];
const PATH_PATTERNS: [&str; 6] = ["/a.*", "/[ab]", "/(a|b)/.*", ".*b", "/a(/b)?", "^/a/[^/]+$"];
const PATTERNS: [&str; 8] = ["a.*", "[ab]+", ".*b", "a|b", "(a|ab)c?", ".*", ".+", "^A?b$"];
const PARAMETERS: [&str; 3] = ["q", "r", "Q"];
const METHODS: [&str; 4] = ["GET", "POST", "PUT", "PATCH"];

fn one_of<T: Copy>(random: &mut Rng, all: &[T]) -> T {
    all[random.usize(..all.len())]
}

fn chance(random: &mut Rng, percent: u32) -> bool {
    random.u32(..100) < percent
}

/// A request for a host of the set, made of what its conditions ask for.
pub fn request(random: &mut Rng, set: &Set) -> Request {
    let mut path = one_of(random, &PATHS).to_owned();
    let mut mark = '?';
    for _ in 0..random.usize(..3) {
        path += &format!("{mark}{}={}", one_of(random, &PARAMETERS), one_of(random, &VALUES));
        mark = '&';
    }
    let authority = set.asked[random.usize(..set.asked.len())].clone();
    let method = one_of(random, &METHODS).to_owned();
    let mut request = Request { method, authority, ..Request::get(&path) };
    for name in HEADERS {
        if chance(random, 50) {
            request = request.with(name, one_of(random, &VALUES));
        }
    }
    request
}

/// Sets of VirtualServices.
pub fn virtual_services(random: &mut Rng, count: usize) -> Vec<Set> {
    let resource = |random: &mut Rng, name: &str, hosts: &[String]| {
        let http: Vec<_> = (0..random.usize(1..7)).map(|_| route(random)).collect();
        json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": {"name": name},
            "spec": {"hosts": hosts, "gateways": [GATEWAY], "http": http}
        })
    };
    let set = |n: usize| {
        let name = format!("virtual-{n:02}");
        let hosts: Vec<String> = match n % 4 {
            0 => vec![format!("{name}.test"), format!("*.{name}.test")],
            _ => vec![format!("{name}.test")],
        };
        let mut resources = vec![resource(random, &name, &hosts)];
        let mut asked: Vec<_> = hosts.iter().map(|host| host.replace('*', "x.y")).collect();
        let mut hosts = hosts;
        if n % 4 == 1 {
            // A host of its own beside the hosts that it is one of.
            let wide = format!("*.{name}.test");
            let narrow = format!("n.{name}.test");
            resources.push(resource(random, &format!("{name}-wide"), std::slice::from_ref(&wide)));
            resources.push(resource(
                random,
                &format!("{name}-narrow"),
                std::slice::from_ref(&narrow),
            ));
            asked.extend([narrow.clone(), wide.replace('*', "w")]);
            hosts.extend([wide, narrow]);
        }
        Set { resources, hosts, asked }
    };
    (0..count).map(set).collect()
}

fn route(random: &mut Rng) -> Value {
    let destination = |random: &mut Rng| {
        let name = one_of(random, &DESTINATIONS);
        json!({"destination": {"host": host(name), "port": {"number": 8080}}})
    };
    let mut destinations = vec![destination(random)];
    if chance(random, 25) {
        destinations = weighted(random).into_iter().map(|(name, weight)| {
            json!({"destination": {"host": host(name), "port": {"number": 8080}}, "weight": weight})
        }).collect();
    }
    let mut route = json!({"route": destinations});
    if chance(random, 90) {
        let entries: Vec<_> = (0..random.usize(1..4)).map(|_| virtual_match(random)).collect();
        route["match"] = json!(entries);
    }
    route
}

/// Two or three destinations, not all of weight 0.
fn weighted(random: &mut Rng) -> Vec<(&'static str, u32)> {
    let mut names = DESTINATIONS;
    random.shuffle(&mut names);
    let count = random.usize(2..4);
    let weights = [[90, 10, 0], [50, 50, 1], [0, 100, 0], [1, 2, 3]][random.usize(..4)];
    names.into_iter().zip(weights).take(count).collect()
}

fn virtual_match(random: &mut Rng) -> Value {
    let mut entry = Map::new();
    if chance(random, 60) {
        let (kind, text) = match random.u32(..3) {
            0 => ("exact", one_of(random, &PATHS)),
            1 => ("prefix", one_of(random, &PREFIXES)),
            _ => ("regex", one_of(random, &PATH_PATTERNS)),
        };
        entry.insert("uri".into(), json!({kind: text}));
        if chance(random, 25) {
            entry.insert("ignoreUriCase".into(), json!(true));
        }
    }
    if chance(random, 20) {
        let method = match random.u32(..3) {
            0 => json!({"regex": "GET|PUT"}),
            1 => json!({"prefix": "P"}),
            _ => json!({"exact": one_of(random, &METHODS)}),
        };
        entry.insert("method".into(), method);
    }
    for (field, names, percent) in
        [("headers", &HEADERS[..2], 35), ("withoutHeaders", &HEADERS[2..], 15)]
    {
        let mut conditions = Map::new();
        for name in names {
            if chance(random, percent) {
                conditions.insert(name.to_lowercase(), string_match(random));
            }
        }
        if !conditions.is_empty() {
            entry.insert(field.into(), Value::Object(conditions));
        }
    }
    if chance(random, 20) {
        let value = string_match(random);
        entry.insert("queryParams".into(), json!({one_of(random, &PARAMETERS): value}));
    }
    if entry.is_empty() {
        entry.insert("uri".into(), json!({"prefix": "/a"}));
    }
    Value::Object(entry)
}

/// A StringMatch. Its texts are not empty, which Istio refuses.
fn string_match(random: &mut Rng) -> Value {
    let text = one_of(random, &VALUES[..6]);
    match random.u32(..4) {
        0 => json!({"exact": text}),
        1 => json!({"prefix": text}),
        2 => json!({"regex": one_of(random, &PATTERNS)}),
        _ => json!({}),
    }
}

/// Sets of HTTPRoutes, of which several are for one host.
pub fn http_routes(random: &mut Rng, count: usize) -> Vec<Set> {
    let set = |n: usize| {
        let name = format!("route-{n:02}");
        let hosts: Vec<String> = match n % 3 {
            0 => vec![format!("{name}.test"), format!("*.{name}.test")],
            _ => vec![format!("{name}.test")],
        };
        let resource = |part: usize| {
            let rules: Vec<_> = (0..random.usize(1..5)).map(|_| http_rule(random)).collect();
            json!({
                "apiVersion": "gateway.networking.k8s.io/v1",
                "kind": "HTTPRoute",
                "metadata": {"name": format!("{name}-{part}")},
                "spec": {
                    "parentRefs": [{"name": "my-gateway"}], "hostnames": hosts, "rules": rules
                }
            })
        };
        let resources = (0..1 + n % 3).map(resource).collect();
        let asked = hosts.iter().map(|host| host.replace('*', "x.y")).collect();
        Set { resources, hosts, asked }
    };
    (0..count).map(set).collect()
}

fn http_rule(random: &mut Rng) -> Value {
    // A Service cannot have an endpoint on loopback; a ServiceEntry can, and is named so.
    let backend = |name: &str, weight: u32| {
        json!({
            "group": "networking.istio.io", "kind": "Hostname", "name": host(name), "port": 8080,
            "weight": weight
        })
    };
    let backends: Vec<_> = if chance(random, 25) {
        weighted(random).into_iter().map(|(name, weight)| backend(name, weight)).collect()
    } else {
        vec![backend(one_of(random, &DESTINATIONS), 1)]
    };
    let mut rule = json!({"backendRefs": backends});
    if chance(random, 85) {
        let matches: Vec<_> = (0..random.usize(1..4)).map(|_| http_match(random)).collect();
        rule["matches"] = json!(matches);
    }
    rule
}

fn http_match(random: &mut Rng) -> Value {
    let mut entry = Map::new();
    if chance(random, 70) {
        let path = match random.u32(..7) {
            0..3 => json!({"type": "PathPrefix", "value": one_of(random, &PREFIXES)}),
            3..6 => json!({"type": "Exact", "value": one_of(random, &PATHS)}),
            _ => json!({"type": "RegularExpression", "value": one_of(random, &PATH_PATTERNS[..5])}),
        };
        entry.insert("path".into(), path);
    }
    if chance(random, 20) {
        entry.insert("method".into(), json!(one_of(random, &METHODS)));
    }
    for (field, names, percent) in [("headers", &HEADERS[..], 25), ("queryParams", &PARAMETERS, 12)]
    {
        let mut conditions = Vec::new();
        for name in names {
            if chance(random, percent) {
                let value = match random.u32(..4) {
                    0 => {
                        json!({"type": "RegularExpression", "name": name, "value": one_of(random, &PATTERNS)})
                    }
                    _ => json!({"name": name, "value": one_of(random, &VALUES[..6])}),
                };
                conditions.push(value);
            }
        }
        if !conditions.is_empty() {
            entry.insert(field.into(), json!(conditions));
        }
    }
    Value::Object(entry)
}
