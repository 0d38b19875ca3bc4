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
    ConstExpr, ConstOp, ElementItems, ExportItem, FunctionBuilder, FunctionId, FunctionKind,
    GlobalKind, Module, ModuleConfig, TypeId, passes,
};

/// The exports and imports of a module, by name.
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
/// Bytes that are no module, a module without an export that is listed, or one with a subtype.
pub fn trim(module: &[u8]) -> Result<Vec<u8>> {
    let mut config = ModuleConfig::new();
    config.generate_name_section(false).generate_producers_section(false);
    let mut module = config.parse(module)?;
    let customs: Vec<_> = module.customs.iter().map(|(id, _)| id).collect();
    for custom in customs {
        module.customs.delete(custom);
    }
    // A call through a table would reach functions of every subtype of its type too.
    ensure!(module.types.iter().all(|ty| ty.supertype.is_none()), "a type has a supertype");
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

/// The functions that can be reached from the exports of a module.
#[derive(Default)]
struct Reached {
    functions: BTreeSet<FunctionId>,
    /// The types of calls through tables.
    types: BTreeSet<TypeId>,
    /// Whether a function is called by its reference, which may come from any table.
    by_reference: bool,
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
        let roots = exported.chain(module.start).chain(in_constants(module));
        roots.for_each(|function| reached.add(function));
        loop {
            while let Some(function) = reached.pending.pop() {
                if let FunctionKind::Local(local) = &module.funcs.get(function).kind {
                    dfs_in_order(&mut reached, local, local.entry_block());
                }
            }
            for function in in_tables(module) {
                let ty = module.funcs.get(function).ty();
                if reached.by_reference || reached.types.contains(&ty) {
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

    fn visit_call_ref(&mut self, _: &ir::CallRef) {
        self.by_reference = true;
    }

    fn visit_return_call_ref(&mut self, _: &ir::ReturnCallRef) {
        self.by_reference = true;
    }
}

fn in_tables(module: &Module) -> impl Iterator<Item = FunctionId> {
    module.elements.iter().flat_map(|element| match &element.items {
        ElementItems::Functions(functions) => functions.clone(),
        ElementItems::Expressions(..) => Vec::new(),
    })
}

/// The functions that constants refer to: code can take them out of globals and tables.
fn in_constants(module: &Module) -> impl Iterator<Item = FunctionId> {
    let globals = module.globals.iter().filter_map(|global| match &global.kind {
        GlobalKind::Local(value) => Some(value),
        GlobalKind::Import(_) => None,
    });
    let tables = module.tables.iter().filter_map(|table| table.init.as_ref());
    let elements = module.elements.iter().flat_map(|element| match &element.items {
        ElementItems::Functions(_) => &[][..],
        ElementItems::Expressions(_, values) => values,
    });
    globals.chain(tables).chain(elements).flat_map(|value| match value {
        ConstExpr::RefFunc(function) => vec![*function],
        ConstExpr::Extended(operations) => operations.iter().filter_map(referred).collect(),
        _ => Vec::new(),
    })
}

fn referred(operation: &ConstOp) -> Option<FunctionId> {
    match operation {
        ConstOp::RefFunc(function) => Some(*function),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
