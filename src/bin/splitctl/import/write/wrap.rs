//! The configuration inside the resources that hold it.

use std::fmt::Write;

use super::{Draft, comments, configuration, text};
use crate::document;
use crate::import::form::Destination;

/// Writes Istio's `WasmPlugin`.
pub fn wasm_plugin(draft: &Draft) -> String {
    let mut out = "\
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata:
  name: traffic-split
spec:
  url: oci://registry.example.com/traffic-split:1.0   # your image of the filter
  pluginName: traffic-split
  type: HTTP
  phase: UNSPECIFIED_PHASE
  priority: -2147483648              # runs last, right before the router
  failStrategy: FAIL_RELOAD
  match: [ { mode: CLIENT } ]        # a gateway, or the callers' sidecars
  # selector: name your gateway, or the callers' workloads, here
  pluginConfig:
"
    .to_owned();
    for line in configuration(draft, false).lines() {
        let _ = writeln!(out, "    {line}");
    }
    let header = &draft.header;
    out + &format!(
        "---\n# Sends each variant to its service. Without a variant there is no route, as before: 404.\n\
         apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: traffic-split\n\
         spec:\n  hosts: ['*']                       # your hosts\n  \
         gateways: [gateway]                # your gateway\n  http:\n{}",
        draft.variants.all().iter().map(|(to, name)| route(to, name, header)).collect::<String>()
    )
}

fn route(to: &Destination, name: &str, header: &str) -> String {
    let subset = to.subset.as_ref().map_or(String::new(), |it| format!(", subset: {}", text(it)));
    let port = to.port.as_ref().and_then(|port| port.parse::<u16>().ok());
    let port = port.map_or(String::new(), |port| format!(", port: {{ number: {port} }}"));
    format!(
        "  - match: [ {{ headers: {{ {}: {{ exact: {} }} }} }} ]\n    \
         route: [ {{ destination: {{ host: {}{subset}{port} }} }} ]\n",
        text(header),
        text(name),
        text(&host(to))
    )
}

fn host(to: &Destination) -> String {
    match &to.namespace {
        Some(namespace) => format!("{}.{namespace}.svc.cluster.local", to.service),
        None => to.service.clone(),
    }
}

/// Writes a bootstrap of Envoy, with a cluster for each variant.
///
/// # Errors
/// The configuration cannot be read back, so that it would be no JSON.
pub fn envoy(draft: &Draft) -> anyhow::Result<String> {
    let yaml = configuration(draft, true);
    let documents = document::parse(&yaml)
        .map_err(|error| anyhow::anyhow!("line {}: {}", error.line, error.message))?;
    let json = documents.first().map(serde_json::to_string_pretty).transpose()?.unwrap_or_default();
    let json: String = json.lines().map(|line| format!("                    {line}\n")).collect();
    let of_rules = draft.rules.iter().flat_map(|rule| rule.remarks.clone());
    let remarks: Vec<_> = draft.remarks.iter().cloned().chain(of_rules).collect();
    let remarks = comments(&remarks, "                ");
    let clusters: String =
        draft.variants.all().iter().map(|(to, name)| cluster(to, name)).collect();
    let header = text(&draft.header);
    Ok(format!(
        "\
static_resources:
  listeners:
  - name: http
    address:
      socket_address: {{ address: 0.0.0.0, port_value: 10000 }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          \"@type\": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: http
          use_remote_address: true
          normalize_path: true
          merge_slashes: true
          # No client chooses a cluster by itself.
          early_header_mutation_extensions:
          - name: envoy.http.early_header_mutation.header_mutation
            typed_config:
              \"@type\": type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation
              mutations:
              - remove: x-split-cluster
              - remove: {header}
          http_filters:
          - name: envoy.filters.http.wasm
            typed_config:
              \"@type\": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                name: traffic-split
                root_id: traffic-split
                failure_policy: FAIL_RELOAD
                vm_config:
                  runtime: envoy.wasm.runtime.v8
                  code:
                    local: {{ filename: /etc/envoy/traffic_split.wasm }}
{remarks}                configuration:
                  \"@type\": type.googleapis.com/google.protobuf.StringValue
                  value: |
{json}          - name: envoy.filters.http.router
            typed_config:
              \"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
          route_config:
            virtual_hosts:
            - name: all
              domains: [\"*\"]
              request_headers_to_remove: [ x-split-cluster ]
              routes:
              - match: {{ prefix: /, headers: [ {{ name: x-split-cluster, present_match: true }} ] }}
                route: {{ cluster_header: x-split-cluster }}
              # Where no rule matches: as before.
              - match: {{ prefix: / }}
                direct_response: {{ status: 404 }}
  clusters:
{clusters}"
    ))
}

/// The port of a service that names none.
const PORT: u16 = 80;

fn cluster(to: &Destination, name: &str) -> String {
    let port = to.port.as_ref().and_then(|port| port.parse().ok()).unwrap_or(PORT);
    let (name, host) = (text(name), text(&host(to)));
    format!(
        "  - name: {name}
    type: STRICT_DNS
    connect_timeout: 1s
    load_assignment:
      cluster_name: {name}
      endpoints:
      - lb_endpoints:
        - endpoint:
            address:
              socket_address: {{ address: {host}, port_value: {port} }}
"
    )
}
