//! A filter that does nothing, built with the plain SDK: the yardstick of the benchmark.

#![cfg(target_arch = "wasm32")]
// The SDK's macro writes a function without them.
#![allow(missing_docs)]

use proxy_wasm::traits::{Context, HttpContext};

proxy_wasm::main! {{
    proxy_wasm::set_http_context(|_, _| Box::new(Empty));
}}

struct Empty;

impl Context for Empty {}

impl HttpContext for Empty {}
