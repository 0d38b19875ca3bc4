//! A guard at work while a canary fails.

use super::said;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::time::Duration;
use wasm_tests::envoy::Envoy;
use wasm_tests::manifest;
use wasm_tests::traffic::{Traffic, Visit};

const SECOND: Duration = Duration::from_secs(1);
/// Rows at most: on any machine it is long over by then.
const PATIENCE: u32 = 40;
const USERS: usize = 2000;
const CONNECTIONS: usize = 4;
/// The beginnings of the log lines about a guard.
const NEWS: [&str; 3] = ["guard tripped, ", "canary is on trial", "canary is back"];

/// Prints the shares of each second while the canary fails and heals, then what the filter said.
/// The guard's times are short, so that it can be watched.
pub(super) async fn show(mut configuration: Value) -> Result<()> {
    let rules = configuration["rules"].as_array_mut().context("no rules")?;
    let rollout = rules.iter_mut().find(|rule| rule["name"] == "rollout").context("no rollout")?;
    rollout["guard"] = json!({
        "watch": "canary", "fallback": "stable", "maxErrorRate": "5%", "minRequests": 10,
        "window": "2s", "cooldown": "3s"
    });
    let (envoy, [_stable, canary]) = crate::serve(Some(&configuration)).await?;
    println!("The same with a guard on rollout: {}\n", rollout_guard(&configuration));
    let traffic = Traffic::reviews(envoy.address(manifest::LISTENER)?, CONNECTIONS, USERS).await?;
    println!("second  canary   stable  errors");
    let (mut told, mut back) = (0, None);
    for second in 1..=PATIENCE {
        let begin = traffic.elapsed();
        traffic.until(SECOND * second).await;
        let mut notes = news(&envoy, &mut told);
        println!("{}", row(second, &traffic.since(begin), &notes.join("; ")).trim_end());
        if second == 2 {
            canary.fail(30);
            println!("        -- from here on the canary fails 30 % of its requests");
        }
        if notes.iter().any(|note| note.contains("tripped")) {
            canary.fail(0);
            println!("        -- healed");
        }
        if notes.drain(..).any(|note| note.contains("is back")) {
            back = Some(second);
        }
        if back.is_some_and(|back| second > back + 1) {
            traffic.stop().await?;
            println!("\nThe filter's own words, from Envoy's log:\n{}", lines(&envoy).join("\n"));
            return Ok(());
        }
    }
    bail!("the guard did not trip, or the canary is not back. Envoy's log:\n{}", said(&envoy))
}

fn rollout_guard(configuration: &Value) -> String {
    let rules = configuration["rules"].as_array().into_iter().flatten();
    let guard = rules.filter_map(|rule| rule.get("guard")).next();
    guard.map(Value::to_string).unwrap_or_default()
}

/// The log lines about the guard.
fn lines(envoy: &Envoy) -> Vec<String> {
    let log = said(envoy);
    let line = |line: &str| {
        let at = line.find("rule rollout: ")?;
        NEWS.iter().any(|news| line.contains(news)).then(|| line.get(at..).map(str::to_owned))?
    };
    log.lines().filter_map(line).collect()
}

/// The news among those lines since the last look, in short.
fn news(envoy: &Envoy, told: &mut usize) -> Vec<String> {
    let lines = lines(envoy);
    let short = |line: &String| {
        let line = line.trim_start_matches("rule rollout: ");
        line.split([',', ':']).next().unwrap_or_default().to_owned()
    };
    let new = lines.iter().skip(*told).map(short).collect();
    *told = lines.len();
    new
}

fn row(second: u32, visits: &[Visit], note: &str) -> String {
    let count = |of: fn(&Visit) -> bool| visits.iter().filter(|visit| of(visit)).count();
    let share = |count: usize| 100.0 * count as f64 / visits.len().max(1) as f64;
    let canary = share(count(|visit| visit.upstream == "canary"));
    let stable = share(count(|visit| visit.upstream == "stable"));
    let errors = count(|visit| visit.status >= 500);
    format!("{second:>6}  {canary:>4.1} %  {stable:>5.1} %  {errors:>6}  {note}")
}
