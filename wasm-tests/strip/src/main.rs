//! Takes out of a linked proxy-wasm module what the host need not know of: `strip ABI IN OUT
//! REQUESTS`. The module REQUESTS is the one that sees no responses, and so is called less often.
//!
//! - Exports that are not listed. The SDK exports every callback there is, and Envoy crosses into
//!   the VM for each one on every request, though nothing is done there.
//! - The SDK's dispatcher: a callback that is listed leads to the function of its name in the
//!   filter's own `adapter/callbacks.rs`.
//! - Imports that are not listed. The SDK's traits name host calls that nothing here makes, but
//!   their tables keep them alive. In the place of each one stands a trap: a capability that is
//!   not listed is not there.
//! - Statuses of host calls that the SDK would panic at.
//! - Functions that are known never to run, by their names, each with its reason: a trap takes
//!   the place of what they do.
//! - Functions that nothing refers to any more, and custom sections.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use walrus::ir::{BinaryOp, Const, Instr, InstrLocId, Unreachable, Value};
use walrus::{ExportItem, FunctionId, ImportKind, Module, ModuleConfig, ValType, passes};

/// What a module may show to its host and ask of it, by name.
#[derive(Deserialize)]
struct Abi {
    exports: BTreeSet<String>,
    imports: BTreeSet<String>,
}

/// The SDK's dispatcher, and what its contexts do, whose methods stand in tables. Nothing leads there
/// any more but from these tables.
fn is_dispatcher(name: &str) -> bool {
    let name = name.trim_start_matches('<');
    ["proxy_wasm::dispatcher::", "proxy_wasm::traits::"].iter().any(|path| name.starts_with(path))
}

/// The SDK's panic hook, which logs through the host, takes the place of the standard library's,
/// which writes to a stderr that is not there.
fn is_default_hook(name: &str) -> bool {
    name.starts_with("std::panicking::default_hook")
}

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [abi, input, output, requests] = arguments.as_slice() else {
        bail!("usage: strip ABI IN OUT REQUESTS");
    };
    let abi = fs::read(abi).context(abi.clone())?;
    let mut abi: Abi = serde_json::from_slice(&abi)?;
    let module = fs::read(input).context(input.clone())?;
    write(output, &strip(&abi, &module)?)?;
    for callback in RESPONSES {
        abi.exports.remove(callback);
    }
    write(requests, &strip(&abi, &module)?)
}

/// Envoy may watch the file: it never sees half of it.
fn write(output: &str, module: &[u8]) -> Result<()> {
    let partial = format!("{output}.partial");
    fs::write(&partial, module).context(partial.clone())?;
    fs::rename(&partial, output).context(output.to_owned())
}

fn strip(abi: &Abi, module: &[u8]) -> Result<Vec<u8>> {
    let mut config = ModuleConfig::new();
    config.generate_name_section(false).generate_producers_section(false);
    let mut module = config.parse(module)?;
    let customs: Vec<_> = module.customs.iter().map(|(id, _)| id).collect();
    for custom in customs {
        module.customs.delete(custom);
    }
    drop_exports(abi, &mut module)?;
    dispatch(&mut module)?;
    alias_header_map(&mut module)?;
    for (call, instead) in TAMED {
        tame(&mut module, call, instead)?;
    }
    drop_imports(abi, &mut module)?;
    if !RESPONSES.iter().any(|callback| abi.exports.contains(*callback)) {
        deny_responses(&mut module)?;
    }
    empty_dead(&mut module);
    passes::gc::run(&mut module);
    Ok(module.emit_wasm())
}

/// The callbacks of what comes after a request's headers.
const RESPONSES: [&str; 2] = ["proxy_on_response_headers", "proxy_on_delete"];

/// The module has to know that it sees no responses: it refuses the configurations that need them.
fn deny_responses(module: &mut Module) -> Result<()> {
    let function = named(module, |name| name == "traffic_split::adapter::host::sees_responses");
    let [function] = function.as_slice() else { bail!("no function sees_responses") };
    let value = Const { value: Value::I32(0) };
    replace(module, *function, value.into());
    Ok(())
}

fn drop_exports(abi: &Abi, module: &mut Module) -> Result<()> {
    for name in &abi.exports {
        ensure!(module.exports.iter().any(|export| export.name == *name), "no export {name}");
    }
    let unlisted = module.exports.iter().filter(|export| !abi.exports.contains(&export.name));
    for export in unlisted.map(walrus::Export::id).collect::<Vec<_>>() {
        module.exports.delete(export);
    }
    Ok(())
}

/// Leads the callbacks to the filter's own functions.
fn dispatch(module: &mut Module) -> Result<()> {
    let is_callback = |name: &str| name.starts_with("proxy_on_") && name != ALLOCATE;
    let callbacks = module.exports.iter().filter(|export| is_callback(&export.name));
    for (export, name) in callbacks.map(|e| (e.id(), e.name.clone())).collect::<Vec<_>>() {
        let path = format!("traffic_split::adapter::callbacks::{name}");
        let [function] = named(module, |name| name == path)[..] else {
            bail!("no function {path}")
        };
        module.exports.get_mut(export).item = ExportItem::Function(function);
    }
    Ok(())
}

/// The SDK's own: memory for what the host hands over.
const ALLOCATE: &str = "proxy_on_memory_allocate";

const OK: i32 = 0;
const NOT_FOUND: i32 = 1;
const BAD_ARGUMENT: i32 = 2;
const CAS_MISMATCH: i32 = 8;

/// The SDK panics at a status that it does not expect of a call, and a panic takes the VM down.
/// What cannot be read is missing; what cannot be written is lost, be it a line of the log, a
/// number, a timer or a `Set-Cookie`; a clock that cannot be read shows 1970.
///
/// Two kinds stay a panic. A request header that cannot be written: the request would go where its
/// client says. A metric that cannot be defined: the configuration is refused with it.
const TAMED: [(&str, i32); 14] = [
    ("proxy_add_header_map_value", OK),
    ("proxy_get_buffer_bytes", NOT_FOUND),
    ("proxy_get_current_time_nanoseconds", OK),
    ("proxy_get_header_map_pairs", OK),
    ("proxy_get_header_map_value", NOT_FOUND),
    ("proxy_get_property", NOT_FOUND),
    ("proxy_get_shared_data", NOT_FOUND),
    ("proxy_increment_metric", NOT_FOUND),
    ("proxy_log", OK),
    ("proxy_record_metric", NOT_FOUND),
    ("proxy_set_effective_context", BAD_ARGUMENT),
    ("proxy_set_property", OK),
    ("proxy_set_shared_data", CAS_MISMATCH),
    ("proxy_set_tick_period_milliseconds", OK),
];

/// Every status of this call but success becomes another one.
fn tame(module: &mut Module, call: &str, instead: i32) -> Result<()> {
    let Ok(import) = module.imports.get_func("env", call) else { return Ok(()) };
    let ty = module.types.get(module.funcs.get(import).ty());
    let (parameters, results) = (ty.params().to_vec(), ty.results().to_vec());
    let ty = module.types.add(&parameters, &results);
    let (original, _) = module.add_import_func("env", call, ty);
    module.replace_imported_func(import, |(body, arguments)| {
        for argument in arguments {
            body.local_get(*argument);
        }
        body.call(original).i32_const(OK).binop(BinaryOp::I32Ne);
        body.i32_const(instead).binop(BinaryOp::I32Mul);
    })?;
    Ok(())
}

/// The SDK copies each name and value of a header map into a string of its own, and offers nothing
/// else. So a buffer that this filter has no other use for becomes another name for the request's
/// header map: `proxy_get_buffer_bytes` of it becomes `proxy_get_header_map_pairs`, which has the
/// same results.
fn alias_header_map(module: &mut Module) -> Result<()> {
    const HTTP_CALL_RESPONSE_BODY: i32 = 4;
    const HTTP_REQUEST_HEADERS: i32 = 0;
    let buffer = module.imports.get_func("env", "proxy_get_buffer_bytes")?;
    let pairs = module.imports.get_func("env", "proxy_get_header_map_pairs")?;
    let again = module.types.add(&[ValType::I32; 5], &[ValType::I32]);
    let (original, _) = module.add_import_func("env", "proxy_get_buffer_bytes", again);
    module.replace_imported_func(buffer, |(body, arguments)| {
        let &[kind, start, size, data, length] = arguments.as_slice() else { return };
        body.local_get(kind).i32_const(HTTP_CALL_RESPONSE_BODY).binop(BinaryOp::I32Eq).if_else(
            ValType::I32,
            |map| {
                map.i32_const(HTTP_REQUEST_HEADERS).local_get(data).local_get(length).call(pairs);
            },
            |other| {
                for argument in [kind, start, size, data, length] {
                    other.local_get(argument);
                }
                other.call(original);
            },
        );
    })?;
    Ok(())
}

fn drop_imports(abi: &Abi, module: &mut Module) -> Result<()> {
    let unlisted = module.imports.iter().filter(|import| !abi.imports.contains(&import.name));
    let functions = unlisted.filter_map(|import| match import.kind {
        ImportKind::Function(function) => Some(function),
        _ => None,
    });
    for function in functions.collect::<Vec<_>>() {
        module.replace_imported_func(function, |(body, _)| {
            body.unreachable();
        })?;
    }
    Ok(())
}

fn empty_dead(module: &mut Module) {
    for id in named(module, |name| is_dispatcher(name) || is_default_hook(name)) {
        replace(module, id, Unreachable {}.into());
    }
}

fn named(module: &Module, wanted: impl Fn(&str) -> bool) -> Vec<FunctionId> {
    let functions = module.funcs.iter_local().filter_map(|(id, _)| {
        let name = format!("{:#}", rustc_demangle::demangle(module.funcs.get(id).name.as_ref()?));
        wanted(&name).then_some(id)
    });
    functions.collect()
}

/// All that a function does becomes one instruction.
fn replace(module: &mut Module, function: FunctionId, instruction: Instr) {
    let function = module.funcs.get_mut(function).kind.unwrap_local_mut();
    let body = function.entry_block();
    function.block_mut(body).instrs = vec![(instruction, InstrLocId::default())];
}
