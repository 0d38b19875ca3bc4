//! What the module shows to its host, and what it can ask of it: no more than is listed.

use std::collections::BTreeSet;

use anyhow::Result;
use serde::Deserialize;
use wasmi::{Engine, Module};

#[derive(Deserialize)]
struct Abi {
    exports: BTreeSet<String>,
    imports: BTreeSet<String>,
}

/// The adapter counts on ABI 0.2.1, which is among the exports: there, a change of a header makes
/// Envoy look for the route anew. From 0.2.2 on it has to call `clear_route_cache` itself.
#[test]
fn exports_and_imports_are_those_listed() -> Result<()> {
    let abi: Abi = serde_json::from_str(include_str!("../abi.json"))?;
    let mut requests = abi.exports.clone();
    for callback in ["proxy_on_response_headers", "proxy_on_delete"] {
        assert!(requests.remove(callback));
    }
    for (module, listed) in
        [(wasm_tests::module()?, abi.exports), (wasm_tests::requests_module()?, requests)]
    {
        let module = Module::new(&Engine::default(), std::fs::read(module)?)?;
        let exports: BTreeSet<_> = module.exports().map(|e| e.name().to_owned()).collect();
        let imports: BTreeSet<_> = module.imports().map(|i| i.name().to_owned()).collect();
        assert_eq!(exports, listed);
        assert_eq!(imports, abi.imports);
    }
    Ok(())
}
