//! Real requests of every kind through `manifests/envoy.yaml`, and where they went.

mod guard;

use crate::table::{self, Row};
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::ExitCode;
use wasm_tests::client::Protocol;
use wasm_tests::envoy::Envoy;
use wasm_tests::load::{self, Newcomer, counts, standard_errors};
use wasm_tests::manifest;
use wasm_tests::message::{Request, pair};

const KEYS: usize = 10_000;
const RANDOM: usize = 10_000;
const NEWCOMERS: usize = 2_000;
const FIXED: usize = 200;
/// No divisor of [`KEYS`]: a key's second request comes over another connection than its first.
const CONNECTIONS: usize = 7;

/// Requests of one kind, and where they have to go.
struct Check {
    rule: &'static str,
    sent: &'static str,
    requests: Vec<Request>,
    expected: Expected,
}

enum Expected {
    /// All requests reach this upstream.
    All(&'static str),
    /// The upstreams are reached in proportion, within so many standard errors; with `sticky`, the
    /// second half of the requests repeats the first, and goes where that went.
    Split { weights: BTreeMap<String, f64>, errors: f64, sticky: bool },
}

/// Runs the checks and prints what came of them; a failure where one request went elsewhere.
pub async fn demo() -> Result<ExitCode> {
    let configuration = serde_json::from_str(&manifest::configuration()?)?;
    let checks = checks(&configuration)?;
    let (envoy, _upstreams) = crate::serve(None).await?;
    let address = envoy.address(manifest::LISTENER)?;
    let total: usize = checks.iter().map(|check| check.requests.len()).sum();
    let total = total + 2 * NEWCOMERS;
    eprintln!("Sending {total} requests to {address} ...");
    let mut rows = Vec::new();
    for check in checks {
        let requests = check.requests.clone();
        let reached = load::send(Protocol::Http1, address, CONNECTIONS, requests).await?;
        rows.push(row(&check, &reached));
    }
    let newcomers =
        load::newcomers(Protocol::Http1, address, CONNECTIONS, "/reviews/1", NEWCOMERS).await?;
    rows.push(newcomers_row(&configuration, &newcomers)?);
    println!();
    table::print(&["rule", "sent", "configured", "observed", "tolerance"], &rows)?;
    println!("\nse: standard error of a binomial count, the square root of n p (1 - p).");
    if let Some(Newcomer { cookie, reached: [first, second] }) = newcomers.first() {
        println!(
            "\nThe first new user: {first}, with `Set-Cookie: {cookie}`\n\
             The same user again: {second}, with `Cookie: {}`",
            pair(cookie)
        );
    }
    if !rows.iter().all(|row| row.right) {
        println!("Some requests went elsewhere. Envoy's log:\n{}", said(&envoy));
        return Ok(ExitCode::FAILURE);
    }
    envoy.stop()?;
    println!();
    guard::show(configuration).await?;
    Ok(ExitCode::SUCCESS)
}

/// Envoy's log without the lines of its access log.
fn said(envoy: &Envoy) -> String {
    let log = envoy.log();
    log.lines().filter(|line| !line.starts_with('{')).collect::<Vec<_>>().join("\n")
}

fn checks(configuration: &Value) -> Result<Vec<Check>> {
    let plain = || Request::get("/");
    let pinned = |rule, sent, request: Request, upstream| Check {
        rule,
        sent,
        requests: vec![request; FIXED],
        expected: Expected::All(upstream),
    };
    let key = |n: usize| {
        let key = format!("user-{}", n % KEYS);
        // The two places where the rule looks for a key, the cookie first.
        match n % 2 {
            0 => Request::get("/reviews/1").with("cookie", format!("uid={key}").as_str()),
            _ => Request::get("/reviews/1").with("x-user-id", key.as_str()),
        }
    };
    let split = |rule: &'static str, sent, requests, errors, sticky| {
        let weights = weights(configuration, rule)?;
        let expected = Expected::Split { weights, errors, sticky };
        anyhow::Ok(Check { rule, sent, requests, expected })
    };
    let spoofed = plain().with("x-split-cluster", "canary").with("X-Split-Cluster", "canary");
    Ok(vec![
        pinned(
            "testers",
            "header x-user-group: beta",
            plain().with("x-user-group", "beta"),
            "canary",
        ),
        pinned("preview", "cookie preview=1", plain().with("cookie", "a=b; preview=1"), "canary"),
        split(
            "rollout",
            "10000 fixed keys, each twice",
            (0..2 * KEYS).map(key).collect(),
            3.0,
            true,
        )?,
        split("sample", "no key", vec![Request::get("/ratings/1"); RANDOM], 5.0, false)?,
        pinned("(none)", "no rule matches", plain(), "stable"),
        pinned("(none)", "x-split-cluster: canary, sent by the client", spoofed, "stable"),
    ])
}

/// Users without any key: each first visit is issued an identity, each second one brings it back.
fn newcomers_row(configuration: &Value, newcomers: &[Newcomer]) -> Result<Row> {
    let weights = weights(configuration, "rollout")?;
    let visits = |visit: usize| newcomers.iter().map(move |one| one.reached[visit].clone());
    let reached: Vec<_> = visits(0).chain(visits(1)).collect();
    let check = Check {
        rule: "rollout",
        sent: "2000 new users, each twice",
        requests: Vec::new(),
        expected: Expected::Split { weights, errors: 5.0, sticky: true },
    };
    Ok(row(&check, &reached))
}

/// The weights of a rule in the manifest, as probabilities of the clusters.
fn weights(configuration: &Value, name: &str) -> Result<BTreeMap<String, f64>> {
    let rules = configuration["rules"].as_array().into_iter().flatten();
    let rule = rules.into_iter().find(|rule| rule["name"] == name);
    let split = rule.and_then(|rule| rule["split"].as_object());
    let split = split.with_context(|| format!("manifests/envoy.yaml has no split {name}"))?;
    let sum: f64 = split.values().filter_map(Value::as_f64).sum();
    let share = |(variant, weight): (&String, &Value)| {
        let cluster = configuration["variants"][variant]["cluster"].as_str()?;
        Some((cluster.to_owned(), weight.as_f64()? / sum))
    };
    Ok(split.iter().filter_map(share).collect())
}

/// The configured shares, the observed ones, the tolerance, and whether it was kept.
type Verdict = (String, String, String, bool);

fn row(check: &Check, reached: &[String]) -> Row {
    let (configured, observed, tolerance, right) = match &check.expected {
        Expected::All(upstream) => pinned_verdict(upstream, reached),
        Expected::Split { weights, errors, sticky } => {
            split_verdict(weights, *errors, *sticky, reached)
        }
    };
    let cells = vec![check.rule.into(), check.sent.into(), configured, observed, tolerance];
    Row { cells, right }
}

fn pinned_verdict(upstream: &str, reached: &[String]) -> Verdict {
    let counts = counts(reached);
    let right = counts.get(upstream) == Some(&reached.len());
    let observed: Vec<_> = counts.iter().map(|(name, n)| share(name, *n, reached.len())).collect();
    (format!("{upstream} 100 %"), observed.join(", "), "every one".into(), right)
}

fn split_verdict(
    weights: &BTreeMap<String, f64>,
    errors: f64,
    sticky: bool,
    reached: &[String],
) -> Verdict {
    // A key counts once.
    let first = if sticky { &reached[..reached.len() / 2] } else { reached };
    let again = if sticky { &reached[reached.len() / 2..] } else { reached };
    let moved = first.iter().zip(again).filter(|(first, again)| first != again).count();
    let counts = counts(first);
    let known = counts.keys().all(|name| weights.contains_key(*name));
    let mut right = known && moved == 0;
    let mut observed = Vec::new();
    for (name, p) in weights {
        let count = counts.get(name.as_str()).copied().unwrap_or_default();
        let off = standard_errors(count, first.len(), *p);
        right &= off.abs() <= errors;
        observed.push(format!("{} {off:+.1} se", share(name, count, first.len())));
    }
    if sticky {
        observed.push(format!("{moved} moved"));
    }
    let configured: Vec<_> =
        weights.iter().map(|(name, p)| format!("{name} {} %", p * 100.0)).collect();
    let tolerance = if sticky { format!("{errors} se, 0 moved") } else { format!("{errors} se") };
    (configured.join(", "), observed.join(", "), tolerance, right)
}

fn share(name: &str, count: usize, n: usize) -> String {
    format!("{name} {count} ({:.1} %)", 100.0 * count as f64 / n as f64)
}
