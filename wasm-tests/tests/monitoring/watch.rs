//! `splitctl watch`, as a person runs it.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use wasm_tests::prometheus::Prometheus;
use wasm_tests::session::Session;
use wasm_tests::{readme, root};

pub use wasm_tests::splitctl::program;

/// The other app has the same rules, and no traffic.
const SHOP: &str = "app=\"shop\"";

fn command(program: &Path, prometheus: &Prometheus, labels: &str, more: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root().join("manifests")).args(["watch", "-f", "traffic-split.yaml"]);
    command.args(["--prometheus", &format!("http://{}", prometheus.address)]);
    command.args(["-l", labels]).args(more);
    command
}

/// Its exit code and what it prints of one look.
fn once(
    program: &Path,
    prometheus: &Prometheus,
    labels: &str,
    more: &[&str],
) -> Result<(Option<i32>, String)> {
    let more = [&["--once", "--window", "10s"], more].concat();
    let output = command(program, prometheus, labels, &more).output()?;
    let text = String::from_utf8([output.stdout, output.stderr].concat())?;
    Ok((output.status.code(), text))
}

fn variant<'l>(look: &'l Value, rule: &str, name: &str) -> Result<&'l Value> {
    let find = |list: &'l Value, field: &str, name: &str| {
        list.as_array().into_iter().flatten().find(|one| one[field] == name)
    };
    let rule = find(&look["rules"], "rule", rule).context("no rule")?;
    find(&rule["variants"], "variant", name).context("no variant")
}

pub fn while_all_is_well(program: &Path, prometheus: &Prometheus) -> Result<()> {
    let once = |labels, more| once(program, prometheus, labels, more);
    let (code, text) = once(SHOP, &["-o", "json", "--baseline", "stable"])?;
    ensure!(code == Some(0), "{code:?} {text}");
    let look: Value = serde_json::from_str(&text)?;
    for rule in ["rollout", "sample"] {
        let canary = variant(&look, rule, "canary")?;
        ensure!(canary["success"] == 1.0 && canary["verdict"] != "worse", "{canary}");
        let number = |field: &str| canary[field].as_f64().with_context(|| format!("no {field}"));
        let (share, weight) = (number("share")?, number("configured")?);
        let n = number("requests")? / share;
        let error = (weight * (1.0 - weight) / n).sqrt();
        ensure!((share - weight).abs() < 5.0 * error, "{canary}");
    }
    for (labels, more, expected) in [
        (
            "app=\"none\"",
            &["--baseline", "stable"][..],
            "error: --selector \"app=\\\"none\\\"\" fits no series of tsplit_requests_total within 10 s; \
             there are others, with {app=",
        ),
        (
            "app=",
            &["--baseline", "stable"],
            "error: --selector \"app=\" is no list of labels: give it as in 'namespace=\"shop\"",
        ),
        (SHOP, &["--rule", "testers"], "error: traffic-split.yaml: rule testers has one variant"),
        (
            SHOP,
            &["--rule", "sample"],
            "error: traffic-split.yaml: rule sample: neither a guard nor a ramp",
        ),
    ] {
        let (code, text) = once(labels, more)?;
        ensure!(code == Some(2) && text.starts_with(expected), "{code:?} {text}");
    }
    Ok(())
}

pub fn while_the_canary_fails(program: &Path, prometheus: &Prometheus) -> Result<()> {
    let (code, text) = once(
        program,
        prometheus,
        SHOP,
        &["--rule", "rollout", "--baseline", "stable", "-o", "json"],
    )?;
    ensure!(code == Some(1), "{code:?} {text}");
    let look: Value = serde_json::from_str(&text)?;
    let canary = variant(&look, "rollout", "canary")?;
    let stable = variant(&look, "rollout", "stable")?;
    ensure!(stable["verdict"].is_null() && stable["success"] == 1.0, "{stable}");
    ensure!(canary["verdict"] == "worse", "{canary}");
    let number = |of: &Value| of.as_f64().context("no number");
    // Three in ten, with the ends of the window and a margin of ten errors of 300 requests.
    ensure!((0.5..0.9).contains(&number(&canary["success"])?), "{canary}");
    let (slow, usual) = (number(&canary["p95_ms"])?, number(&stable["p95_ms"])?);
    ensure!(slow > 40.0 && slow > 2.0 * usual, "{look}");

    // `manifests/monitoring/README.md` shows it.
    let blocks = readme::blocks("console")?;
    let shown = blocks.iter().find(|text| text.starts_with("$ splitctl watch "));
    let (line, shown) =
        shown.and_then(|text| text.split_once('\n')).context("no document shows it")?;
    let asked = "$ splitctl watch --prometheus http://localhost:9090 -f traffic-split.yaml --rule rollout \
                 --baseline stable --window 1m --once";
    ensure!(line == asked, "{line}");
    let mut command =
        command(program, prometheus, SHOP, &["--rule", "rollout", "--baseline", "stable"]);
    let table = String::from_utf8(command.args(["--window", "1m", "--once"]).output()?.stdout)?;
    wasm_tests::say(&table);
    ensure!(readme::steady(&table) == readme::steady(shown), "{table}");

    // Without an end, a line for each look.
    let more = ["--baseline", "stable", "--window", "10s", "--interval", "1s", "-o", "json"];
    let mut session = Session::start(self::command(program, prometheus, SHOP, &more))?;
    for _ in 0..2 {
        session.wait_for_output("\"verdict\":\"worse\"")?;
    }
    session.signal("TERM")
}
