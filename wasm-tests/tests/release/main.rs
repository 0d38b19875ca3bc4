//! The files of a release, of programs that are built already: `make dist` builds them anew, by the
//! compiler that it names, in minutes.

mod parts;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail, ensure};
use dist::archive::sha256;
use dist::provenance::Build;
use dist::release::{Built, write};
use dist::verify::check;
use serde_json::{Value, json};
use traffic_split::VERSION;
use wasm_tests::release::{self, MACHINES, program};
use wasm_tests::{readme, root};

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
    // An older one makes way.
    fs::create_dir(&again)?;
    fs::write(again.join("traffic-split-0.9.0.wasm"), "")?;
    release::write(&again)?;
    let (one, other) = (contents(&shared()?)?, contents(&again)?);
    assert!(one.keys().eq(other.keys()), "{:?} {:?}", one.keys(), other.keys());
    for (name, bytes) in &one {
        assert!(other[name] == *bytes, "{name}");
    }
    // In the order of their names, and the statement about all of them at the end.
    let sums = String::from_utf8(one["SHA256SUMS"].clone())?;
    let mut names: Vec<_> = sums.lines().filter_map(|line| line.split("  ").nth(1)).collect();
    ensure!(names.pop().is_some_and(|last| last.ends_with(".intoto.json")), "{sums}");
    ensure!(names.is_sorted(), "{sums}");
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
    // What looks like a signature is one only of the list.
    for more in ["more", "more.sigstore.json"] {
        fs::write(file(more), "")?;
        assert_eq!(error(), Some(format!("SHA256SUMS does not list {more}")));
        fs::remove_file(file(more))?;
    }
    let nowhere = check(VERSION, Path::new("/nowhere")).err().map(|error| error.to_string());
    assert_eq!(nowhere.as_deref(), Some("/nowhere is not there, or is no folder"));
    let error_of = |version| check(version, folder.path()).err().map(|error| error.to_string());
    let expected =
        "SHA256SUMS does not list traffic-split-9.9.9.intoto.json: is this the release 9.9.9?";
    assert_eq!(error_of("9.9.9").as_deref(), Some(expected));
    for name in contents(&shared()?)?.into_keys() {
        let mut bytes = fs::read(file(&name))?;
        *bytes.last_mut().context("an empty file")? ^= 1;
        fs::write(file(&name), bytes)?;
        // In the list itself, the last byte ends a line.
        let list = name == "SHA256SUMS";
        let said = if list { " cannot be read" } else { " is not the file that SHA256SUMS lists" };
        assert!(error().is_some_and(|error| error.contains(said)), "{name}: {:?}", error());
        fs::remove_file(file(&name))?;
        let said = format!("{name} cannot be read: No such file");
        assert!(error().is_some_and(|error| error.starts_with(&said)), "{name}: {:?}", error());
        restore()?;
    }
    let sums = fs::read_to_string(file("SHA256SUMS"))?;
    for (line, said) in
        [("garbage", "SHA256SUMS: garbage"), ("0  ../x", "SHA256SUMS lists ../x, which")]
    {
        fs::write(file("SHA256SUMS"), format!("{sums}{line}\n"))?;
        assert!(error().is_some_and(|error| error.starts_with(said)), "{line}: {:?}", error());
    }
    restore()?;

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
    for target in MACHINES {
        let machine = target.split('-').next().context("a machine")?;
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
        let member = |file: &str| -> Result<Vec<u8>> {
            let mut tar = Command::new("tar");
            tar.arg("-xOf").arg(shared()?.join(format!("{name}.tar.gz")));
            let output = tar.arg(format!("{name}/{file}")).output()?;
            ensure!(output.status.success(), "{output:?}");
            Ok(output.stdout)
        };
        // Each machine has its own.
        assert!(member("splitctl")? == fs::read(program(target))?, "{target}");
        assert!(member("licenses.txt")? == dist::licenses::text(target)?.as_bytes(), "{target}");
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
    // Nothing is built for a version that is wrong.
    for wrong in ["", "v1.0.0", "1.0"] {
        let (good, printed) = run(&dist.replace("1.0.0", wrong), &root())?;
        let said =
            format!("Cargo.toml has the version {VERSION}: a release of {wrong} begins there.");
        let said = if wrong.is_empty() { "VERSION is missing: make dist VERSION=" } else { &said };
        ensure!(!good && printed.contains(said) && !printed.contains("Building"), "{printed}");
    }
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
    // The right module in the wrong image, of which every digest is right too.
    let image = format!("traffic-split-{VERSION}.image.tar");
    let wrong = fs::read(files.join(&image))?;
    release::write(&files)?;
    list_anew(&files, &image, &wrong)?;
    let (good, printed) = run(&verify, &root())?;
    ensure!(!good && printed.contains("Only in target/"), "{printed}");
    Ok(())
}

/// The file with the module's digest is of that module, whatever list and provenance say.
#[test]
fn a_digest_of_another_module_is_found() -> Result<()> {
    let folder = tempfile::tempdir()?;
    release::write(folder.path())?;
    let module = format!("traffic-split-{VERSION}.wasm");
    let other = format!("{}  {module}\n", sha256(b"other"));
    list_anew(folder.path(), &format!("{module}.sha256"), other.as_bytes())?;
    let error = check(VERSION, folder.path()).err().map(|error| error.to_string());
    assert_eq!(error, Some(format!("{module}.sha256 is of another module")));
    Ok(())
}

/// Gives a file of a release another content, and has list and provenance say so.
fn list_anew(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let replace = |file: &str, from: &str, to: &str| -> Result<()> {
        let text = fs::read_to_string(folder.join(file))?;
        ensure!(text.contains(from), "{file}: {text}");
        Ok(fs::write(folder.join(file), text.replace(from, to))?)
    };
    let digest = |name: &str| -> Result<String> {
        Ok(sha256(&fs::read(folder.join(name)).context(name.to_owned())?))
    };
    let statement = format!("traffic-split-{VERSION}.intoto.json");
    let (before, statement_before) = (digest(name)?, digest(&statement)?);
    fs::write(folder.join(name), bytes)?;
    replace(&statement, &before, &digest(name)?)?;
    replace("SHA256SUMS", &before, &digest(name)?)?;
    replace("SHA256SUMS", &statement_before, &digest(&statement)?)
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
