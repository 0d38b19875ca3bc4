//! A headless Chromium, asked through its driver (W3C, WebDriver).

use crate::find::which;
use crate::process::Process;
use crate::raw::Connection;
use crate::{cannot_run, debian};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::env;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A browser with one window. It ends when this value is dropped, since its driver's pipe ends then.
pub struct Browser {
    connection: Connection,
    address: SocketAddr,
    session: String,
    _driver: Process,
    _folder: TempDir,
}

/// Chromium's driver, and Chromium where the driver does not know it.
struct Programs {
    driver: PathBuf,
    browser: Option<PathBuf>,
    /// The folders with what both are linked to.
    libraries: Vec<PathBuf>,
}

impl Programs {
    /// The first of: `CHROMEDRIVER`; the driver on the search path; Debian's packages. None where there
    /// is no apt-get either: see [`cannot_run`].
    fn find() -> Result<Option<Self>> {
        let named = env::var_os("CHROMEDRIVER").filter(|path| !path.is_empty()).map(PathBuf::from);
        if let Some(driver) = named.or_else(|| which("chromedriver")) {
            let driver = std::path::absolute(driver)?;
            return Ok(Some(Self { driver, browser: None, libraries: Vec::new() }));
        }
        let Some(root) = debian::unpacked_with_needs("chromium-driver")? else {
            cannot_run("no Chromium, and no apt-get to bring it; CHROMEDRIVER=/path names one")?;
            return Ok(None);
        };
        Ok(Some(Self {
            driver: root.join("usr/bin/chromedriver"),
            browser: Some(root.join("usr/lib/chromium/chromium")),
            libraries: libraries(&root)?,
        }))
    }
}

/// The folders of libraries below a root: `lib/TRIPLET`, and those that packages have in it.
fn libraries(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for lib in ["usr/lib", "lib"] {
        for folder in folders(&root.join(lib))? {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            if name.ends_with("-linux-gnu") {
                let private = folders(&folder)?;
                found.push(folder);
                found.extend(private);
            }
        }
    }
    Ok(found)
}

fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(Vec::new()) };
    let paths = entries.map(|entry| Ok(entry?.path()));
    let paths: Vec<PathBuf> = paths.collect::<Result<_>>()?;
    Ok(paths.into_iter().filter(|path| path.is_dir()).collect())
}

impl Browser {
    /// Starts one without any cookie; none where there is no Chromium.
    pub async fn start() -> Result<Option<Self>> {
        let Some(programs) = Programs::find()? else { return Ok(None) };
        let folder = crate::envoy::folder()?;
        let (home, log) = (folder.path().display(), folder.path().join("driver.log"));
        let libraries = env::join_paths(&programs.libraries)?;
        let arguments = [
            format!("HOME={home}"),
            format!("TMPDIR={home}"),
            format!("LD_LIBRARY_PATH={}", libraries.to_string_lossy()),
            programs.driver.display().to_string(),
            "--port=0".to_owned(),
        ];
        let mut driver = Process::spawn("env", arguments, log.clone())?;
        let port = driver.until("Chromium's driver", async || {
            let told = crate::process::read(&log);
            let (_, port) = told.split_once("started successfully on port ").context("no port")?;
            Ok(port.split('.').next().unwrap_or_default().parse()?)
        });
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.await?));
        let connection = Connection::open(address, None).await?;
        let session = String::new();
        let mut browser = Self { connection, address, session, _driver: driver, _folder: folder };
        let mut options = json!({
            // No sandbox: root has none, and all pages are ours. The pipe ends with the driver, and
            // Chromium with the pipe.
            "args": ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     "--remote-debugging-pipe"],
        });
        if let Some(binary) = programs.browser {
            options["binary"] = json!(binary);
        }
        let wanted = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}});
        let session = browser.ask("/session", &wanted).await?;
        browser.session = session["sessionId"].as_str().context("no session")?.to_owned();
        Ok(Some(browser))
    }

    /// Navigates, and waits until the page and its parts have come.
    pub async fn open(&mut self, url: &str) -> Result<()> {
        self.ask("url", &json!({"url": url})).await.map(drop)
    }

    /// The answer of a script in the page: the body of an `async` function.
    pub async fn run(&mut self, script: &str) -> Result<Value> {
        let script = format!("return (async () => {{ {script} }})()");
        self.ask("execute/sync", &json!({"script": script, "args": []})).await
    }

    /// Opens a tab and looks at it; what it takes to look at the one before again.
    pub async fn open_tab(&mut self) -> Result<Tab> {
        let before = self.get("window").await?;
        let opened = self.ask("window/new", &json!({"type": "tab"})).await?;
        self.look_at(&Tab(opened["handle"].clone())).await?;
        Ok(Tab(before))
    }

    /// Looks at a tab.
    pub async fn look_at(&mut self, tab: &Tab) -> Result<()> {
        self.ask("window", &json!({"handle": tab.0})).await.map(drop)
    }

    async fn get(&mut self, command: &str) -> Result<Value> {
        self.send("GET", command, "").await
    }

    async fn ask(&mut self, command: &str, body: &Value) -> Result<Value> {
        self.send("POST", command, &body.to_string()).await
    }

    async fn send(&mut self, method: &str, command: &str, body: &str) -> Result<Value> {
        let path = match command.starts_with('/') {
            true => command.to_owned(),
            false => format!("/session/{}/{command}", self.session),
        };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        self.connection.write(head.as_bytes()).await?;
        let reply = self.connection.read().await?;
        let mut answer: Value = serde_json::from_slice(&reply.body)?;
        ensure!(reply.status == 200, "{command} {body}: {answer:#}");
        Ok(answer["value"].take())
    }
}

/// A tab of the browser.
pub struct Tab(Value);
