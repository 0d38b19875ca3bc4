//! `splitctl watch` at a Prometheus behind TLS and a password.

use super::watch;
use anyhow::{Result, ensure};
use std::fs;
use std::path::Path;
use std::process::Command;
use wasm_tests::prometheus::Programs;
use wasm_tests::{cannot_run, find, root};

/// bcrypt of `sesame`.
const SESAME: &str = "$2b$04$abcdefghijklmnopqrstuuinwY/tkBVrn3xrxQI/TgnMHhkvl85RW";

/// Makes a certificate of 127.0.0.1 that vouches for itself, with its key.
fn certificate(folder: &Path) -> Result<()> {
    let made = Command::new("openssl")
        .current_dir(folder)
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-days", "2", "-subj", "/CN=prometheus", "-keyout", "key.pem"])
        .args(["-out", "ca.pem", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .output()?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_and_a_certificate_open_the_way_to_prometheus() -> Result<()> {
    let Some(programs) = Programs::find()? else { return Ok(()) };
    if find::which("openssl").is_none() {
        return cannot_run("no openssl, which makes a certificate");
    }
    let folder = tempfile::tempdir()?;
    certificate(folder.path())?;
    let web = format!(
        "tls_server_config: {{ cert_file: ca.pem, key_file: key.pem }}\n\
         basic_auth_users: {{ alice: {SESAME} }}\n"
    );
    for (name, text) in [
        ("web.yaml", web.as_str()),
        ("prometheus.yaml", "global: {}\n"),
        ("right", "alice:sesame\n"),
        ("wrong", "alice:open\n"),
    ] {
        fs::write(folder.path().join(name), text)?;
    }
    let prometheus = programs.behind(folder.path(), "web.yaml").await?;
    let splitctl = watch::program()?;
    let asked = |more: &[&str]| {
        let mut command = Command::new(&splitctl);
        command.current_dir(folder.path()).env_remove("PROMETHEUS_TOKEN");
        command.env("PROMETHEUS_URL", format!("https://{}", prometheus.address));
        command.args(["watch", "--once", "--rule", "rollout", "--baseline", "stable", "-f"]);
        command.arg(root().join("manifests/traffic-split.yaml")).args(more);
        let output = command.output()?;
        anyhow::Ok(String::from_utf8([output.stdout, output.stderr].concat())?)
    };
    for (more, expected) in [
        // It has no metrics, and says so.
        (
            &["--ca-file", "ca.pem", "--basic-file", "right"][..],
            "Prometheus has no tsplit_requests",
        ),
        (&["--ca-file", "ca.pem", "--basic-file", "wrong"], "refuses the credentials (status 401"),
        (&["--ca-file", "ca.pem"], "refuses the credentials (status 401"),
        (&["--basic-file", "right"], "a certificate that is not to be trusted; --ca-file names"),
        (&["--ca-file", "none.pem"], "cannot read none.pem"),
        (&["--ca-file", "right"], "right has no certificate"),
        (
            &["--ca-file", "ca.pem", "--basic-file", "right", "-l", "app=shop"],
            "--selector \"app=shop\" is no list of labels: give it as in 'namespace=\"shop\"",
        ),
    ] {
        let text = asked(more)?;
        ensure!(text.contains(expected), "{more:?}: {text}");
    }
    let none = asked(&["--ca-file", "ca.pem"])?;
    ensure!(none.lines().count() == 1, "one mistake is one line: {none}");
    Ok(())
}
