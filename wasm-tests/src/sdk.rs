//! The SDKs of flag engines as released, and nginx: what they answer for the keys of clients.

use crate::find::which;
use crate::process::Process;
use crate::process::run;
use crate::{cannot_run, debian};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The settings of one engine with its split, as the filter has them.
#[derive(Clone, Debug)]
pub struct Flag {
    /// The name of the engine.
    pub engine: &'static str,
    /// Its settings.
    pub settings: Value,
    /// The variants with their weights, in order.
    pub split: Vec<(&'static str, f64)>,
}

/// The variant of each key.
pub type Answers = Vec<Option<String>>;

impl Flag {
    /// The split as the filter's configuration has it; whole weights are integers, as some SDKs want.
    pub fn listed(&self) -> Value {
        let number = |weight: f64| match weight.fract() {
            0.0 => json!(weight as u64),
            _ => json!(weight),
        };
        self.split.iter().map(|(name, weight)| json!({ *name: number(*weight) })).collect()
    }

    /// The filter's configuration with this split alone, by the header `x-user-id`.
    pub fn configuration(&self) -> Value {
        let variants: Value = self
            .split
            .iter()
            .map(|(name, _)| (name.to_string(), json!({})))
            .collect::<serde_json::Map<_, _>>()
            .into();
        let sticky =
            json!({"key": [{"header": "x-user-id"}], "engine": { self.engine: self.settings }});
        let rule = json!({"name": "flag", "split": self.listed(), "sticky": sticky});
        json!({"variantHeader": "x-split-variant", "variants": variants, "rules": [rule]})
    }

    /// The answers of the engine's own SDK; a key that is absent is a client without one.
    pub fn ask(&self, python: &Path, keys: &[Option<String>]) -> Result<Answers> {
        let asked = json!({
            "engine": self.engine, "settings": self.settings, "split": self.listed(), "keys": keys
        });
        let mut command = Command::new(python);
        command.arg("-W").arg("ignore").arg(crate::root().join("wasm-tests/engines/ask.py"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        child.stdin.take().context("no input")?.write_all(asked.to_string().as_bytes())?;
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "{} ends with {}", self.engine, output.status);
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// A Python that has the SDKs of `wasm-tests/engines/requirements.txt`, in `target/`; none where they
/// cannot be had: see [`cannot_run`].
pub fn python() -> Result<Option<PathBuf>> {
    if which("python3").is_none() {
        cannot_run("no python3, in which the SDKs of the flag engines run")?;
        return Ok(None);
    }
    let folder = crate::target().join("engines");
    fs::create_dir_all(&folder)?;
    let lock = File::create(folder.join("lock"))?;
    lock.lock().context("waiting for another process that installs the SDKs")?;
    let requirements = crate::root().join("wasm-tests/engines/requirements.txt");
    let (venv, installed) = (folder.join("venv"), folder.join("installed.txt"));
    let python = venv.join("bin/python");
    // What was installed is noted last: an installation that was broken off is begun anew.
    if fs::read(&installed).is_ok_and(|noted| fs::read(&requirements).is_ok_and(|now| noted == now))
    {
        return Ok(Some(python));
    }
    crate::say("Installing the SDKs of the flag engines (about 60 MB) into target/, once ...");
    if venv.exists() {
        fs::remove_dir_all(&venv)?;
    }
    run(Command::new("python3").args(["-m", "venv", "--without-pip"]).arg(&venv))?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "--python"]).arg(&python);
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    pip.args(["--require-hashes", "--requirement"]);
    if let Err(error) = run(pip.arg(&requirements)) {
        cannot_run(&format!("the SDKs of the flag engines cannot be installed: {error:#}"))?;
        return Ok(None);
    }
    fs::copy(requirements, installed)?;
    Ok(Some(python))
}

/// The answers of nginx's `split_clients` under each of these; none where nginx cannot be had.
pub async fn nginx(flags: &[Flag], keys: &[Option<String>]) -> Result<Option<Vec<Answers>>> {
    let program = match which("nginx") {
        Some(program) => program,
        None => match debian::unpacked("nginx")? {
            Some(root) => root.join("usr/sbin/nginx"),
            None => {
                cannot_run("no nginx, and no apt-get to bring it")?;
                return Ok(None);
            }
        },
    };
    let folder = crate::envoy::folder()?;
    let socket = folder.path().join("socket");
    let file = folder.path().join("nginx.conf");
    fs::write(&file, configuration(flags, folder.path()))?;
    let log = folder.path().join("nginx.log");
    let prefix = folder.path().as_os_str();
    let arguments =
        ["-e".as_ref(), "stderr".as_ref(), "-p".as_ref(), prefix, "-c".as_ref(), file.as_os_str()];
    let mut process = Process::spawn(&program, arguments, log)?;
    process.until("nginx", async || Ok(UnixStream::connect(&socket)?)).await?;
    let mut answers = vec![Answers::new(); flags.len()];
    for key in keys {
        let body = get(&socket, key.as_deref())?;
        for (answers, answer) in answers.iter_mut().zip(body.split('|')) {
            answers.push(Some(answer.to_owned()).filter(|answer| !answer.is_empty()));
        }
    }
    Ok(Some(answers))
}

/// A `split_clients` for each, and a server that answers with all their variables.
fn configuration(flags: &[Flag], folder: &Path) -> String {
    let folder = folder.display();
    let mut blocks = String::new();
    let mut variables = Vec::new();
    for (index, flag) in flags.iter().enumerate() {
        let text = |name: &str| flag.settings[name].as_str().unwrap_or_default().to_owned();
        let (before, after) = (text("prefix"), text("suffix"));
        let parts = flag.split.iter().map(|(name, percent)| format!("{percent}% {name};"));
        let parts = parts.collect::<Vec<_>>().join(" ");
        blocks += &format!(
            "split_clients \"{before}${{http_x_user_id}}{after}\" $v{index} {{ {parts} }}\n"
        );
        variables.push(format!("$v{index}"));
    }
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {folder}/{name};"))
        .join("\n");
    let variables = variables.join("|");
    format!(
        "daemon off;\nmaster_process off;\npid {folder}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}\n{blocks}\
         server {{ listen unix:{folder}/socket; location / {{ return 200 \"{variables}\"; }} }}\n}}\n"
    )
}

fn get(socket: &Path, key: Option<&str>) -> Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    let header = key.map_or(String::new(), |key| format!("x-user-id: {key}\r\n"));
    stream.write_all(format!("GET / HTTP/1.0\r\nhost: a\r\n{header}\r\n").as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").context("no body")?;
    ensure!(head.starts_with("HTTP/1.1 200"), "{head}");
    Ok(body.to_owned())
}
