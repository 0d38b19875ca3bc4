//! Envoy configurations made for the tests: one listener for each configuration of the filter.

use crate::manifest;
use crate::native::ENVIRONMENT;
use crate::upstream::Upstream;
use anyhow::Result;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

/// The cluster of the route that takes what no rule took.
pub const DEFAULT: &str = "default";
/// The header that the `cluster_header` route reads.
pub const CLUSTER_HEADER: &str = "x-split-cluster";
/// The header with the variant's name.
pub const VARIANT_HEADER: &str = "x-split-variant";
/// The header with the point, which `weighted_clusters` read.
pub const POINT_HEADER: &str = "x-split-point";

/// A free port on the loopback interface.
const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A listener on a free port, with its filter and its routes.
pub struct Listener {
    /// Its name, by which its address is found.
    pub name: String,
    /// The filters before the router.
    pub filters: Vec<Value>,
    /// The routes, the first that matches decides.
    pub routes: Value,
    /// Client-sent headers that the connection manager removes before it looks for a route.
    pub strip: Vec<String>,
    /// How many headers a request may have, HTTP/2's cookie crumbs among them; Envoy's default of
    /// 100 where none is given.
    pub max_headers: Option<u32>,
    /// The access logs, in Envoy's configuration.
    pub access_log: Value,
}

impl Listener {
    /// A listener with the filter, this configuration (JSON), a `cluster_header` route and a
    /// default route. Nothing but the filter removes what a client sends.
    pub fn new(name: &str, configuration: &str) -> Result<Self> {
        Self::in_environment(name, configuration, &ENVIRONMENT)
    }

    /// The same listener, with this environment of the filter's VM.
    pub fn in_environment(
        name: &str,
        configuration: &str,
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let filters = vec![filter(name, configuration, environment)?];
        Ok(Self { filters, ..Self::without_filter(name) })
    }

    /// The same listener without the filter.
    pub fn without_filter(name: &str) -> Self {
        let routes = json!([
            {
                "match": {
                    "prefix": "/",
                    "headers": [{"name": CLUSTER_HEADER, "present_match": true}]
                },
                "route": {"cluster_header": CLUSTER_HEADER}
            },
            {"match": {"prefix": "/"}, "route": {"cluster": DEFAULT}}
        ]);
        Self {
            name: name.into(),
            filters: Vec::new(),
            routes,
            strip: Vec::new(),
            max_headers: None,
            access_log: json!([]),
        }
    }

    fn json(&self) -> Value {
        let mut filters = self.filters.clone();
        filters.push(json!({
            "name": "envoy.filters.http.router",
            "typed_config": typed("envoy.extensions.filters.http.router.v3.Router", json!({}))
        }));
        let removals: Vec<_> = self.strip.iter().map(|name| json!({"remove": name})).collect();
        let early = json!({
            "name": "envoy.http.early_header_mutation.header_mutation",
            "typed_config": typed(
                "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
                json!({"mutations": removals})
            )
        });
        let mut manager = json!({
            "stat_prefix": self.name,
            // The peer's own address, not what it says in x-forwarded-for.
            "use_remote_address": true,
            "upgrade_configs": [{"upgrade_type": "websocket"}],
            "access_log": self.access_log,
            "http_filters": filters,
            "route_config": {
                "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": self.routes}]
            }
        });
        if !self.strip.is_empty() {
            manager["early_header_mutation_extensions"] = json!([early]);
        }
        if let Some(count) = self.max_headers {
            manager["common_http_protocol_options"] = json!({"max_headers_count": count});
        }
        let manager = typed(
            "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            manager,
        );
        json!({
            "name": self.name,
            "address": socket(ANY),
            // Connections go to the worker with the fewest: with two, one each.
            "connection_balance_config": {"exact_balance": {}},
            "filter_chains": [{"filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": manager
            }]}]
        })
    }
}

/// The filter with this configuration, which may be anything.
fn filter(name: &str, configuration: &str, environment: &[(&str, &str)]) -> Result<Value> {
    let environment: BTreeMap<_, _> = environment.iter().copied().collect();
    let filter = json!({"config": {
        "name": name,
        "root_id": name,
        "failure_policy": "FAIL_RELOAD",
        "configuration": typed("google.protobuf.StringValue", json!({"value": configuration})),
        "vm_config": {
            // Another environment is another VM: not every Envoy sees that by itself, and the
            // filter would get the keys of a VM that is there already (envoy issue 40881). It
            // stands in the log, so it is no place for the keys themselves.
            "vm_id": identifier(&environment),
            "runtime": "envoy.wasm.runtime.v8",
            "code": {"local": {"filename": crate::module()?}},
            "environment_variables": {"key_values": environment}
        }
    }});
    Ok(json!({
        "name": "envoy.filters.http.wasm",
        "typed_config": typed("envoy.extensions.filters.http.wasm.v3.Wasm", filter)
    }))
}

/// A text that tells environments apart and says nothing of them.
fn identifier(environment: &BTreeMap<&str, &str>) -> String {
    let mut hasher = DefaultHasher::new();
    environment.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// The clusters of the variants of a configuration of the filter.
pub fn clusters(configuration: &Value) -> impl Iterator<Item = &str> {
    let variants = configuration["variants"].as_object().into_iter().flat_map(Map::values);
    variants.filter_map(|variant| variant["cluster"].as_str())
}

/// A whole configuration with these listeners, and a cluster for each upstream.
pub fn bootstrap<'a>(
    listeners: impl IntoIterator<Item = &'a Listener>,
    upstreams: &BTreeMap<String, Upstream>,
) -> String {
    let listeners: Vec<_> = listeners.into_iter().map(Listener::json).collect();
    whole(upstreams, json!({"listeners": listeners}), json!({}))
}

/// A bootstrap whose listeners come from the file at `path`, as [`discovered`] writes them.
pub fn dynamic(path: &Path, upstreams: &BTreeMap<String, Upstream>) -> String {
    let source = json!({"path_config_source": {"path": path}, "resource_api_version": "V3"});
    whole(upstreams, json!({}), json!({"lds_config": source}))
}

/// Listeners as Envoy reads them from a file.
pub fn discovered(listeners: &[Listener]) -> Value {
    let resource =
        |listener: &Listener| typed("envoy.config.listener.v3.Listener", listener.json());
    json!({"resources": listeners.iter().map(resource).collect::<Vec<_>>()})
}

fn whole(upstreams: &BTreeMap<String, Upstream>, mut fixed: Value, dynamic: Value) -> String {
    let clusters: Vec<_> =
        upstreams.iter().map(|(name, upstream)| cluster(name, upstream.address)).collect();
    fixed["clusters"] = json!(clusters);
    json!({
        "admin": {"address": socket(ANY)},
        "stats_config": manifest::stats_config().unwrap_or_default(),
        "static_resources": fixed,
        "dynamic_resources": dynamic
    })
    .to_string()
}

fn cluster(name: &str, address: SocketAddr) -> Value {
    let endpoint = json!({"endpoint": {"address": socket(address)}});
    // To the upstream as from the client: HTTP/1.1 or HTTP/2.
    let protocol = json!({"use_downstream_protocol_config": {"http2_protocol_options": {}}});
    json!({
        "name": name,
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [endpoint]}]
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions":
                typed("envoy.extensions.upstreams.http.v3.HttpProtocolOptions", protocol)
        }
    })
}

fn socket(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip(), "port_value": address.port()}})
}

/// A message of this type, as a `google.protobuf.Any` in JSON.
pub fn typed(name: &str, mut message: Value) -> Value {
    message["@type"] = json!(format!("type.googleapis.com/{name}"));
    message
}
