//! A proxy-wasm host without a proxy: an interpreter runs the very module that Envoy loads, counts
//! what it asks of its host and how many instructions it takes, and can be as hostile as it likes.
//!
//! ABI 0.2.1 as in the proxy-wasm specification; what it leaves open is done as in
//! proxy-wasm-cpp-host, which Envoy uses.

mod calls;
mod world;

pub use world::{Headers, Map, Status, World};

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use wasmi::{Config, Engine, Instance, Linker, Module, Store, WasmParams, WasmResults};

/// The action of a callback that lets the request go on.
const CONTINUE: i32 = 0;

/// Never reached: it is there to be counted down from.
const FUEL: u64 = u64::MAX;

/// A virtual machine with one module in it, and the world around it.
pub struct Host {
    store: Store<World>,
    instance: Instance,
    next_context: i32,
    /// The status of each response whose stream has not ended.
    statuses: BTreeMap<Stream, u64>,
}

/// A plugin's configuration inside the module: what its streams belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root(i32);

/// One request inside the module, from its headers to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stream(i32);

impl Host {
    /// Starts the module in this file.
    pub fn load(path: &Path) -> Result<Self> {
        let module = std::fs::read(path).with_context(|| path.display().to_string())?;
        Self::start(&module, World::default())
    }

    /// Starts a module in this world.
    pub fn start(module: &[u8], world: World) -> Result<Self> {
        let mut config = Config::default();
        config.consume_fuel(true);
        let engine = Engine::new(&config);
        let module = Module::new(&engine, module)?;
        let mut linker = Linker::new(&engine);
        calls::link(&mut linker, &module)?;
        let mut store = Store::new(&engine, world);
        store.limiter(|world| &mut world.limits);
        store.set_fuel(FUEL)?;
        let instance = linker.instantiate_and_start(&mut store, &module)?;
        let mut host = Self { store, instance, next_context: 1, statuses: BTreeMap::new() };
        host.call::<_, ()>("_initialize", ())?;
        Ok(host)
    }

    /// Gives a new root context this configuration; `None` if the module refuses it.
    pub fn configure(&mut self, configuration: &[u8]) -> Result<Option<Root>> {
        let root = self.next()?;
        self.call_if_exported::<_, ()>("proxy_on_context_create", (root, 0))?;
        self.call_if_exported::<_, i32>("proxy_on_vm_start", (root, 0))?;
        let root = Root(root);
        Ok(self.reconfigure(root, configuration)?.then_some(root))
    }

    /// Gives a root context another configuration; whether the module takes it.
    pub fn reconfigure(&mut self, root: Root, configuration: &[u8]) -> Result<bool> {
        self.world().configuration = configuration.to_vec();
        let size = i32::try_from(configuration.len())?;
        Ok(self.call::<_, i32>("proxy_on_configure", (root.0, size))? != 0)
    }

    /// Sends a request's headers through the module and ends it; the headers as they came out.
    pub fn request(&mut self, root: Root, headers: &Headers) -> Result<Headers> {
        let stream = self.open(root, headers)?;
        self.close(stream)?;
        Ok(self.store.data_mut().request.take().unwrap_or_default())
    }

    /// Begins a request: its context, its headers.
    pub fn open(&mut self, root: Root, headers: &Headers) -> Result<Stream> {
        let (stream, action) = self.begin(root, headers)?;
        ensure!(action == CONTINUE, "the module holds the request back: action {action}");
        Ok(stream)
    }

    /// Begins a request that the module lets nobody have; whether it answered, and with what status.
    pub fn rejected(&mut self, root: Root, headers: &Headers) -> Result<Option<u32>> {
        self.world().local_response = None;
        let (stream, action) = self.begin(root, headers)?;
        ensure!(action != CONTINUE, "the module lets the request through");
        self.close(stream)?;
        Ok(self.world().local_response)
    }

    /// Begins a request that has a body.
    pub fn upload(&mut self, root: Root, headers: &Headers) -> Result<Stream> {
        self.world().state.clear();
        let (stream, action) = self.run(root, headers, false)?;
        ensure!(action == CONTINUE, "the module holds the request back: action {action}");
        Ok(stream)
    }

    /// Passes a part of a request's body by the module.
    pub fn body(&mut self, stream: Stream, size: i32, is_last: bool) -> Result<()> {
        let parameters = (stream.0, size, i32::from(is_last));
        let action = self.call_if_exported::<_, i32>("proxy_on_request_body", parameters)?;
        ensure!(action.is_none_or(|action| action == CONTINUE), "the module holds the body back");
        Ok(())
    }

    fn begin(&mut self, root: Root, headers: &Headers) -> Result<(Stream, i32)> {
        self.world().state.clear();
        self.run(root, headers, true)
    }

    /// Ends a run of a request and begins the next one, with these headers.
    pub fn run_again(&mut self, root: Root, stream: Stream, headers: &Headers) -> Result<Stream> {
        self.end_stream(stream, "internal_redirect", 0)?;
        let World { state, declared, .. } = self.world();
        state.retain(|name, _| declared.contains(name));
        self.open_run(root, headers)
    }

    /// Begins a run of a request that has the properties of the one before.
    pub fn open_run(&mut self, root: Root, headers: &Headers) -> Result<Stream> {
        let (stream, action) = self.run(root, headers, true)?;
        ensure!(action == CONTINUE, "the module holds the request back: action {action}");
        Ok(stream)
    }

    fn run(&mut self, root: Root, headers: &Headers, whole: bool) -> Result<(Stream, i32)> {
        let stream = self.next()?;
        let count = i32::try_from(headers.len())?;
        self.world().request = Some(headers.clone());
        self.call_if_exported::<_, ()>("proxy_on_context_create", (stream, root.0))?;
        let parameters = (stream, count, i32::from(whole));
        let action = self.call_if_exported("proxy_on_request_headers", parameters)?;
        Ok((Stream(stream), action.unwrap_or(CONTINUE)))
    }

    /// Passes the response's headers through the module.
    pub fn respond(&mut self, stream: Stream, headers: &Headers) -> Result<Headers> {
        let count = i32::try_from(headers.len())?;
        self.world().response = Some(headers.clone());
        let status = headers.iter().find(|(name, _)| name == b":status");
        let status = status.and_then(|(_, value)| std::str::from_utf8(value).ok()?.parse().ok());
        self.statuses.extend(status.map(|status| (stream, status)));
        self.call_if_exported::<_, i32>("proxy_on_response_headers", (stream.0, count, 0))?;
        Ok(self.store.data_mut().response.take().unwrap_or_default())
    }

    /// Passes the response's trailers through the module.
    pub fn trail(&mut self, stream: Stream, trailers: &Headers) -> Result<()> {
        let count = i32::try_from(trailers.len())?;
        self.world().trailers = Some(trailers.clone());
        self.call_if_exported::<_, i32>("proxy_on_response_trailers", (stream.0, count))?;
        self.world().trailers = None;
        Ok(())
    }

    /// Ends a request: complete if it has a response, or else since its client left.
    pub fn close(&mut self, stream: Stream) -> Result<()> {
        if self.statuses.contains_key(&stream) {
            self.end_stream(stream, "via_upstream", 0)
        } else {
            self.end_stream(stream, "downstream_remote_disconnect", 1 << 14)
        }
    }

    /// Ends a request with these `response.code_details` and `response.flags`.
    pub fn end_stream(&mut self, stream: Stream, details: &str, flags: u64) -> Result<()> {
        let status = self.statuses.remove(&stream);
        let properties = &mut self.world().properties;
        properties.insert(b"response\0code_details".to_vec(), details.into());
        properties.insert(b"response\0flags".to_vec(), flags.to_le_bytes().to_vec());
        properties.remove(&b"response\0code"[..]);
        let code = status.map(|status| (b"response\0code".to_vec(), status.to_le_bytes().to_vec()));
        properties.extend(code);
        self.call_if_exported::<_, ()>("proxy_on_log", stream.0)?;
        self.end(stream.0)
    }

    /// A second has passed.
    pub fn tick(&mut self, root: Root) -> Result<()> {
        self.call_if_exported::<_, ()>("proxy_on_tick", root.0).map(drop)
    }

    /// Ends a configuration.
    pub fn remove(&mut self, root: Root) -> Result<()> {
        self.end(root.0)
    }

    /// The world around the module, which shows what it has done.
    pub fn world(&mut self) -> &mut World {
        self.store.data_mut()
    }

    /// Instructions executed so far (a bulk operation counts its bytes too).
    pub fn instructions(&self) -> Result<u64> {
        Ok(FUEL - self.store.get_fuel()?)
    }

    /// Bytes of the module's linear memory.
    pub fn memory(&self) -> Result<usize> {
        let memory = self.instance.get_memory(&self.store, "memory");
        Ok(memory.context("the module exports no memory")?.data_size(&self.store))
    }

    fn end(&mut self, context: i32) -> Result<()> {
        self.call_if_exported::<_, i32>("proxy_on_done", context)?;
        self.call_if_exported::<_, ()>("proxy_on_delete", context)?;
        self.world().contexts.remove(&u32::try_from(context)?);
        Ok(())
    }

    /// A new context: they are numbered by the host, and no number comes twice.
    fn next(&mut self) -> Result<i32> {
        let context = self.next_context;
        self.next_context += 1;
        self.world().contexts.insert(u32::try_from(context)?);
        Ok(context)
    }

    /// Envoy, too, passes over a callback that the module does not export.
    fn call_if_exported<P: WasmParams, R: WasmResults>(
        &mut self,
        name: &'static str,
        parameters: P,
    ) -> Result<Option<R>> {
        if self.instance.get_func(&self.store, name).is_none() {
            return Ok(None);
        }
        self.store.data_mut().count(name);
        self.call(name, parameters).map(Some)
    }

    fn call<P: WasmParams, R: WasmResults>(&mut self, name: &str, parameters: P) -> Result<R> {
        let function = self.instance.get_typed_func::<P, R>(&self.store, name)?;
        function.call(&mut self.store, parameters).with_context(|| format!("trapped in {name}"))
    }
}
