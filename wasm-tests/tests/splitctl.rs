//! The whole output of `splitctl`: each file in `splitctl/` is a transcript of commands, given as a
//! shell would be, with their output and, where it is not 0, their exit code.

use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// A line of a transcript that is a command, and all that follows up to the next one.
fn commands(transcript: &str) -> impl Iterator<Item = (&str, &str)> {
    let blocks = transcript.split("\n\n$ ").map(|block| block.trim_start_matches("$ "));
    blocks.filter_map(|block| block.split_once('\n').or(Some((block, ""))))
}

/// Output and errors as a terminal would show them, and the exit code.
fn run(command: &str, directory: &Path, program: &Path) -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("sh")
        .args(["-c", &format!("exec 2>&1; {command}")])
        .current_dir(directory)
        .env_clear()
        .env("PATH", format!("{}:{path}", program.parent().unwrap().display()))
        .output()
        .unwrap();
    let mut text = String::from_utf8(output.stdout).unwrap();
    match output.status.code() {
        Some(0) => {}
        code => text += &format!("[exit {}]\n", code.unwrap()),
    }
    text.trim_end().to_owned()
}

/// The warnings of `splitctl validate` about some files, without those of placeholders, which a
/// manifest is meant to have.
fn warnings(program: &Path, files: &[&str]) -> Vec<String> {
    let files = files.iter().flat_map(|file| ["-f", file]);
    let output =
        Command::new(program).args(["validate", "-o", "json"]).args(files).output().unwrap();
    let report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(report["valid"], true, "{report:#}");
    let warnings = report["warnings"].as_array().unwrap().iter();
    let own = warnings.filter(|warning| warning["lint"] != "placeholder");
    own.map(Value::to_string).collect()
}

/// A warning about what we hand out ourselves would be a false alarm, or a fault of ours.
/// `istio_manifests.rs` renders the folders.
#[test]
fn no_manifest_is_warned_of() {
    let manifests = wasm_tests::root().join("manifests");
    let program = wasm_tests::splitctl::program().unwrap();
    for files in [
        &["envoy.yaml", "traffic-split.yaml"][..],
        &["envoy-route-weights.yaml"],
        &["inner-hop.yaml"],
        &["engines"],
        &["bookinfo"],
        &["envoy-gateway/gateway.yaml", "envoy-gateway/variant-header.yaml"],
        &["envoy-gateway/gateway.yaml", "envoy-gateway/route-weights.yaml"],
        &["istio/plugin", "istio/components/variant-header"],
        &["istio/plugin", "istio/components/gateway-api"],
    ] {
        let paths: Vec<_> = files.iter().map(|file| manifests.join(file)).collect();
        let paths: Vec<_> = paths.iter().map(|path| path.to_str().unwrap()).collect();
        assert_eq!(warnings(&program, &paths), [""; 0], "{files:?}");
    }
}

#[test]
fn transcripts() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("splitctl");
    let program = wasm_tests::splitctl::program().unwrap();
    let mut seen = 0;
    for entry in directory.read_dir().unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        for (command, expected) in commands(&std::fs::read_to_string(&file).unwrap()) {
            let actual = run(command, &directory, &program);
            assert_eq!(actual, expected.trim_end(), "{}\n$ {command}\n{actual}\n", file.display());
            seen += 1;
        }
    }
    assert!(seen > 40, "only {seen} commands");
}
