//! `manifests/engines`: the application's SDK has the variant that the gateway chose, for every user.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use wasm_tests::client::{Client, Protocol};
use wasm_tests::envoy::{self, Envoy};
use wasm_tests::message::Request;
use wasm_tests::process::Process;
use wasm_tests::{find, manifest, sdk};

const FOLDER: &str = "manifests/engines";

/// The application on free ports, and these.
async fn application() -> Result<Option<(Process, tempfile::TempDir, [u16; 2])>> {
    let Some(python) = sdk::python()? else { return Ok(None) };
    let folder = envoy::folder()?;
    let program = wasm_tests::root().join(FOLDER).join("app.py");
    let arguments = [program.as_os_str(), "0".as_ref(), "0".as_ref()];
    let mut process = Process::spawn(python, arguments, folder.path().join("app.log"))?;
    let log = process.log_path().to_owned();
    let ports = process.until("the application", async || {
        let log = std::fs::read_to_string(&log)?;
        let port = |variant: &str| {
            let line = log.lines().find_map(|line| line.strip_prefix(variant));
            line.and_then(|port| port.trim().parse().ok()).with_context(|| log.clone())
        };
        Ok([port("control")?, port("treatment")?])
    });
    let ports = ports.await?;
    Ok(Some((process, folder, ports)))
}

async fn gateway([control, treatment]: [u16; 2]) -> Result<(Envoy, SocketAddr)> {
    let manifest = manifest::runnable_of("engines/envoy.yaml", control, treatment)?;
    let envoy = Envoy::start(&find::launcher()?, manifest.setup(1)?).await?;
    let address = envoy.address(manifest::LISTENER)?;
    Ok((envoy, address))
}

async fn answer(client: &mut Client, user: Option<&str>) -> Result<Value> {
    // A client cannot choose: the gateway removes what it sends.
    let request = Request::get("/checkout").with("x-split-variant", "treatment");
    let request = user.into_iter().fold(request, |request, user| request.with("x-user-id", user));
    Ok(serde_json::from_slice(&client.send(&request).await?.body)?)
}

#[tokio::test]
async fn gateway_and_sdk() -> Result<()> {
    let Some((_process, _folder, ports)) = application().await? else { return Ok(()) };
    let (_envoy, address) = gateway(ports).await?;
    let mut client = Client::connect(Protocol::Http1, address).await?;
    let mut users = BTreeMap::new();
    for user in 0..500 {
        let answer = answer(&mut client, Some(&format!("user-{user}"))).await?;
        let variant = answer["sdk"].clone();
        let agreed = json!({"server": variant, "gateway": variant, "sdk": variant});
        ensure!(answer == agreed, "user-{user}: {answer}");
        *users.entry(variant.to_string()).or_insert(0) += 1;
    }
    // 80 of 500 are due: half of 80 % of a namespace of 40 %. Fixed users.
    ensure!((60..=100).contains(&users["\"treatment\""]), "{users:?}");

    let readme = std::fs::read_to_string(wasm_tests::root().join(FOLDER).join("README.md"))?;
    let mut rows = 0;
    for line in readme.lines().filter(|line| line.contains("{\"server\"")) {
        let cells: Vec<_> = line.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let user = (cells[1] != "none").then_some(cells[1]);
        let expected: Value = serde_json::from_str(cells[2])?;
        assert_eq!(answer(&mut client, user).await?, expected, "{line}");
        rows += 1;
    }
    assert_eq!(rows, 3);
    Ok(())
}

/// The commands of the README name files that are there, and the SDK that is tested.
#[test]
fn its_readme() -> Result<()> {
    let root = wasm_tests::root();
    let readme = std::fs::read_to_string(root.join(FOLDER).join("README.md"))?;
    let shown = readme.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next());
    let shown = shown.context("no commands")?;
    for word in shown.split_whitespace().filter(|word| word.starts_with("manifests/")) {
        assert!(root.join(word).is_file(), "{word}");
    }
    let installed =
        shown.lines().find_map(|line| line.split_once("pip install ")).context("pip")?.1;
    let pinned = std::fs::read_to_string(root.join("wasm-tests/engines/requirements.txt"))?;
    let names = pinned.lines().filter_map(|line| line.split_whitespace().next());
    assert!(names.into_iter().any(|name| name == installed), "{installed}");
    Ok(())
}
