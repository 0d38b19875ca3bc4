//! Listeners whose Envoy runs requests a second time.

use crate::bootstrap::{Listener, typed};
use anyhow::{Context, Result};
use serde_json::{Value, json};

/// A listener whose routes follow redirects, and whose clients get an error page for a 503.
pub fn listener(name: &str, configuration: &Value) -> Result<Listener> {
    let mut listener = Listener::new(name, &configuration.to_string())?;
    let redirects = json!({"max_internal_redirects": 5});
    for route in listener.routes.as_array_mut().context("no routes")? {
        route["route"]["internal_redirect_policy"] = redirects.clone();
    }
    listener.filters.insert(0, custom_response());
    Ok(listener)
}

/// The filter that answers a 503 by the page `/sorry`.
fn custom_response() -> Value {
    let code = "envoy.type.matcher.v3.HttpResponseStatusCodeMatchInput";
    let policy = "envoy.extensions.http.custom_response.redirect_policy.v3.RedirectPolicy";
    let policy = typed(policy, json!({"redirect_action": {"path_redirect": "/sorry"}}));
    let matcher = json!({
        "predicate": {"single_predicate": {
            "input": {"name": "code", "typed_config": typed(code, json!({}))},
            "value_match": {"exact": "503"}
        }},
        "on_match": {"action": {"name": "page", "typed_config": policy}}
    });
    let matchers = json!({"custom_response_matcher": {"matcher_list": {"matchers": [matcher]}}});
    let name = "envoy.extensions.filters.http.custom_response.v3.CustomResponse";
    json!({"name": "envoy.filters.http.custom_response", "typed_config": typed(name, matchers)})
}
