//! The files of a release, of programs that are built already: `make dist` builds them anew, by the
//! compiler that it names, in minutes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail, ensure};
use dist::provenance::Build;
use dist::release::{Built, write};
use dist::verify::check;
use serde_json::{Value, json};
use traffic_split::VERSION;
use wasm_tests::release::{self, MACHINES};
use wasm_tests::{readme, root, target, wheels};

/// One release that tests read.
fn shared() -> Result<PathBuf> {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    if FOLDER.get().is_none() {
        let folder = tempfile::tempdir()?;
        release::write(&folder.path().join("dist"))?;
        // Of two threads, the other one's is as good.
        let _ = FOLDER.set(folder);
    }
    Ok(FOLDER.get().context("no folder")?.path().join("dist"))
}

fn document(name: &str) -> Result<Value> {
    Ok(serde_json::from_slice(&fs::read(shared()?.join(name)).context(name.to_owned())?)?)
}

/// The content of every file, by name.
fn contents(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut contents = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).context("a name")?.to_owned();
        contents.insert(name, fs::read(&path)?);
    }
    Ok(contents)
}

#[test]
fn the_same_programs_give_the_same_release() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let again = folder.path().join("again");
    release::write(&again)?;
    let (one, other) = (contents(&shared()?)?, contents(&again)?);
    assert!(one.keys().eq(other.keys()), "{:?} {:?}", one.keys(), other.keys());
    for (name, bytes) in one {
        assert!(other[&name] == bytes, "{name}");
    }
    Ok(())
}

/// What can go wrong with files between the release page and whoever uses them.
#[test]
fn a_file_that_is_changed_missing_or_added_is_found() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let restore = || -> Result<()> {
        for (name, bytes) in contents(&shared()?)? {
            fs::write(folder.path().join(name), bytes)?;
        }
        Ok(())
    };
    let file = |name: &str| folder.path().join(name);
    let error = || check(VERSION, folder.path()).err().map(|error| format!("{error:#}"));
    restore()?;
    assert!(check(VERSION, folder.path())? > 10);
    fs::write(file("SHA256SUMS.sigstore.json"), "{}")?;
    assert_eq!(error(), None, "a signature comes later");

    let module = format!("traffic-split-{VERSION}.wasm");
    fs::write(file(&module), b"\0asm\x01\0\0\0")?;
    let expected = format!("{module} is not the file that SHA256SUMS lists");
    assert_eq!(error(), Some(expected));
    fs::remove_file(file(&module))?;
    assert!(error().is_some_and(|error| error.starts_with(&module)), "{:?}", error());
    restore()?;
    fs::write(file("more"), "")?;
    assert_eq!(error().as_deref(), Some("SHA256SUMS does not list more"));
    fs::remove_file(file("more"))?;

    // Whoever changes a file and the list forgets the provenance.
    let text = fs::read_to_string(file("SHA256SUMS"))?;
    let lines: Vec<_> = text.lines().filter(|line| !line.ends_with("notes.md")).collect();
    fs::write(file("SHA256SUMS"), lines.join("\n"))?;
    fs::remove_file(file("notes.md"))?;
    assert_eq!(error().as_deref(), Some("the provenance is of other files"));
    Ok(())
}

#[test]
fn another_version_than_the_projects_is_refused() -> Result<()> {
    let build = Build { version: "9.9.9", commit: "", source: None, builder: "", rust: "" };
    let built =
        Built { module: Path::new("none"), programs: &[], runs: Path::new("none"), musl: "" };
    let error = write(&built, &build, Path::new("none")).err().map(|error| error.to_string());
    let expected = format!("Cargo.toml has the version {VERSION}: a release of 9.9.9 begins there");
    assert_eq!(error, Some(expected));
    Ok(())
}

fn sboms() -> Result<Vec<(&'static str, Value)>> {
    let module = document(&format!("traffic-split-{VERSION}.wasm.cdx.json"))?;
    let mut all = vec![("wasm32-wasip1", module)];
    for target in MACHINES {
        let machine = target.split('-').next().context("a machine")?;
        all.push((target, document(&format!("splitctl-{VERSION}-{machine}-linux.cdx.json"))?));
    }
    Ok(all)
}

/// The packages that cargo has compiled for `splitctl`, as it tells itself: `NAME-VERSION`.
fn compiled() -> Result<BTreeSet<String>> {
    let cargo = std::env::var_os("CARGO").context("no cargo")?;
    let build = ["build", "--package", "traffic-split", "--bin", "splitctl", "--profile", "test"];
    let output = Command::new(cargo)
        .args(build)
        .args(["--message-format", "json"])
        .current_dir(root())
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut packages = BTreeSet::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let message: Value = serde_json::from_str(line)?;
        let Some(manifest) = message["manifest_path"].as_str() else { continue };
        let folder = Path::new(manifest).parent().context("no folder")?;
        let own = folder == fs::canonicalize(root())?;
        let name = folder.file_name().and_then(|name| name.to_str()).context("no name")?;
        packages.insert(if own { format!("traffic-split-{VERSION}") } else { name.to_owned() });
    }
    Ok(packages)
}

/// Name, version and digest of each package in Cargo.lock.
fn locked() -> Result<BTreeMap<String, String>> {
    let lock = fs::read_to_string(root().join("Cargo.lock"))?;
    let package = |text: &str| {
        let mut values = text.split('"').skip(1).step_by(2);
        let name = format!("{} {}", values.next()?, values.next()?);
        let digest = values.find(|value| value.len() == 64).unwrap_or_default();
        Some((name, digest.to_owned()))
    };
    Ok(lock.split("[[package]]\n").skip(1).filter_map(package).collect())
}

#[test]
fn the_list_of_parts_has_every_package_that_is_compiled_and_its_digest() -> Result<()> {
    let locked = locked()?;
    for (target, sbom) in sboms()? {
        let root = &sbom["metadata"]["component"];
        let components = sbom["components"].as_array().context("no components")?;
        let mut listed = BTreeSet::from([format!("traffic-split {VERSION}")]);
        for component in components {
            let purl = component["purl"].as_str().context("no address")?;
            if !purl.starts_with("pkg:cargo/") {
                continue;
            }
            let text = |field: &str| component[field].as_str().unwrap_or_default();
            let name = format!("{} {}", text("name"), text("version"));
            ensure!(purl == format!("pkg:cargo/{}", name.replace(' ', "@")), "{purl}");
            ensure!(
                component["hashes"][0]["content"] == json!(locked.get(&name)),
                "{name}: {component}"
            );
            listed.insert(name);
        }
        ensure!(listed.len() > 20, "{target}: {listed:?}");
        if target == MACHINES[0] {
            let listed = listed.iter().map(|name| name.replace(' ', "-")).collect();
            assert_eq!(compiled()?, listed);
        }

        // Everyone is someone's, and nobody asks for one that is not there.
        let references: BTreeSet<_> =
            components.iter().chain([root]).map(|each| each["bom-ref"].to_string()).collect();
        let asked = sbom["dependencies"].as_array().context("no graph")?;
        let asked: BTreeSet<_> = asked
            .iter()
            .flat_map(|each| each["dependsOn"].as_array().into_iter().flatten())
            .chain([&root["bom-ref"]])
            .map(Value::to_string)
            .collect();
        assert_eq!(asked, references, "{target}");
        let scope = |name: &str| {
            components.iter().find(|each| each["name"] == name).map(|each| each["scope"].clone())
        };
        assert_eq!(scope("serde_json"), Some(json!("required")), "{target}");
        assert_eq!(scope("rust-std"), Some(json!("required")), "{target}");
        let macros = (target != "wasm32-wasip1").then(|| json!("excluded"));
        assert_eq!(scope("proc-macro2"), macros, "{target}");
        assert_eq!(scope("musl").is_some(), target.ends_with("musl"), "{target}");
    }
    Ok(())
}

/// CycloneDX's own schema, which ships with its library for Python.
#[test]
fn the_list_of_parts_is_what_cyclonedx_asks_for() -> Result<()> {
    let folder = target().join("cyclonedx");
    let schemas = folder.join("cyclonedx/schema/_res");
    if !schemas.exists() {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--no-deps", "--target"]).arg(&folder);
        wheels::install(&mut pip, &["cyclonedx-python-lib==11.12.0"])?;
    }
    let schema = |name: &str| -> Result<Value> {
        let path = schemas.join(format!("{name}.SNAPSHOT.schema.json"));
        Ok(serde_json::from_slice(&fs::read(path)?)?)
    };
    let mut registry = jsonschema::Registry::new();
    for name in ["spdx", "jsf-0.82"] {
        let uri = format!("http://cyclonedx.org/schema/{name}.SNAPSHOT.schema.json");
        registry = registry.add(uri, schema(name)?)?;
    }
    let registry = registry.prepare()?;
    let validator = jsonschema::options().with_registry(&registry).build(&schema("bom-1.6")?)?;
    for (target, mut sbom) in sboms()? {
        let errors: Vec<_> = validator.iter_errors(&sbom).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{target}: {errors:#?}");
        sbom["components"][0]["type"] = json!("thing");
        assert!(!validator.is_valid(&sbom), "{target}: the schema takes anything");
    }
    Ok(())
}

#[test]
fn the_schema_names_itself_and_means_the_same() -> Result<()> {
    let schema = document(&format!("traffic-split-{VERSION}.schema.json"))?;
    assert_eq!(schema["$id"], json!(format!("urn:traffic-split:configuration:{VERSION}")));
    let validator = jsonschema::validator_for(&schema)?;
    let config = |header: &str| json!({ header: "x-v", "variants": { "a": {} }, "rules": [{ "name": "r", "to": "a" }] });
    assert!(validator.is_valid(&config("variantHeader")));
    assert!(!validator.is_valid(&config("variantHeadr")));
    Ok(())
}

/// The names in an archive, unpacked by the usual program.
fn members(archive: &str) -> Result<Vec<String>> {
    let output = Command::new("tar").arg("-tvf").arg(shared()?.join(archive)).output()?;
    ensure!(output.status.success(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
}

#[test]
fn an_archive_of_splitctl_has_all_that_belongs_to_it() -> Result<()> {
    for machine in ["x86_64", "aarch64"] {
        let name = format!("splitctl-{VERSION}-{machine}-linux");
        let members = members(&format!("{name}.tar.gz"))?;
        for file in [
            "splitctl",
            "LICENSE",
            "licenses.txt",
            "completions/splitctl.bash",
            "completions/splitctl.fish",
            "completions/_splitctl",
            "man/splitctl.1",
            "man/splitctl-validate.1",
        ] {
            let is_it = |line: &&String| line.ends_with(&format!(" {name}/{file}"));
            let line =
                members.iter().find(is_it).with_context(|| format!("{file}: {members:?}"))?;
            assert_eq!(line.starts_with("-rwxr-xr-x"), file == "splitctl", "{line}");
        }
    }
    let image = members(&format!("traffic-split-{VERSION}.image.tar"))?;
    for file in ["index.json", "oci-layout", "blobs/sha256/"] {
        assert!(image.iter().any(|line| line.contains(file)), "{file}: {image:?}");
    }
    Ok(())
}

/// The commands of the page about releases. Its `make publish` runs in the mesh, `cosign` and `make dist`
/// by hand.
#[test]
fn the_pages_commands_check_a_release() -> Result<()> {
    let blocks =
        readme::all()?.into_iter().filter(|block| block.document == "src/dist/releases.md");
    let commands: Vec<_> = blocks.map(|block| block.text.trim().to_owned()).collect();
    let [sums, cosign, verify, dist, publish] = commands.as_slice() else {
        bail!("not five commands: {commands:?}")
    };
    ensure!(cosign.starts_with("cosign verify-blob ") && dist == "make dist VERSION=1.0.0");
    ensure!(publish.starts_with("make publish VERSION=1.0.0 DIR=target/dist REGISTRY="));
    // The Makefile asks cosign the same.
    let makefile = fs::read_to_string(root().join("Makefile"))?;
    for part in cosign.split(" --").skip(1).filter_map(|option| option.split(' ').next()) {
        ensure!(makefile.contains(&format!("--{part} ")), "make verify has no --{part}");
    }
    let folder = tempfile::tempdir()?;
    release::write(folder.path())?;
    let run = |command: &str, directory: &Path| -> Result<(bool, String)> {
        let output = Command::new("sh").args(["-ec", command]).current_dir(directory).output()?;
        let text = [output.stdout, output.stderr].concat();
        Ok((output.status.success(), String::from_utf8(text)?))
    };
    let (good, printed) = run(sums, folder.path())?;
    ensure!(good && printed.contains("notes.md: OK"), "{printed}");

    // By the compiler that is at work here: another one would build for minutes.
    let (_, toolchain) = run("rustup show active-toolchain", &root())?;
    let toolchain = toolchain.split(' ').next().context("no toolchain")?;
    let (options, _) = verify.split_once(" SOURCE=").context("no source")?;
    let verify = options
        .replace("1.0.0", VERSION)
        .replace("DIR=downloads", &format!("DIR={} RUST={toolchain}", folder.path().display()));
    let (good, printed) = run(&verify, &root())?;
    ensure!(good && printed.contains("are what this source builds"), "{printed}");
    ensure!(printed.contains("The signature is NOT checked"), "{printed}");
    // A module that another source made, of which every digest is right.
    let module = fs::read(wasm_tests::module()?)?;
    let other = folder.path().join("other.wasm");
    fs::write(&other, [&module[..], &[0, 2, 1, b'x']].concat())?;
    let files = folder.path().join("files");
    release::write_of(&other, &files)?;
    let verify = verify.replace(&folder.path().display().to_string(), &files.display().to_string());
    let (good, printed) = run(&verify, &root())?;
    ensure!(!good && printed.contains("cmp: EOF on target/traffic_split.wasm"), "{printed}");
    Ok(())
}

#[test]
fn chart_and_changes_have_the_version() -> Result<()> {
    let chart = fs::read_to_string(root().join("manifests/chart/Chart.yaml"))?;
    let chart: Value = serde_saphyr::from_str(&chart)?;
    assert_eq!([&chart["version"], &chart["appVersion"]], [VERSION; 2]);
    let changes = fs::read_to_string(root().join("src/changes.md"))?;
    let mut headings = changes.lines().filter_map(|line| line.strip_prefix("## "));
    let newest = headings.find(|heading| heading.starts_with(|c: char| c.is_ascii_digit()));
    assert_eq!(newest.and_then(|heading| heading.split(' ').next()), Some(VERSION));
    Ok(())
}
