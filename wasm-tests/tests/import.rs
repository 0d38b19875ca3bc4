//! What `splitctl import` makes of other systems' canaries goes where they sent it.
//!
//! `import/` has manifests of each system, and beside each `NAME.expect.yaml` what requests go where
//! in that system; `import/ingress-nginx.json` has decisions of ingress-nginx' own function.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use traffic_split::testing::FixedEnvironment;
use traffic_split::{HeaderList, Plan, Snapshot, decide};
use wasm_tests::client::{Client, Protocol};
use wasm_tests::envoy::{Envoy, Setup};
use wasm_tests::load::standard_errors;
use wasm_tests::message::Request;
use wasm_tests::{find, native, upstream};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("import")
}

fn run(program: &Path, arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(program).args(arguments).current_dir(folder()).output()?)
}

/// The path of a file in a folder that is gone after the test.
fn written(folder: &tempfile::TempDir, name: &str, text: &[u8]) -> Result<String> {
    let path = folder.path().join(name);
    fs::write(&path, text)?;
    Ok(path.display().to_string())
}

#[test]
fn every_pair_agrees() -> Result<()> {
    let program = wasm_tests::splitctl::program()?;
    let temporary = tempfile::tempdir()?;
    let (mut pairs, mut passed) = (0, 0);
    for entry in fs::read_dir(folder())? {
        let name = entry?.file_name().into_string().unwrap_or_default();
        let Some(base) = name.strip_suffix(".expect.yaml") else { continue };
        let kinds = ["yaml", "conf"].map(|kind| format!("{base}.{kind}"));
        let source = kinds.iter().find(|name| folder().join(name).exists()).context("no source")?;
        for as_is in [&[][..], &["--as-is"]] {
            let imported = run(&program, &[&["import", "-f", source], as_is].concat())?;
            ensure!(imported.status.success(), "{source}: {imported:?}");
            let rules = written(&temporary, "rules.yaml", &imported.stdout)?;
            let valid = run(&program, &["validate", "-f", &rules])?;
            ensure!(valid.status.success(), "{source}: {valid:?}");
            let tested = run(&program, &[&["test", "-f", &rules, &name], as_is].concat())?;
            let text = String::from_utf8(tested.stdout)?;
            ensure!(tested.status.success() && text.contains(" 0 skipped"), "{source}: {text}");
            passed += text.matches('✓').count();
        }
        pairs += 1;
    }
    assert!((pairs, passed) >= (13, 160), "{pairs} pairs, {passed} requests");
    Ok(())
}

#[test]
fn a_controller_that_goes_on_by_itself_is_answered_with_its_page() -> Result<()> {
    let program = wasm_tests::splitctl::program()?;
    for (file, page) in [
        ("flagger.yaml", "manifests/flagger/README.md"),
        ("argo-rollouts.yaml", "manifests/argo-rollouts/README.md"),
    ] {
        let output = run(&program, &["import", "-f", file])?;
        let text = String::from_utf8(output.stderr)?;
        ensure!(output.status.code() == Some(2) && text.contains(page), "{text}");
        ensure!(wasm_tests::root().join(page).exists(), "{page}");
    }
    Ok(())
}

#[derive(Deserialize)]
struct Decisions {
    policies: BTreeMap<String, BTreeMap<String, String>>,
    decisions: Vec<Decision>,
}

#[derive(Deserialize)]
struct Decision {
    policy: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    /// The side whose session the client has.
    session: Option<String>,
    goes: Option<String>,
    n: Option<usize>,
    /// How many of `n` requests went to the canary.
    canary: Option<usize>,
}

/// A primary Ingress with session affinity, if asked for, and its canary.
fn pair(annotations: &BTreeMap<String, String>, affinity: bool) -> String {
    let ingress = |name: &str, service: &str, annotations: BTreeMap<String, String>| {
        serde_json::json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"name": name, "annotations": annotations},
            "spec": {"rules": [{"host": "books.test", "http": {"paths": [{
                "path": "/", "pathType": "Prefix",
                "backend": {"service": {"name": service, "port": {"number": 80}}}
            }]}}]}
        })
        .to_string()
    };
    let prefixed = |name: &str| format!("nginx.ingress.kubernetes.io/{name}");
    let own = annotations.iter().map(|(name, value)| (prefixed(name), value.clone()));
    let canary = own.chain([(prefixed("canary"), "true".to_owned())]).collect();
    let sticky = affinity.then(|| (prefixed("affinity"), "cookie".to_owned()));
    let primary = ingress("books", "stable", sticky.into_iter().collect());
    format!("{primary}\n---\n{}\n", ingress("books-next", "canary", canary))
}

fn plan(
    program: &Path,
    annotations: &BTreeMap<String, String>,
    affinity: bool,
) -> Result<(Plan, String)> {
    let temporary = tempfile::tempdir()?;
    let file = written(&temporary, "pair.yaml", pair(annotations, affinity).as_bytes())?;
    let output = run(program, &["import", "-f", &file])?;
    ensure!(output.status.success(), "{output:?}");
    let rules: Value = serde_saphyr::from_str(&String::from_utf8(output.stdout)?)?;
    Ok((native::plan(&rules.to_string())?, String::from_utf8(output.stderr)?))
}

/// The variants of a request under this many values of chance.
fn variants(plan: &Plan, decision: &Decision, draws: u64) -> Vec<String> {
    let mut headers = vec![(":authority".to_owned(), "books.test".to_owned())];
    let given = decision.headers.iter();
    headers.extend(given.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())));
    if let Some(side) = &decision.session {
        headers.push(("cookie".to_owned(), format!("split-books={side}")));
    }
    let (request, snapshot) = (HeaderList::new(headers), Snapshot::new(plan, 0));
    let draw = |n: u64| {
        let environment = &mut FixedEnvironment { draws: n, ..FixedEnvironment::default() };
        let decision = decide(plan, &snapshot, &request, environment);
        decision.variant().map_or_else(|| "none".to_owned(), |variant| variant.name.clone())
    };
    (0..draws).map(draw).collect()
}

#[test]
fn every_decision_of_ingress_nginx_is_the_same() -> Result<()> {
    let program = wasm_tests::splitctl::program()?;
    let all: Decisions =
        serde_json::from_str(&fs::read_to_string(folder().join("ingress-nginx.json"))?)?;
    let mut announced = 0;
    for decision in &all.decisions {
        let affinity = decision.session.is_some();
        let (plan, remarks) = plan(&program, &all.policies[&decision.policy], affinity)?;
        let title = format!("{}: {:?} {:?}", decision.policy, decision.headers, decision.session);
        match (&decision.goes, decision.n.zip(decision.canary)) {
            (Some(goes), _) => {
                let seen = variants(&plan, decision, 64);
                if seen.iter().all(|variant| variant == goes) {
                    continue;
                }
                // The one difference: a session won over the header there.
                let told = remarks.contains("here they win over the session");
                ensure!(affinity && told && !decision.headers.is_empty(), "{title}: {seen:?}");
                announced += 1;
            }
            (None, Some((n, canary))) => {
                let seen = variants(&plan, decision, 1_000);
                let share = seen.iter().filter(|it| *it == "canary").count() as f64 / 1_000.0;
                let off = if share == 1.0 {
                    (n - canary) as f64
                } else {
                    standard_errors(canary, n, share)
                };
                ensure!(off.abs() <= 3.0, "{title}: {share}, and there {canary} of {n}");
            }
            _ => anyhow::bail!("{title}: nothing is expected"),
        }
    }
    assert_eq!((all.decisions.len(), announced), (47, 2));
    Ok(())
}

/// The shop of `manifests/import`, as `-o envoy` writes it: a real Envoy sends each request of
/// `expect.yaml` where it has to go.
#[tokio::test]
async fn the_shop_that_leaves_ingress_nginx_is_served_by_envoy() -> Result<()> {
    const ADMIN: &str =
        "admin: { address: { socket_address: { address: 127.0.0.1, port_value: 0 } } }";
    let manifests = wasm_tests::root().join("manifests/import");
    let program = wasm_tests::splitctl::program()?;
    let ingress = manifests.join("ingress.yaml").display().to_string();
    let output = run(&program, &["import", "-f", &ingress, "-o", "envoy"])?;
    ensure!(output.status.success(), "{output:?}");
    let upstreams = upstream::start(["shop-v1", "shop-v2"]).await?;
    let module = wasm_tests::module()?.display().to_string();
    let mut bootstrap = String::from_utf8(output.stdout)?
        .replace("0.0.0.0, port_value: 10000", "127.0.0.1, port_value: 0")
        .replace("/etc/envoy/traffic_split.wasm", &module);
    for (name, upstream) in &upstreams {
        let port = upstream.address.port();
        let there = format!("address: {name}.shop.svc.cluster.local, port_value: 80");
        ensure!(bootstrap.contains(&there), "{bootstrap}");
        bootstrap = bootstrap.replace(&there, &format!("address: 127.0.0.1, port_value: {port}"));
    }
    let bootstrap = format!("{ADMIN}\n{bootstrap}");
    let setup = Setup { bootstrap, concurrency: 1, listeners: 1, folder: None };
    let envoy = Envoy::start(&find::launcher()?, setup).await?;
    let mut client = Client::connect(Protocol::Http1, envoy.address("http")?).await?;

    let expected = fs::read_to_string(manifests.join("expect.yaml"))?;
    let expected: Value = serde_saphyr::from_str(&expected)?;
    let entries = |field: &str| expected[field].as_array().cloned().unwrap_or_default();
    let text = |entry: &Value, field: &str| entry[field].as_str().map(str::to_owned);
    let mut asked = entries("asked");
    let same = |one: &Value, other: &Value| {
        ["authority", "path", "headers"].iter().all(|field| one[field] == other[field])
    };
    let meant = entries("asked");
    asked.extend(entries("requests").into_iter().filter(|it| !meant.iter().any(|m| same(it, m))));
    let mut sent = 0;
    for entry in asked.iter().filter(|entry| entry["goes"].is_string()) {
        let path = text(entry, "path").unwrap_or_else(|| "/".into());
        let authority = text(entry, "authority").context("no authority")?;
        let mut request = Request { authority, ..Request::get(&path) };
        for header in entry["headers"].as_array().into_iter().flatten() {
            let part = |place: usize| header[place].as_str().unwrap_or_default();
            request = request.with(part(0), part(1));
        }
        let reply = client.send(&request).await?;
        let goes = text(entry, "goes").unwrap_or_default();
        let cluster = expected["variants"][&goes].as_str();
        let status = if cluster.is_some() { 200 } else { 404 };
        ensure!((reply.upstream(), reply.status) == (cluster, status), "{entry}: {reply:?}");
        sent += 1;
    }
    assert_eq!(sent, 5);
    Ok(())
}
