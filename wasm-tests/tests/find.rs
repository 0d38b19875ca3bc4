//! Which Envoy is used, of those that could be.

use anyhow::Result;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// The output of `wasm-tests envoy` in this environment and no other.
fn printed(variables: &[(&str, &Path)]) -> Result<(bool, String)> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wasm-tests"));
    let output = command.arg("envoy").env_clear().envs(variables.iter().copied()).output()?;
    let text = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8(text)?.trim_end().to_owned()))
}

#[test]
fn the_first_of_those_that_are_there() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let program = |name: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap_or(folder.path()))?;
        fs::write(&path, "")?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        anyhow::Ok(path)
    };
    let (own, own_func_e) = (program("own")?, program("own-func-e")?);
    let (envoy, func_e) = (program("a/envoy")?, program("b/func-e")?);
    let (envoys, func_es) = (folder.path().join("a"), folder.path().join("b"));
    let both = std::env::join_paths([&envoys, &func_es])?;
    let both = Path::new(&both);
    let (own, own_func_e) = (own.as_path(), own_func_e.as_path());
    // No such wheel: nothing is installed, and nothing is there.
    let version = Path::new("0.0.0");
    let through = |func_e: &Path, envoy: &Path| {
        format!("{} --envoy-path {} run", func_e.display(), envoy.display())
    };
    let cases: [(&[(&str, &Path)], String); 7] = [
        (&[("ENVOY", own), ("PATH", both)], own.display().to_string()),
        (&[("ENVOY", own), ("FUNC_E", own_func_e), ("PATH", both)], through(own_func_e, own)),
        (&[("FUNC_E", own_func_e), ("PATH", both)], through(own_func_e, &envoy)),
        (&[("PATH", both)], through(&func_e, &envoy)),
        (&[("PATH", &envoys)], envoy.display().to_string()),
        // The one on the path may not be of that version.
        (&[("ENVOY_VERSION", version), ("PATH", both)], format!("{} run", func_e.display())),
        (&[("ENVOY", Path::new("")), ("PATH", &envoys)], envoy.display().to_string()),
    ];
    for (variables, expected) in cases {
        assert_eq!(printed(variables)?, (true, expected), "{variables:?}");
    }
    let missing = folder.path().join("none");
    let (found, error) = printed(&[("ENVOY", &missing), ("PATH", both)])?;
    let expected = format!("error: ENVOY={}: there is no such program", missing.display());
    assert_eq!((found, error), (false, expected));
    Ok(())
}
