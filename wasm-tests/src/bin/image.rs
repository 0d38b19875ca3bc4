//! `make image`: the filter's module as an OCI image layout.

use anyhow::Result;
use std::fs;

fn main() -> Result<()> {
    let folder = wasm_tests::target().join("image");
    let digest = wasm_tests::image::write(&wasm_tests::module()?, &folder)?;
    fs::write(wasm_tests::target().join("image.digest"), &digest)?;
    println!("target/image  {digest}");
    Ok(())
}
