//! What the module shows to its host, and what it can ask of it: no more than is listed.

use std::collections::BTreeSet;

use anyhow::Result;
use wasmi::{Engine, Module};

/// The adapter counts on ABI 0.2.1, which is among the exports: there, a change of a header makes
/// Envoy look for the route anew. From 0.2.2 on it has to call `clear_route_cache` itself.
#[test]
fn exports_and_imports_are_those_listed() -> Result<()> {
    let listed = dist::trim::abi()?;
    let module = Module::new(&Engine::default(), std::fs::read(wasm_tests::module()?)?)?;
    let exports: BTreeSet<_> = module.exports().map(|e| e.name().to_owned()).collect();
    let imports: BTreeSet<_> = module.imports().map(|i| i.name().to_owned()).collect();
    assert_eq!(exports, listed.exports);
    assert_eq!(imports, listed.imports);
    Ok(())
}
