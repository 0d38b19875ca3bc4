//! The manifests for Envoy, as they are and as a test runs them.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs;

/// The listener's name in the manifest.
pub const LISTENER: &str = "http";

/// The manifest of a route that has the weights.
pub const ROUTE_WEIGHTS: &str = "envoy-route-weights.yaml";

const PLAIN: &str = "envoy.yaml";

/// The manifest's text.
pub fn text() -> Result<String> {
    read(PLAIN)
}

fn read(file: &str) -> Result<String> {
    let path = crate::root().join("manifests").join(file);
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// The manifest as data.
pub fn parsed() -> Result<Value> {
    Ok(serde_saphyr::from_str(&text()?)?)
}

const MANAGER: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";

fn at<'v>(value: &'v mut Value, place: &str) -> Result<&'v mut Value> {
    let place = format!("{MANAGER}/{place}");
    value.pointer_mut(&place).with_context(|| format!("nothing at {place}"))
}

const CONFIGURATION: &str = "http_filters/0/typed_config/config/configuration/value";

/// The filter's configuration in the manifest, as the filter gets it.
pub fn configuration() -> Result<String> {
    let mut manifest = parsed()?;
    let value = at(&mut manifest, CONFIGURATION)?;
    value.as_str().map(str::to_owned).context("the configuration is no text")
}

/// A bootstrap like the manifest's with another configuration of the filter.
pub fn reconfigured(bootstrap: &str, configuration: &Value) -> Result<String> {
    let mut bootstrap: Value = serde_saphyr::from_str(bootstrap)?;
    *at(&mut bootstrap, CONFIGURATION)? = configuration.to_string().into();
    Ok(bootstrap.to_string())
}

/// The labels and buckets of the filter's metrics, in Envoy's configuration.
pub fn stats_config() -> Result<Value> {
    Ok(parsed()?["stats_config"].take())
}

/// The access log there.
pub fn access_log() -> Result<Value> {
    Ok(at(&mut parsed()?, "access_log")?.take())
}

/// The manifest with free loopback ports, its upstreams on these ports of the loopback interface,
/// and the module that was built here; everything else as it is written.
pub fn runnable(stable: u16, canary: u16) -> Result<String> {
    runnable_of(PLAIN, stable, canary)
}

/// The same for another manifest.
pub fn runnable_of(file: &str, stable: u16, canary: u16) -> Result<String> {
    let replacements = [
        ("0.0.0.0, port_value: 10000 }", "127.0.0.1, port_value: 0 }"),
        ("127.0.0.1, port_value: 9901 }", "127.0.0.1, port_value: 0 }"),
        ("port_value: 8081 }", &format!("port_value: {stable} }}")),
        ("port_value: 8082 }", &format!("port_value: {canary} }}")),
    ];
    replaced(file, &replacements)
}

/// `manifests/inner-hop.yaml` in the same way. It trusts 127.0.0.1.
pub fn inner_hop(stable: u16, canary: u16) -> Result<String> {
    let replacements = [
        ("0.0.0.0, port_value: 10001 }", "127.0.0.1, port_value: 0 }"),
        ("127.0.0.1, port_value: 9902 }", "127.0.0.1, port_value: 0 }"),
        ("address_prefix: 10.1.0.0, prefix_len: 16", "address_prefix: 127.0.0.1, prefix_len: 32"),
        ("port_value: 8083 }", &format!("port_value: {stable} }}")),
        ("port_value: 8084 }", &format!("port_value: {canary} }}")),
    ];
    replaced("inner-hop.yaml", &replacements)
}

fn replaced(file: &str, replacements: &[(&str, &str)]) -> Result<String> {
    let module = crate::module()?;
    let module = module.to_str().context("the module's path is not UTF-8")?;
    let mut text = read(file)?;
    for (from, to) in replacements.iter().chain(&[("/etc/envoy/traffic_split.wasm", module)]) {
        let found = text.matches(from).count();
        ensure!(found == 1, "manifests/{file} holds `{from}` {found} times, not once");
        text = text.replace(from, to);
    }
    Ok(text)
}
