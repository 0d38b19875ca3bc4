//! Takes out of a proxy-wasm module what its host has no use for. The module does what it did
//! before: nothing is changed, only left out.
//!
//! - Exports that are not listed in `abi.json`. The SDK exports every callback there is, and Envoy
//!   crosses into the VM for each of them on every request, though nothing is done there.
//! - Functions that no call can reach, and the imports that only these call.
//! - The names of functions, and custom sections.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use serde::Deserialize;
use walrus::ir::{self, Visitor, dfs_in_order};
use walrus::{
    ElementItems, ExportItem, FunctionBuilder, FunctionId, FunctionKind, Module, ModuleConfig,
    TypeId, passes,
};

/// What a module shows to its host and asks of it, by name.
#[derive(Debug, Deserialize)]
pub struct Abi {
    /// The functions and the memory that Envoy uses.
    pub exports: BTreeSet<String>,
    /// The host functions that the module may import.
    pub imports: BTreeSet<String>,
}

/// The list that ships with the filter.
///
/// # Errors
/// None, as long as `abi.json` is what its type says.
pub fn abi() -> Result<Abi> {
    Ok(serde_json::from_str(include_str!("abi.json"))?)
}

/// The module without what its host has no use for.
///
/// # Errors
/// Bytes that are no module, or a module without an export that is listed.
pub fn trim(module: &[u8]) -> Result<Vec<u8>> {
    let mut config = ModuleConfig::new();
    config.generate_name_section(false).generate_producers_section(false);
    let mut module = config.parse(module)?;
    let customs: Vec<_> = module.customs.iter().map(|(id, _)| id).collect();
    for custom in customs {
        module.customs.delete(custom);
    }
    drop_exports(&abi()?.exports, &mut module)?;
    drop_unreachable(&mut module);
    passes::gc::run(&mut module);
    Ok(module.emit_wasm())
}

fn drop_exports(listed: &BTreeSet<String>, module: &mut Module) -> Result<()> {
    for name in listed {
        ensure!(module.exports.iter().any(|export| export.name == *name), "no export {name}");
    }
    let unlisted = module.exports.iter().filter(|export| !listed.contains(&export.name));
    for export in unlisted.map(walrus::Export::id).collect::<Vec<_>>() {
        module.exports.delete(export);
    }
    Ok(())
}

/// Empties the entries of tables that no call can reach. A call through a table traps unless the
/// function there has the very type that the call names; so a function is reached through a table
/// only if something that is reached calls its type. Where an entry is emptied, such a call traps as
/// it did before.
fn drop_unreachable(module: &mut Module) {
    let reached = Reached::from_exports(module);
    let trap = {
        let mut builder = FunctionBuilder::new(&mut module.types, &[], &[]);
        builder.func_body().unreachable();
        builder.finish(vec![], &mut module.funcs)
    };
    for element in module.elements.iter_mut() {
        if let ElementItems::Functions(functions) = &mut element.items {
            for function in functions.iter_mut().filter(|f| !reached.functions.contains(*f)) {
                *function = trap;
            }
        }
    }
}

/// What can be reached from the exports of a module.
#[derive(Default)]
struct Reached {
    functions: BTreeSet<FunctionId>,
    /// The types of calls through tables.
    types: BTreeSet<TypeId>,
    /// Functions reached whose own calls have not been looked at.
    pending: Vec<FunctionId>,
}

impl Reached {
    fn from_exports(module: &Module) -> Self {
        let mut reached = Reached::default();
        let exported = module.exports.iter().filter_map(|export| match export.item {
            ExportItem::Function(function) => Some(function),
            _ => None,
        });
        exported.chain(module.start).for_each(|function| reached.add(function));
        loop {
            while let Some(function) = reached.pending.pop() {
                if let FunctionKind::Local(local) = &module.funcs.get(function).kind {
                    dfs_in_order(&mut reached, local, local.entry_block());
                }
            }
            for function in in_tables(module) {
                if reached.types.contains(&module.funcs.get(function).ty()) {
                    reached.add(function);
                }
            }
            if reached.pending.is_empty() {
                return reached;
            }
        }
    }

    fn add(&mut self, function: FunctionId) {
        if self.functions.insert(function) {
            self.pending.push(function);
        }
    }
}

impl<'i> Visitor<'i> for Reached {
    fn visit_call(&mut self, call: &ir::Call) {
        self.add(call.func);
    }

    fn visit_return_call(&mut self, call: &ir::ReturnCall) {
        self.add(call.func);
    }

    fn visit_ref_func(&mut self, reference: &ir::RefFunc) {
        self.add(reference.func);
    }

    fn visit_call_indirect(&mut self, call: &ir::CallIndirect) {
        self.types.insert(call.ty);
    }

    fn visit_return_call_indirect(&mut self, call: &ir::ReturnCallIndirect) {
        self.types.insert(call.ty);
    }
}

fn in_tables(module: &Module) -> impl Iterator<Item = FunctionId> {
    module.elements.iter().flat_map(|element| match &element.items {
        ElementItems::Functions(functions) => functions.clone(),
        ElementItems::Expressions(..) => Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module with the listed exports, a table, and what is in `extra`.
    fn module(extra: &str) -> Result<Vec<u8>> {
        let listed = abi()?.exports;
        let exports = listed.iter().filter(|name| *name != "memory" && *name != "_initialize");
        let exports: String = exports.map(|name| format!("(func (export \"{name}\"))\n")).collect();
        Ok(wat::parse_str(format!(
            "(module (type $nullary (func)) (type $unary (func (param i32)))
               (import \"env\" \"proxy_http_call\" (func $call (param i32)))
               (memory (export \"memory\") 1) {exports} {extra})"
        ))?)
    }

    fn trimmed(extra: &str) -> Result<Module> {
        Module::from_buffer(&trim(&module(extra)?)?)
    }

    const TABLE: &str = "(table 2 funcref) (elem (i32.const 0) $same_type $other_type)
        (func $same_type) (func $other_type (param i32) local.get 0 call $call)
        (@custom \"notes\" \"from the linker\")
        (func (export \"proxy_on_log\") (param i32) local.get 0 call $call)";

    #[test]
    fn what_no_call_can_reach_is_left_out() -> Result<()> {
        let calls = "(func (export \"_initialize\") i32.const 0 call_indirect (type $nullary))";
        let module = trimmed(&format!("{TABLE} {calls}"))?;
        assert_eq!(module.imports.iter().count(), 0, "only a type that nobody calls uses it");
        let exports: BTreeSet<_> = module.exports.iter().map(|e| e.name.clone()).collect();
        assert_eq!(exports, abi()?.exports);
        assert_eq!(module.customs.iter().count(), 0);
        assert!(module.funcs.iter().all(|function| function.name.is_none()));
        Ok(())
    }

    #[test]
    fn what_a_call_can_reach_stays() -> Result<()> {
        let calls = "(func (export \"_initialize\")
            i32.const 7 i32.const 1 call_indirect (type $unary))";
        let module = trimmed(&format!("{TABLE} {calls}"))?;
        let imports: Vec<_> = module.imports.iter().map(|i| i.name.clone()).collect();
        assert_eq!(imports, ["proxy_http_call"]);
        Ok(())
    }

    #[test]
    fn a_module_without_a_listed_export_is_refused() -> Result<()> {
        let error = trim(&module(TABLE)?).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("no export _initialize"));
        assert!(trim(b"no module").is_err());
        Ok(())
    }
}
