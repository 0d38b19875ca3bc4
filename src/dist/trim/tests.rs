//! Modules with a table, and what is taken out of them.

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

/// The function referred to calls the type of `$other_type`, which nothing else does.
#[test]
fn what_is_reached_by_reference_stays() -> Result<()> {
    let caller = "(func $caller i32.const 7 i32.const 1 call_indirect (type $unary))";
    let by_type = "i32.const 0 call_indirect (type $nullary)";
    for (name, references, body) in [
        (
            "a global",
            format!("(global $g funcref (ref.func $caller)) {caller}"),
            "i32.const 0 global.get $g table.set 0 i32.const 0 call_indirect (type $nullary)",
        ),
        (
            "an element that is an expression",
            format!("(elem (i32.const 0) funcref (ref.func $caller)) {caller}"),
            by_type,
        ),
        (
            "a passive element",
            format!("(elem $e func $caller) {caller}"),
            "i32.const 0 i32.const 0 i32.const 1 table.init 0 $e
             i32.const 0 call_indirect (type $nullary)",
        ),
        (
            "a declared element",
            format!("(elem declare func $caller) {caller}"),
            "i32.const 0 ref.func $caller table.set 0 i32.const 0 call_indirect (type $nullary)",
        ),
        (
            "a call by reference",
            String::new(),
            "i32.const 7 i32.const 1 table.get 0 ref.cast (ref $unary) call_ref $unary",
        ),
    ] {
        let module =
            trimmed(&format!("{TABLE} {references} (func (export \"_initialize\") {body})"))?;
        let imports: Vec<_> = module.imports.iter().map(|i| i.name.clone()).collect();
        assert_eq!(imports, ["proxy_http_call"], "{name}");
    }
    Ok(())
}

#[test]
fn a_module_with_subtypes_is_refused() -> Result<()> {
    let types = "(type $open (sub (func))) (type $below (sub $open (func)))
                 (func (type $below)) (func (export \"_initialize\"))";
    let error = trim(&module(types)?).err().map(|error| error.to_string());
    assert_eq!(error.as_deref(), Some("a type has a supertype"));
    Ok(())
}

#[test]
fn a_module_without_a_listed_export_is_refused() -> Result<()> {
    let error = trim(&module(TABLE)?).err().map(|error| error.to_string());
    assert_eq!(error.as_deref(), Some("no export _initialize"));
    assert!(trim(b"no module").is_err());
    Ok(())
}
