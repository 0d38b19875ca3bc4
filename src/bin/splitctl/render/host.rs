//! The things that hosts of the filter take, as the manifests have them.

use anyhow::Result;

use crate::document::{Node, Value};

/// The surroundings of a configuration in its host.
pub struct Host<'h> {
    pub name: &'h str,
    pub namespace: Option<&'h str>,
    /// The module's image or path.
    pub code: &'h str,
    /// The environment variables that the VM needs.
    pub environment: Vec<String>,
    pub generation: u32,
}

const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
const EXTENSION: &str = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig";
const STRING: &str = "type.googleapis.com/google.protobuf.StringValue";
const MANAGER: &str = "envoy.filters.network.http_connection_manager";

impl Host<'_> {
    /// Istio's WasmPlugin.
    pub fn wasm_plugin(&self, config: Node) -> Node {
        let variable = |name: &String| object([("name", text(name)), ("valueFrom", text("HOST"))]);
        let mut spec = vec![
            ("url", text(self.code)),
            ("imagePullPolicy", text("IfNotPresent")),
            ("pluginName", text(self.name)),
            ("type", text("HTTP")),
            ("phase", text("UNSPECIFIED_PHASE")),
            // The least: the filter runs last, right before the router.
            ("priority", Node::new(0, Value::Number(f64::from(i32::MIN)))),
            ("failStrategy", text("FAIL_RELOAD")),
            ("match", list(vec![object([("mode", text("CLIENT"))])])),
        ];
        if !self.environment.is_empty() {
            let variables = self.environment.iter().map(variable).collect();
            spec.push(("vmConfig", object([("env", list(variables))])));
        }
        spec.push(("pluginConfig", config));
        self.resource("extensions.istio.io/v1alpha1", "WasmPlugin", object(spec))
    }

    /// Envoy Gateway's EnvoyExtensionPolicy.
    pub fn extension_policy(&self, config: Node) -> Node {
        // Envoy Gateway takes the name of an image as a registry does, without a scheme.
        let url = self.code.strip_prefix("oci://").unwrap_or(self.code);
        let image = object([("url", text(url))]);
        let mut filter = vec![
            ("name", text(self.name)),
            ("rootID", text(self.name)),
            ("code", object([("type", text("Image")), ("image", image)])),
        ];
        if !self.environment.is_empty() {
            let keys = self.environment.iter().map(|name| text(name)).collect();
            filter.push(("env", object([("hostKeys", list(keys))])));
        }
        filter.push(("config", config));
        let spec = object([("wasm", list(vec![object(filter)]))]);
        self.resource("gateway.envoyproxy.io/v1alpha1", "EnvoyExtensionPolicy", spec)
    }

    /// Istio's EnvoyFilter, for the sidecars of callers.
    pub fn envoy_filter(&self, config: &Node) -> Result<Node> {
        let router = object([("name", text("envoy.filters.http.router"))]);
        let manager = object([("name", text(MANAGER)), ("subFilter", router)]);
        let listener = object([("filterChain", object([("filter", manager)]))]);
        let filter =
            [("name", text("envoy.filters.http.wasm")), ("typed_config", self.filter(config)?)];
        let patch = object([("operation", text("INSERT_BEFORE")), ("value", object(filter))]);
        let patch = object([
            ("applyTo", text("HTTP_FILTER")),
            ("match", object([("context", text("SIDECAR_OUTBOUND")), ("listener", listener)])),
            ("patch", patch),
        ]);
        let spec = object([("configPatches", list(vec![patch]))]);
        Ok(self.resource("networking.istio.io/v1alpha3", "EnvoyFilter", spec))
    }

    /// The response of a discovery service, which Envoy reads from a file.
    pub fn discovery(&self, config: &Node) -> Result<Node> {
        let resource = object([
            ("@type", text(EXTENSION)),
            ("name", text(self.name)),
            ("typed_config", self.filter(config)?),
        ]);
        let version = text(&self.generation.to_string());
        Ok(object([("version_info", version), ("resources", list(vec![resource]))]))
    }

    /// The Wasm filter of Envoy.
    fn filter(&self, config: &Node) -> Result<Node> {
        let local = object([("local", object([("filename", text(self.code))]))]);
        let mut vm = vec![("runtime", text("envoy.wasm.runtime.v8")), ("code", local)];
        if !self.environment.is_empty() {
            let keys = self.environment.iter().map(|name| text(name)).collect();
            vm.push(("environment_variables", object([("host_env_keys", list(keys))])));
        }
        let plugin = object([
            ("name", text(self.name)),
            ("root_id", text(self.name)),
            ("failure_policy", text("FAIL_RELOAD")),
            ("vm_config", object(vm)),
            ("configuration", string_value(config)?),
        ]);
        Ok(object([("@type", text(WASM)), ("config", plugin)]))
    }

    fn resource(&self, version: &str, kind: &str, spec: Node) -> Node {
        let namespace = self.namespace.map(|namespace| ("namespace", text(namespace)));
        let metadata = [("name", text(self.name))].into_iter().chain(namespace);
        object([
            ("apiVersion", text(version)),
            ("kind", text(kind)),
            ("metadata", object(metadata)),
            ("spec", spec),
        ])
    }
}

/// The configuration as JSON in a StringValue, as Envoy hands it to the filter byte by byte.
pub fn string_value(config: &Node) -> Result<Node> {
    let json = serde_json::to_string_pretty(config)?;
    Ok(object([("@type", text(STRING)), ("value", text(&(json + "\n")))]))
}

pub fn object<'n>(fields: impl IntoIterator<Item = (&'n str, Node)>) -> Node {
    let fields = fields.into_iter().map(|(name, node)| (name.to_owned(), node));
    Node::new(0, Value::Object(fields.collect()))
}

pub fn text(text: &str) -> Node {
    Node::new(0, Value::Text(text.to_owned()))
}

fn list(nodes: Vec<Node>) -> Node {
    Node::new(0, Value::List(nodes))
}
