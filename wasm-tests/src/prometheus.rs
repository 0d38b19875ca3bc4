//! A running Prometheus, and what it knows.

use crate::envoy::get;
use crate::find::which;
use crate::process::Process;
use crate::wait::eventually;
use crate::{cannot_run, debian};
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Prometheus and its tool.
pub struct Programs {
    /// The server.
    pub prometheus: PathBuf,
    /// The program that checks and tests rules.
    pub promtool: PathBuf,
}

/// A Prometheus that answers. It ends when this value is dropped.
pub struct Prometheus {
    _process: Process,
    _folder: Option<TempDir>,
    /// The address of its API.
    pub address: SocketAddr,
}

/// A series with its values: seconds since 1970, and what they were.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its values in the order of their times; one for a query of now.
    pub values: Vec<(f64, f64)>,
}

impl Programs {
    /// The first of: `PROMETHEUS`, with promtool in the same folder; both on the search path;
    /// Debian's package. None where there is no apt-get either: see [`cannot_run`].
    pub fn find() -> Result<Option<Self>> {
        let beside = |prometheus: PathBuf| {
            let promtool = prometheus.with_file_name("promtool");
            ensure!(promtool.is_file(), "{}: there is no such program", promtool.display());
            Ok(Some(Self { prometheus, promtool }))
        };
        if let Some(named) = env::var_os("PROMETHEUS").filter(|path| !path.is_empty()) {
            return beside(std::path::absolute(named)?);
        }
        if let (Some(prometheus), Some(promtool)) = (which("prometheus"), which("promtool")) {
            return Ok(Some(Self { prometheus, promtool }));
        }
        let Some(root) = debian::unpacked("prometheus")? else {
            cannot_run("no Prometheus, and no apt-get to bring it; PROMETHEUS=/path names one")?;
            return Ok(None);
        };
        beside(root.join("usr/bin/prometheus"))
    }

    /// Runs promtool in a folder; what it prints.
    pub fn promtool(&self, folder: &Path, arguments: &[&str]) -> Result<String> {
        let output = Command::new(&self.promtool).current_dir(folder).args(arguments).output()?;
        let text = String::from_utf8([output.stdout, output.stderr].concat())?;
        ensure!(output.status.success(), "promtool {}:\n{text}", arguments.join(" "));
        Ok(text)
    }

    /// Starts Prometheus with a configuration, and other files beside it.
    pub async fn start(&self, config: &str, files: &[(&str, &str)]) -> Result<Prometheus> {
        let folder = crate::envoy::folder()?;
        for (name, text) in files.iter().chain(&[("prometheus.yaml", config)]) {
            fs::write(folder.path().join(name), text)?;
        }
        let (process, address) = self.listen(folder.path(), &[]).await?;
        let wait = eventually("Prometheus", async || get(address, "/-/ready").await.map(drop));
        wait.await.with_context(|| process.log())?;
        Ok(Prometheus { _process: process, _folder: Some(folder), address })
    }

    /// Starts Prometheus with the `prometheus.yaml` of a folder, behind what this file of it says of
    /// TLS and passwords.
    pub async fn behind(&self, folder: &Path, web: &str) -> Result<Prometheus> {
        let web = format!("--web.config.file={}", folder.join(web).display());
        let (process, address) = self.listen(folder, &[web]).await?;
        eventually("Prometheus", async || {
            let log = process.log();
            ensure!(log.contains("Server is ready to receive web requests"), "{log}");
            Ok(())
        })
        .await?;
        Ok(Prometheus { _process: process, _folder: None, address })
    }

    async fn listen(&self, folder: &Path, more: &[String]) -> Result<(Process, SocketAddr)> {
        let option = |name: &str, value: &Path| format!("--{name}={}", value.display());
        let arguments = [
            option("config.file", &folder.join("prometheus.yaml")),
            option("storage.tsdb.path", &folder.join("data")),
            "--web.listen-address=127.0.0.1:0".into(),
        ];
        let log = folder.join("prometheus.log");
        let arguments = arguments.iter().chain(more);
        let mut process = Process::spawn(&self.prometheus, arguments, log.clone())?;
        let wait = process.until("Prometheus", async || {
            listening(&fs::read_to_string(&log)?).context("it does not listen")
        });
        let address = wait.await?;
        Ok((process, address))
    }
}

/// The port that it was given, from its log.
fn listening(log: &str) -> Option<SocketAddr> {
    let line = log.lines().find(|line| line.contains("\"Listening on\""))?;
    line.rsplit_once("address=")?.1.trim().trim_matches('"').parse().ok()
}

#[derive(Deserialize)]
struct Answered {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    metric: BTreeMap<String, String>,
    value: Option<(f64, String)>,
    #[serde(default)]
    values: Vec<(f64, String)>,
}

impl Prometheus {
    /// The series of an expression, now.
    pub async fn query(&self, expression: &str) -> Result<Vec<Series>> {
        self.series(&format!("/api/v1/query?query={}", encoded(expression))).await
    }

    /// The series of an expression over these seconds since 1970, with a value each second.
    pub async fn range(&self, expression: &str, from: f64, to: f64) -> Result<Vec<Series>> {
        let expression = encoded(expression);
        self.series(&format!("/api/v1/query_range?query={expression}&start={from}&end={to}&step=1"))
            .await
    }

    async fn series(&self, path: &str) -> Result<Vec<Series>> {
        let answer = get(self.address, path).await?;
        let answered: Answered = serde_json::from_slice(&answer)?;
        let series = |found: Found| {
            let values = found.value.into_iter().chain(found.values);
            let value = |(time, value): (f64, String)| Ok((time, value.parse()?));
            Ok(Series { labels: found.metric, values: values.map(value).collect::<Result<_>>()? })
        };
        answered.data.result.into_iter().map(series).collect()
    }

    /// The labels of every alert that fires.
    pub async fn firing(&self) -> Result<Vec<BTreeMap<String, String>>> {
        let answer: Value = serde_json::from_slice(&get(self.address, "/api/v1/alerts").await?)?;
        let alerts = answer["data"]["alerts"].as_array().context("no alerts")?;
        let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
        firing.map(|alert| Ok(serde_json::from_value(alert["labels"].clone())?)).collect()
    }
}

/// The text percent-encoded as a value of a URL's query (RFC 3986, section 2.1).
fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}
