//! The edge of the filter: Envoy's callbacks and host calls, by way of the proxy-wasm SDK. It hands
//! the core what Envoy has, and carries out the outcome. Compiled for Wasm only.
//!
//! A host call that fails is decided where it is made: `abi` returns a `Result` for each.

mod abi;
mod caching;
mod chain;
mod environment;
mod gauges;
mod guards;
mod logger;
mod metrics;
mod observed;
mod plugin;
mod request;
mod rerun;
mod root;
mod stream;
mod vm;

proxy_wasm::main! {{
    logger::install();
    proxy_wasm::set_root_context(|_| Box::new(root::Root::default()));
}}
