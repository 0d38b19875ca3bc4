//! Host functions of the proxy-wasm ABI 0.2.1, as Envoy has them: the only unsafe code there is.
//!
//! The SDK has these functions too, but it panics at a status that it does not expect, and a panic
//! takes down every plugin of the VM; it also copies each name and value of a header map into a
//! string of its own. Here a status is an error that the caller decides about.

#![expect(unsafe_code, reason = "the host is reached by foreign functions only")]
#![deny(clippy::undocumented_unsafe_blocks)]

use std::fmt;
use std::ptr::null_mut;
use std::time::Duration;

use proxy_wasm::types::{BufferType, LogLevel, MapType, MetricType};

unsafe extern "C" {
    fn proxy_log(level: u32, message: *const u8, size: usize) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        max_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *mut *mut u8,
        value_size: *mut usize,
    ) -> u32;
    fn proxy_add_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        value: *mut *mut u8,
        value_size: *mut usize,
    ) -> u32;
    fn proxy_set_property(
        path: *const u8,
        path_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_call_foreign_function(
        name: *const u8,
        name_size: usize,
        argument: *const u8,
        argument_size: usize,
        result: *mut *mut u8,
        result_size: *mut usize,
    ) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        value: *mut *mut u8,
        value_size: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
        cas: u32,
    ) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, offset: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
    fn proxy_send_local_response(
        code: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
}

/// The status of a host call that failed, by its number in the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Status(u32);

impl Status {
    const OK: u32 = 0;
    const NOT_FOUND: Status = Status(1);
    /// Envoy's answer to a property that is declared already.
    pub(super) const BAD_ARGUMENT: Status = Status(2);
    /// Someone else has written the shared data since they were read.
    pub(super) const CAS_MISMATCH: Status = Status(8);
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}", self.0)
    }
}

fn check(status: u32) -> Result<(), Status> {
    if status == Status::OK { Ok(()) } else { Err(Status(status)) }
}

/// Takes over the bytes that a host call hands over at the address and in the number it writes.
fn take(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Vec<u8>, Status> {
    let (mut data, mut size) = (null_mut(), 0);
    check(call(&mut data, &mut size))?;
    if data.is_null() || size == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: the host wrote the bytes into memory that it asked of `proxy_on_memory_allocate` in
    // the SDK, which leaks a vector of exactly this length and capacity, and leaves it to us.
    Ok(unsafe { Vec::from_raw_parts(data, size, size) })
}

/// Takes over bytes that the host may not have.
fn take_if_found(
    call: impl FnOnce(*mut *mut u8, *mut usize) -> u32,
) -> Result<Option<Vec<u8>>, Status> {
    match take(call) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(Status::NOT_FOUND) => Ok(None),
        Err(status) => Err(status),
    }
}

/// Writes a line to Envoy's log.
pub(super) fn log(level: LogLevel, message: &str) -> Result<(), Status> {
    // SAFETY: the host reads the message before it returns.
    check(unsafe { proxy_log(level as u32, message.as_ptr(), message.len()) })
}

/// Nanoseconds since 1970.
pub(super) fn current_time() -> Result<u64, Status> {
    let mut time = 0;
    // SAFETY: the host writes one number, before it returns.
    check(unsafe { proxy_get_current_time_nanoseconds(&mut time) })?;
    Ok(time)
}

/// Sets the period of the plugin's timer; 0 ends it.
pub(super) fn set_tick_period(period: Duration) -> Result<(), Status> {
    let milliseconds = u32::try_from(period.as_millis()).unwrap_or(u32::MAX);
    // SAFETY: no memory is handed over.
    check(unsafe { proxy_set_tick_period_milliseconds(milliseconds) })
}

/// The plugin's configuration; `None` where Envoy was given none.
pub(super) fn plugin_configuration() -> Result<Option<Vec<u8>>, Status> {
    let buffer = BufferType::PluginConfiguration as u32;
    // SAFETY: `take` owns both places that the host writes to.
    take_if_found(|data, size| unsafe { proxy_get_buffer_bytes(buffer, 0, usize::MAX, data, size) })
}

/// Every header of a map, as [`crate::header_map::HeaderMap`] reads them.
pub(super) fn headers(map: MapType) -> Result<Vec<u8>, Status> {
    // SAFETY: `take` owns both places that the host writes to.
    take(|data, size| unsafe { proxy_get_header_map_pairs(map as u32, data, size) })
}

/// The first value of a header.
pub(super) fn header(map: MapType, name: &str) -> Result<Option<Vec<u8>>, Status> {
    let (key, key_size) = (name.as_ptr(), name.len());
    // SAFETY: the host reads the name before it returns; `take` owns both places that it writes to.
    take_if_found(|data, size| unsafe {
        proxy_get_header_map_value(map as u32, key, key_size, data, size)
    })
}

/// Adds a header beside those of the same name.
pub(super) fn add_header(map: MapType, name: &str, value: &[u8]) -> Result<(), Status> {
    let (map, size) = (map as u32, value.len());
    // SAFETY: the host reads name and value before it returns.
    check(unsafe {
        proxy_add_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), size)
    })
}

/// Replaces all values of a header by this one, or removes them.
///
/// After a change of a request header, Envoy resolves the route anew: under the ABI 0.2.1, which the
/// SDK exports, every such change clears the route cache. (A test fails where the module
/// exports another one: from 0.2.2 on only the foreign function `clear_route_cache` does it.)
pub(super) fn set_header(map: MapType, name: &str, value: Option<&[u8]>) -> Result<(), Status> {
    let (map, key, key_size) = (map as u32, name.as_ptr(), name.len());
    // SAFETY: the host reads name and value before it returns.
    check(unsafe {
        match value {
            Some(value) => {
                proxy_replace_header_map_value(map, key, key_size, value.as_ptr(), value.len())
            }
            None => proxy_remove_header_map_value(map, key, key_size),
        }
    })
}

/// A property of the request or the plugin, by its path: segments with NUL between them.
pub(super) fn property(path: &str) -> Result<Option<Vec<u8>>, Status> {
    // SAFETY: the host reads the path before it returns; `take` owns both places that it writes to.
    take_if_found(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) })
}

/// Sets filter state, which Envoy keeps under the name `wasm.NAME`.
pub(super) fn set_property(name: &str, value: &[u8]) -> Result<(), Status> {
    let (data, size) = (value.as_ptr(), value.len());
    // SAFETY: the host reads name and value before it returns.
    check(unsafe { proxy_set_property(name.as_ptr(), name.len(), data, size) })
}

/// Declares a property of bytes that lasts as long as its request, over all its runs; without that it
/// would end with the run that set it. The name has at most 127 bytes.
pub(super) fn declare_request_property(name: &str) -> Result<(), Status> {
    const FUNCTION: &str = "declare_property";
    // Envoy's message `envoy.source.extensions.common.wasm.DeclarePropertyArguments`: field 1 is the
    // name, and field 5 the span, of which 1 is the request.
    let size = u8::try_from(name.len()).unwrap_or(u8::MAX);
    let argument = [&[0x0a, size], name.as_bytes(), &[0x28, 1]].concat();
    let (function, argument, size) = (FUNCTION.as_ptr(), argument.as_ptr(), argument.len());
    // SAFETY: the host reads name and argument before it returns; `take` owns both places that it
    // writes to.
    take(|data, written| unsafe {
        proxy_call_foreign_function(function, FUNCTION.len(), argument, size, data, written)
    })
    .map(drop)
}

/// Data that all VMs of this Envoy share, and the number of their last write.
pub(super) fn shared_data(key: &str) -> Result<(Option<Vec<u8>>, u32), Status> {
    let mut cas = 0;
    // SAFETY: the host reads the key before it returns; `take` owns two of the places that it
    // writes to, and this function the third.
    let value = take_if_found(|data, size| unsafe {
        proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &mut cas)
    })?;
    Ok((value, cas))
}

/// Writes shared data, unless someone else has since they were read; 0 does not ask.
pub(super) fn set_shared_data(key: &str, value: &[u8], cas: u32) -> Result<(), Status> {
    let (data, size) = (value.as_ptr(), value.len());
    // SAFETY: the host reads key and value before it returns.
    check(unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), data, size, cas) })
}

/// The host's number of a new metric.
pub(super) fn define_metric(kind: MetricType, name: &str) -> Result<u32, Status> {
    let mut id = 0;
    // SAFETY: the host reads the name and writes one number before it returns.
    check(unsafe { proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &mut id) })?;
    Ok(id)
}

/// Adds one to a counter.
pub(super) fn increment_metric(id: u32) -> Result<(), Status> {
    // SAFETY: no memory is handed over.
    check(unsafe { proxy_increment_metric(id, 1) })
}

/// Sets a gauge, or adds a value to a histogram.
pub(super) fn record_metric(id: u32, value: u64) -> Result<(), Status> {
    // SAFETY: no memory is handed over.
    check(unsafe { proxy_record_metric(id, value) })
}

/// Answers the request itself with this status and no body; `details` is for access logs.
pub(super) fn send_local_response(code: u32, details: &str) -> Result<(), Status> {
    const NO_GRPC_STATUS: i32 = -1;
    let (data, size) = (details.as_ptr(), details.len());
    // SAFETY: the host reads the details before it returns, and nothing at an address of size 0.
    check(unsafe { proxy_send_local_response(code, data, size, data, 0, data, 0, NO_GRPC_STATUS) })
}
