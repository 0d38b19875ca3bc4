//! The packages that the filter's module is linked from. (Licences, sources and known
//! vulnerabilities of all that the project uses are cargo-deny's: `make deny`.)

use std::path::{Path, PathBuf};
use std::process::Command;

/// The packages that the module may be built from; a new name here is a decision.
const MODULE: [&str; 29] = [
    "allocator-api2",
    "base64ct",
    "block-buffer",
    "cfg-if",
    "crypto-common",
    "digest",
    "equivalent",
    "fastrand",
    "foldhash",
    "generic-array",
    "getrandom",
    "hashbrown",
    "hmac",
    "itoa",
    "libm",
    "log",
    "memchr",
    "percent-encoding",
    "proxy-wasm",
    "serde",
    "serde_core",
    "serde_json",
    "sha1",
    "sha2",
    "subtle",
    "traffic-split",
    "typenum",
    "xxhash-rust",
    "zmij",
];

/// Name and version of every package that the module is linked from: macros, which run in the
/// compiler, and what only builds or only tests are not among them.
fn module() -> Vec<(String, String)> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root());
    command.args(["tree", "--locked", "--package", "traffic-split", "--target", "wasm32-wasip1"]);
    command.args(["--edges", "normal,no-proc-macro", "--prefix", "none", "--no-dedupe"]);
    let output = command.output().expect("cargo tree");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let package = |line: &str| {
        let mut words = line.split(' ').map(str::to_owned);
        Some((words.next()?, words.next()?))
    };
    let mut packages: Vec<_> = text.lines().filter_map(package).collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

/// The Rust files below a folder of the project, by their paths from the project's folder.
fn sources(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root().join(folder)).expect(folder);
    let paths = entries.map(|entry| {
        let name = entry.expect(folder).file_name();
        format!("{folder}/{}", name.to_str().expect("UTF-8"))
    });
    paths
        .flat_map(|path| match root().join(&path).is_dir() {
            true => sources(&path),
            false => Vec::from_iter(path.ends_with(".rs").then_some(path)),
        })
        .collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The compiler denies it everywhere but where a file lifts that; this is the only file that does.
#[test]
fn unsafe_code_stands_in_one_file() {
    const ALLOWED: &str = "src/adapter/abi.rs";
    let root = root();
    let lifts = concat!("(", "unsafe_code");
    let lifted = |path: &&String| {
        let text = std::fs::read_to_string(root.join(path)).unwrap_or_default();
        text.contains(lifts)
            || text.contains(concat!("unsafe", " {"))
            || text.contains(concat!("unsafe", " extern"))
    };
    let sources = [sources("src"), sources("wasm-tests")].concat();
    assert!(sources.len() > 100, "{sources:?}");
    assert_eq!(sources.iter().filter(lifted).collect::<Vec<_>>(), [ALLOWED]);
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).expect("Cargo.toml");
    assert!(manifest.contains("unsafe_code = \"deny\""));
    for member in ["", "src/dist/", "wasm-tests/", "wasm-tests/properties/"] {
        let manifest = std::fs::read_to_string(root.join(format!("{member}Cargo.toml")));
        let manifest = manifest.expect(member);
        assert!(manifest.contains("[lints]\nworkspace = true"), "{member}");
    }
}

/// Whatever is installed has a version, and its hash: by Cargo.lock, or by a list of them.
#[test]
fn what_is_installed_is_pinned() {
    let mut texts: Vec<_> = [sources("wasm-tests/src"), sources("wasm-tests/tests")].concat();
    texts.extend(["Makefile", "README.md", ".ci/run"].map(str::to_owned));
    let (mut pips, mut crates) = (0, 0);
    for path in &texts {
        let text = std::fs::read_to_string(root().join(path)).expect(path);
        let text = text.replace("\\\n", " ");
        for line in text.lines() {
            if line.contains("pip install --") {
                pips += 1;
                assert!(line.contains("--require-hashes"), "{path}: {line}");
            }
            if line.contains("cargo install -") || line.contains("cargo install $(") {
                crates += 1;
                let pinned = ["--version $(", "--path .", "--tag v"];
                let pinned = pinned.iter().any(|pinned| line.contains(pinned));
                assert!(line.contains("--locked") && pinned, "{path}: {line}");
            }
            let toolchain = line.split_once("rustup toolchain install ").map(|(_, rest)| rest);
            assert!(toolchain.is_none_or(|name| name.starts_with("$(")), "{path}: {line}");
        }
    }
    assert!(pips == 1 && crates == 4, "{pips} {crates}");
    let workflow = std::fs::read_to_string(root().join(".github/workflows/release.yml"));
    let workflow = workflow.expect("release.yml");
    let mut actions = workflow.split("uses: ").skip(1).peekable();
    assert!(actions.peek().is_some(), "{workflow}");
    for action in actions {
        let (_, commit) = action.split_once('@').expect("an action's commit");
        let hash = commit.split(' ').next().unwrap_or_default();
        assert!(hash.len() == 40 && hash.bytes().all(|b| b.is_ascii_hexdigit()), "{action}");
    }
    let engines = std::fs::read_to_string(root().join("wasm-tests/engines/requirements.txt"));
    let engines = engines.expect("requirements.txt");
    for line in engines.lines().filter(|line| !line.starts_with('#')) {
        assert!(line.contains("==") && line.contains(" --hash=sha256:"), "{line}");
    }
}

#[test]
fn the_module_is_linked_from_what_is_listed_and_from_no_two_versions() {
    let packages = module();
    let names: Vec<_> = packages.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, MODULE, "{packages:?}");
}
