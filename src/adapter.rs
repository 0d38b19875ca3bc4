//! The one place that speaks proxy-wasm: it hands the core what Envoy has, and applies what the
//! core decided. Compiled for Wasm only.

use std::cell::OnceCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::UNIX_EPOCH;

use log::{error, info};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, Bytes, ContextType, LogLevel, MapType};

use crate::header_map::HeaderMap;
use crate::{Ambient, Effect, Plan, Request, cookies, decide, effects};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Root::default()));
}}

/// One plugin configuration. Plugins of one module share a VM, each with a root of its own.
#[derive(Default)]
struct Root {
    plan: Option<Rc<Plan>>,
}

impl Context for Root {}

impl RootContext for Root {
    /// Runs in a canary VM on Envoy's main thread first, then once in every worker. Where it
    /// answers false to an update, Envoy keeps the old configuration.
    fn on_configure(&mut self, _size: usize) -> bool {
        if let Err(error) = seed_random() {
            error!("no entropy from the host: {error}");
            return false;
        }
        match Plan::compile(&configuration(), &|name| std::env::var(name).ok()) {
            Ok(plan) => {
                info!("configured: {plan}");
                self.plan = Some(Rc::new(plan));
                true
            }
            Err(errors) => {
                errors.to_string().lines().for_each(|line| error!("{line}"));
                false
            }
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream { plan: self.plan.clone(), set_cookies: Vec::new() }))
    }
}

/// The plugin's configuration; empty where Envoy was given none.
fn configuration() -> Bytes {
    let all = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, usize::MAX);
    all.ok().flatten().unwrap_or_default()
}

/// fastrand would seed itself from a clock: two workers, or two starts, could draw alike.
fn seed_random() -> Result<(), getrandom::Error> {
    getrandom::u64().map(fastrand::seed)
}

/// One request and its response.
struct Stream {
    plan: Option<Rc<Plan>>,
    /// To add to the response.
    set_cookies: Vec<String>,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _headers: usize, _end_of_stream: bool) -> Action {
        if let Some(plan) = &self.plan {
            let request = HostRequest::default();
            let decision = decide(plan, &request, &mut Host);
            let cookies = cookies(plan, &decision, &request, &mut Host);
            for Effect { header, value } in effects(plan, &decision) {
                // A header that nobody sent needs no removing.
                if value.is_some() || request.header(header).next().is_some() {
                    set_request_header(header, value.map(str::as_bytes));
                }
            }
            if let Some(value) = cookies.request {
                set_request_header("cookie", Some(&value));
            }
            self.set_cookies = cookies.response;
        }
        Action::Continue
    }

    /// Added beside whatever the upstream sets.
    fn on_http_response_headers(&mut self, _headers: usize, _end_of_stream: bool) -> Action {
        for cookie in self.set_cookies.drain(..) {
            let (map, value) = (MapType::HttpResponseHeaders, cookie.as_bytes());
            if hostcalls::add_map_value_bytes(map, "set-cookie", value).is_err() {
                error!("cannot set a cookie");
            }
        }
        Action::Continue
    }
}

/// Chance and time, from Envoy.
struct Host;

impl Ambient for Host {
    fn random(&mut self) -> u64 {
        fastrand::u64(..)
    }

    fn entropy(&mut self) -> Option<[u8; 16]> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).ok()?;
        Some(bytes)
    }

    fn now(&mut self) -> u64 {
        let now = hostcalls::get_current_time().ok();
        let since = now.and_then(|now| now.duration_since(UNIX_EPOCH).ok());
        since.map_or(0, |since| since.as_secs())
    }
}

/// The request as Envoy holds it, read when first asked for.
#[derive(Default)]
struct HostRequest {
    /// A single read would give only the first of several values, so all are read at once.
    headers: OnceCell<HeaderMap>,
    source: OnceCell<Option<IpAddr>>,
}

impl Request for HostRequest {
    fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.headers.get_or_init(request_headers).iter()
    }

    fn source_address(&self) -> Option<IpAddr> {
        *self.source.get_or_init(|| {
            let address = hostcalls::get_property(vec!["source", "address"]).ok()??;
            let address = std::str::from_utf8(&address).ok()?;
            address.parse().map(|address: SocketAddr| address.ip()).ok()
        })
    }
}

/// Every request header in one piece. The SDK only has them copied into a string each, twice a
/// header; `wasm-tests/strip` makes this buffer, which is empty in a filter that makes no calls, the
/// name of the request's header map.
fn request_headers() -> HeaderMap {
    let map = hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, usize::MAX);
    HeaderMap(map.ok().flatten().unwrap_or_default())
}

/// Envoy then resolves the route anew: under the ABI 0.2.1, which the SDK exports, every change of
/// a request header clears the route cache. (A test fails where the module exports another one:
/// from 0.2.2 on only the foreign function `clear_route_cache` does it.)
fn set_request_header(name: &str, value: Option<&[u8]>) {
    if hostcalls::set_map_value_bytes(MapType::HttpRequestHeaders, name, value).is_err() {
        error!("cannot write the request header {name}");
    }
}
