//! Requests at random, by someone who wants to reach what no rule gives: each is checked for it.

mod requests;

use crate::bootstrap::{self, DEFAULT, POINT_HEADER};
use crate::client::{Client, Protocol};
use crate::message::Reply;
use crate::native;
use crate::raw;
use crate::scene::Scene;
use anyhow::{Context, Result, ensure};
use clap::Args;
use requests::{Attacker, Sent};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The bytes that every text of the attacker's own begins with.
const MARKER: &str = "zqzqzqzq";
/// The upstreams that no request may reach: one that no variant names, one of weight 0 that only a
/// forged cookie leads to, one for other addresses, and one of a rule in shadow.
const FORBIDDEN: [&str; 4] = ["secret", "never", "internal", "shadowed"];
/// The longest wait for an answer: a request without its end has none.
const PATIENCE: Duration = Duration::from_secs(2);

/// The amount of work.
#[derive(Args, Clone, Copy, Debug)]
pub struct Attack {
    /// Requests, half of them over each protocol
    #[arg(default_value_t = 200_000)]
    pub requests: u64,
    /// The seed of all that is random
    #[arg(default_value_t = 1)]
    pub seed: u64,
}

/// The figures of an attack.
#[derive(Debug, Default)]
pub struct Figures {
    /// Requests that an upstream answered, by the rule that decided; `-` where none matched.
    pub answered: BTreeMap<String, u64>,
    /// Requests that Envoy answered itself, or not at all.
    pub refused: u64,
    /// Genuine cookies that came back and were believed.
    pub believed: u64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { answered, refused, believed } = self;
        let sum: u64 = answered.values().sum();
        write!(f, "{sum} answered {answered:?}, {refused} refused, {believed} genuine cookies")
    }
}

/// The site under attack.
pub(crate) fn configuration() -> Value {
    let signed = |cookie: &str| json!({"cookie": cookie, "maxAge": "1h", "signing": {"env": "SPLIT_COOKIE_KEYS"}});
    let names = ["stable", "canary", "a", "never", "internal", "shadowed"];
    let variant = |name: &str| (name.to_owned(), json!({"cluster": name, "point": 0}));
    let variants: serde_json::Map<_, _> = names.into_iter().map(variant).collect();
    let path = |prefix: &str| json!([{"path": {"prefix": prefix}}]);
    json!({
        "clusterHeader": "x-split-cluster", "variantHeader": "x-split-variant",
        "pointHeader": POINT_HEADER, "debugHeader": "x-split-debug", "metrics": "full",
        "variants": variants,
        "rules": [
            {"name": "tried", "mode": "shadow", "to": "shadowed"},
            {"name": "internal", "match": [{"sourceIp": ["10.0.0.0/8"]}], "to": "internal"},
            {"name": "testers", "match": [{"headers": {"x-user-group": {"exact": "beta"}}}],
             "to": "canary"},
            {"name": "preview", "match": [{"cookies": {"preview": {"present": true}}}],
             "to": "canary"},
            {"name": "kept", "match": path("/kept"), "split": {"a": 1, "never": 0},
             "persist": signed("kept")},
            {"name": "issued", "match": path("/issued"), "split": {"stable": 1, "canary": 1},
             "sticky": {"issue": signed("split-id")}},
            {"name": "chosen", "match": path("/chosen"), "split": {"stable": 1, "canary": 1},
             "sticky": {"key": [{"header": "x-user-id"}]}}
        ]
    })
}

/// Sends the requests, and checks each answer.
///
/// # Errors
/// The first request that reached or got what no rule gives, with all that it was.
pub async fn run(Attack { requests, seed }: Attack) -> Result<Figures> {
    let configuration = configuration();
    let clusters = bootstrap::clusters(&configuration).chain(["secret"]);
    let listener = bootstrap::Listener::new("attack", &configuration.to_string())?;
    let scene = Scene::with(&[listener], clusters, 2).await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let mut attacker = Attacker::new(seed, native::forgeries(&configuration, "never", now)?);
    let mut figures = Figures::default();
    let mut connection = None;
    for number in 0..requests {
        let sent = attacker.next(number);
        let reply = tokio::time::timeout(PATIENCE, send(&scene, &mut connection, &sent)).await;
        let Ok(Ok(reply)) = reply else {
            connection = None;
            figures.refused += 1;
            continue;
        };
        let checked = check(&mut attacker, &reply, &mut figures);
        checked.with_context(|| format!("seed {seed}, request {number}: {sent:?}\n{reply:?}"))?;
        if number % 50_000 == 49_999 {
            crate::say(&figures.to_string());
        }
    }
    for name in FORBIDDEN {
        let count = scene.upstreams.get(name).context("no upstream")?.count();
        ensure!(count == 0, "{count} requests reached {name}");
    }
    let log = scene.envoy.log();
    ensure!(!log.contains(MARKER), "the attacker's words are in the log: {log}");
    ensure!(!log.contains("panicked") && !log.contains("[critical]"), "{log}");
    Ok(figures)
}

async fn send(scene: &Scene, connection: &mut Option<Client>, sent: &Sent) -> Result<Reply> {
    match sent.protocol {
        Protocol::Http1 => {
            let mut connection = raw::Connection::open(scene.address, None).await?;
            connection.write(&sent.written()).await?;
            connection.read().await
        }
        Protocol::Http2 => {
            let client = match connection {
                Some(client) => client,
                None => connection.insert(Client::connect(Protocol::Http2, scene.address).await?),
            };
            client.send_with_trailers(&sent.request, &sent.trailers).await
        }
    }
}

/// Checks what became of a request.
fn check(attacker: &mut Attacker, reply: &Reply, figures: &mut Figures) -> Result<()> {
    ensure!(reply.status < 500, "status {}", reply.status);
    for name in ["set-cookie", "x-split-debug"] {
        let values = reply.all(name).concat();
        ensure!(!values.contains(MARKER), "{name} has the client's words: {values}");
    }
    let Some(upstream) = reply.upstream() else {
        figures.refused += 1;
        return Ok(());
    };
    let debug = reply.all("x-split-debug");
    let [debug] = &debug[..] else { anyhow::bail!("the debug header {debug:?}") };
    let told = |name: &str| debug.split("; ").find_map(|part| part.strip_prefix(name));
    let (rule, variant) = (told("rule=").unwrap_or("?"), told("variant=").unwrap_or("?"));
    let allowed: &[&str] = match rule {
        "-" => &[DEFAULT],
        "testers" | "preview" => &["canary"],
        "kept" => &["a"],
        "issued" | "chosen" => &["stable", "canary"],
        _ => &[],
    };
    ensure!(allowed.contains(&upstream), "{rule} led to {upstream}");
    *figures.answered.entry(rule.to_owned()).or_default() += 1;
    if reply.status == 101 {
        return Ok(());
    }
    let seen = reply.seen()?;
    let routed = if rule == "-" { vec![] } else { vec![variant.as_bytes()] };
    for name in ["x-split-cluster", "x-split-variant"] {
        ensure!(seen.all(name) == routed, "{name} is {:?}, not {routed:?}", seen.all(name));
    }
    // Each variant has the point 0.
    let point = if rule == "-" { vec![] } else { vec![&b"0"[..]] };
    ensure!(seen.all(POINT_HEADER) == point, "the point is {:?}", seen.all(POINT_HEADER));
    let cookies = String::from_utf8_lossy(&seen.all("cookie").join(&b';')).into_owned();
    match rule {
        "testers" => {
            let groups = seen.all("x-user-group");
            ensure!(groups.iter().any(|group| group.trim_ascii() == b"beta"), "not a tester");
        }
        "preview" => ensure!(cookies.contains("preview="), "no preview"),
        "kept" => figures.believed += attacker.believed("kept", reply, &cookies)?,
        "issued" => figures.believed += attacker.believed("split-id", reply, &cookies)?,
        _ => {}
    }
    Ok(())
}
