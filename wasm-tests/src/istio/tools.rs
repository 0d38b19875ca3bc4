//! The programs of the mesh, built from the Go modules that a folder's `go.mod` pins.

use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The programs of one `go.mod`, in a folder of their own under `target/`.
#[derive(Clone, Debug)]
pub struct Tools {
    source: PathBuf,
    bin: PathBuf,
}

impl Tools {
    /// Builds what is not built yet of `wasm-tests/FOLDER/go.mod`. Go's own cache makes a second
    /// time cheap.
    pub fn install(folder: &str) -> Result<Self> {
        ensure!(
            crate::find::which("go").is_some(),
            "`go` is not on the search path: the mesh's programs are built from their Go modules \
             (Go 1.26 or newer)"
        );
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let tools = Self { source, bin: crate::target().join(folder).join("bin") };
        fs::create_dir_all(&tools.bin)?;
        let lock = File::create(crate::target().join(folder).join("lock"))?;
        lock.lock().context("waiting for another process that builds these programs")?;
        if fs::read_dir(&tools.bin)?.next().is_none() {
            crate::say(&format!(
                "Building the programs of wasm-tests/{folder}/go.mod into target/{folder}, once: \
                 minutes ..."
            ));
        }
        let status = Command::new("go")
            .args(["install", "-ldflags", &tools.linker_flags()?, "tool"])
            .current_dir(&tools.source)
            .env("GOBIN", &tools.bin)
            .status()?;
        ensure!(status.success(), "go install in wasm-tests/{folder}: {status}");
        Ok(tools)
    }

    /// Without symbols. An API server that is built from its module has no version of its own, and
    /// Flagger refuses one whose version is not a semantic one.
    fn linker_flags(&self) -> Result<String> {
        let kubernetes = "k8s.io/kubernetes";
        if !fs::read_to_string(self.source.join("go.mod"))?.contains(kubernetes) {
            return Ok("-s -w".into());
        }
        let version = self.pinned(kubernetes, "{{.Version}}")?;
        Ok(format!("-s -w -X k8s.io/component-base/version.gitVersion={version}"))
    }

    /// The path of a program.
    pub fn path(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// Runs one; what it prints, or an error with what it says is wrong.
    pub fn run(&self, name: &str, arguments: &[&str]) -> Result<String> {
        output(Command::new(self.path(name)).args(arguments))
    }

    /// Runs one that reads the Go packages which the folder's `go.mod` pins.
    pub fn run_in_source(&self, name: &str, arguments: &[&str]) -> Result<String> {
        output(Command::new(self.path(name)).args(arguments).current_dir(&self.source))
    }

    /// Has `istioctl` validate a file with resources.
    pub fn validate(&self, file: &Path) -> Result<()> {
        let mut command = Command::new(self.path("istioctl"));
        output(command.args(["validate", "-f"]).arg(file)).map(drop)
    }

    /// The folder that Go keeps a pinned module's files in.
    pub fn module(&self, path: &str) -> Result<PathBuf> {
        self.pinned(path, "{{.Dir}}").map(PathBuf::from)
    }

    fn pinned(&self, module: &str, what: &str) -> Result<String> {
        let mut command = Command::new("go");
        command.args(["list", "-m", "-f", what, module]).current_dir(&self.source);
        Ok(output(&mut command)?.trim_end().to_owned())
    }
}

/// Has Go download a module, `PATH@VERSION`, of which nothing is built; the folder of its files. Go has
/// compared the files with the digest that it names, and that has to be `sum`.
pub fn download(module: &str, sum: &str) -> Result<PathBuf> {
    let folder = tempfile::tempdir()?;
    let mut command = Command::new("go");
    command.args(["mod", "download", "-json", module]).current_dir(folder.path());
    let answer: serde_json::Value = serde_json::from_str(&output(&mut command)?)?;
    ensure!(answer["Sum"] == sum, "{module} is another one than before: {answer}");
    Ok(PathBuf::from(answer["Dir"].as_str().context("Go names no folder")?))
}

/// Runs the Go program in `wasm-tests/FOLDER` on an input, and returns its output.
pub fn go_run(folder: &str, input: &str) -> Result<String> {
    let mut file = tempfile::tempfile()?;
    file.write_all(input.as_bytes())?;
    file.rewind()?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    output(Command::new("go").args(["run", "."]).current_dir(source).stdin(file))
}

/// Runs a command and returns its output; if it fails, the error holds all that it printed.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "{command:?}: {}\n{text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(text)
}
