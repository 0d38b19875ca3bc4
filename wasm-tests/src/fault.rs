//! The filter's module with a fault in it, for Envoy to run: made of the very one that is served.

use anyhow::{Context, Result};
use std::fs;
use std::path::PathBuf;
use walrus::ir::{BinaryOp, ExtendedLoad, LoadKind, MemArg};
use walrus::{InstrSeqBuilder, Module};

use crate::host::Status;

/// Traps where it should read the property `source.address`, the only one here that begins with an
/// `s`: a rule on `sourceIp` takes down the VM of a request that comes so far. No other is found.
pub fn trapping() -> Result<PathBuf> {
    changed("trapping", |module| {
        let property = module.imports.get_func("env", "proxy_get_property")?;
        let memory = module.memories.iter().next().context("no memory")?.id();
        module.replace_imported_func(property, |(body, arguments)| {
            let Some(path) = arguments.first() else { return };
            let first = LoadKind::I32_8 { kind: ExtendedLoad::ZeroExtend };
            body.local_get(*path).load(memory, first, MemArg { align: 1, offset: 0 });
            body.i32_const(i32::from(b's')).binop(BinaryOp::I32Eq);
            let trap = |then: &mut InstrSeqBuilder<'_>| {
                then.unreachable();
            };
            body.if_else(None, trap, |_| {});
            body.i32_const(Status::NotFound as i32);
        })?;
        Ok(())
    })
}

/// Has so many pages of 64 KiB more than it starts with, and then no more.
pub fn starved(pages: u64) -> Result<PathBuf> {
    changed("starved", |module| {
        let memory = module.memories.iter_mut().next().context("no memory")?;
        memory.maximum = Some(memory.initial + pages);
        Ok(())
    })
}

fn changed(name: &str, change: impl FnOnce(&mut Module) -> Result<()>) -> Result<PathBuf> {
    let mut module = Module::from_file(crate::module()?)?;
    change(&mut module)?;
    let folder = crate::target().join("faults");
    fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{name}.wasm"));
    // Another test may be reading it.
    let partial = tempfile::NamedTempFile::new_in(&folder)?;
    fs::write(partial.path(), module.emit_wasm())?;
    partial.persist(&path)?;
    Ok(path)
}
