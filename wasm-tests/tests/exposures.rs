//! Exposures: what the access logs of two proxies tell of users, and what an analyst's SQL makes of it.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use wasm_tests::client::{Client, Protocol};
use wasm_tests::message::{Reply, Request};
use wasm_tests::scene::Scene;
use wasm_tests::{duckdb, native, readme, root};

const USERS: usize = 60;
const ANONYMOUS: usize = 30;

fn configuration() -> Value {
    json!({
        "clusterHeader": "x-split-cluster",
        "metrics": "full",
        "unit": {"env": "SPLIT_UNIT_KEY"},
        "variants": {"a": {"cluster": "a"}, "b": {"cluster": "b"}},
        "rules": [
            {"name": "testers", "match": [{"headers": {"x-user-group": {"exact": "beta"}}}], "to": "b"},
            {
                "name": "checkout",
                "match": [{"path": {"prefix": "/checkout"}}],
                "split": {"a": 1, "b": 1},
                "sticky": {"key": [{"header": "x-user-id"}],
                           "issue": {"cookie": "id", "maxAge": "1h",
                                     "signing": {"env": "SPLIT_COOKIE_KEYS"}}}
            },
            {
                "name": "search",
                "match": [{"path": {"prefix": "/search"}}],
                "split": {"a": 3, "b": 1},
                "sticky": {"key": [{"header": "x-user-id"}]},
                "persist": {"cookie": "kept", "maxAge": "1h"}
            },
            {"name": "drawn", "match": [{"path": {"prefix": "/drawn"}}], "split": {"a": 1, "b": 1}},
            {"name": "tried", "mode": "shadow", "to": "b"}
        ]
    })
}

/// Two proxies with the same configuration and environment.
struct Proxies([Scene; 2]);

impl Proxies {
    async fn start(configuration: &Value) -> Result<Self> {
        Ok(Self([Scene::logged(configuration, 1).await?, Scene::logged(configuration, 1).await?]))
    }

    /// A reply of one of them, by its number.
    async fn send(&self, number: usize, request: &Request) -> Result<Reply> {
        let proxy = &self.0[number % 2];
        Client::connect(Protocol::Http1, proxy.address).await?.send(request).await
    }

    /// The lines of both access logs.
    fn logs(self) -> Result<[Vec<Value>; 2]> {
        let [one, other] = self.0.map(|scene| {
            let log = scene.envoy.stop()?;
            let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            anyhow::Ok(lines.filter(Value::is_object).collect())
        });
        Ok([one?, other?])
    }
}

/// The users whom each variant of each experiment has answered, by what they call themselves.
#[derive(Default)]
struct Seen(BTreeMap<(&'static str, String), BTreeSet<String>>);

impl Seen {
    fn note(&mut self, experiment: &'static str, user: &str, reply: &Reply) -> Result<String> {
        let variant = reply.upstream().context("no upstream")?.to_owned();
        self.0.entry((experiment, variant.clone())).or_default().insert(user.to_owned());
        Ok(variant)
    }
}

/// Everybody's requests, at both proxies.
async fn traffic(proxies: &Proxies) -> Result<Seen> {
    let mut seen = Seen::default();
    for number in 0..USERS {
        let user = format!("user-{number}");
        for (experiment, path) in [("checkout", "/checkout"), ("search", "/search")] {
            let request = Request::get(&format!("{path}?who={user}"));
            let request = request.with("x-user-id", user.as_str());
            for proxy in [number, number + 1, number] {
                seen.note(experiment, &user, &proxies.send(proxy, &request).await?)?;
            }
        }
    }
    for number in 0..ANONYMOUS {
        let user = format!("anonymous-{number}");
        let request = Request::get(&format!("/checkout?who={user}"));
        let reply = proxies.send(number, &request).await?;
        let at_first = seen.note("checkout", &user, &reply)?;
        let cookie = reply.cookies().concat();
        let returns = request.with("cookie", cookie.as_str());
        let later = seen.note("checkout", &user, &proxies.send(number + 1, &returns).await?)?;
        ensure!(at_first == later, "{user} moved from {at_first} to {later}");
    }
    for number in 0..10 {
        proxies.send(number, &Request::get("/drawn?who=nobody")).await?;
        proxies.send(number, &Request::get("/other?who=nobody")).await?;
        let tester = Request::get("/checkout?who=nobody").with("x-user-group", "beta");
        proxies.send(number, &tester.with("x-user-id", "user-1")).await?;
    }
    Ok(seen)
}

fn text<'v>(line: &'v Value, key: &str) -> &'v str {
    line[key].as_str().unwrap_or("-")
}

#[tokio::test]
async fn analysts_get_the_users_of_each_variant_exactly_as_they_were_sent() -> Result<()> {
    let proxies = Proxies::start(&configuration()).await?;
    let seen = traffic(&proxies).await?;
    let logs = proxies.logs()?;
    let folder = tempfile::tempdir()?;
    for (number, log) in logs.iter().enumerate() {
        let lines: Vec<_> = log.iter().map(Value::to_string).collect();
        std::fs::write(folder.path().join(format!("access-{number}.jsonl")), lines.join("\n"))?;
    }
    let sql = root().join("manifests/monitoring/experiments.sql");
    let ask = |query: &str| duckdb::ask(folder.path(), &sql, query);
    let rows = ask(&readme::blocks("sql")?.concat())?;
    let counts: Vec<_> =
        seen.0.iter().map(|((e, v), users)| json!([e, v, users.len(), 0])).collect();
    assert_eq!(rows, json!(counts));
    assert_eq!(counts.len(), 4, "{counts:?}");
    let rows = ask("SELECT COUNT(*), COUNT(DISTINCT unit) FROM experiment_users")?;
    assert_eq!(rows, json!([[2 * USERS + ANONYMOUS, USERS + ANONYMOUS]]));
    // The time is that of the first line, whichever proxy wrote it.
    let user = |line: &&Value| text(line, "path") == "/checkout?who=user-7";
    let first = logs.iter().flatten().filter(user).map(|line| text(line, "time")).min();
    let first = first.context("no line")?.replace('T', " ").replace('Z', "");
    let query = "SELECT first_seen::TEXT FROM experiment_viewed WHERE experiment = 'checkout'
                 AND unit = (SELECT unit FROM split_log WHERE path LIKE '%=user-7' LIMIT 1)";
    assert_eq!(
        ask(query)?[0][0].as_str().map(|time| time.trim_end_matches('0')),
        Some(first.trim_end_matches('0'))
    );
    Ok(())
}

/// Two proxies' lines of one experiment and a second one, written by hand: users who change sides, also
/// at the other proxy and before its line; forced, held and guarded decisions, before and after those that
/// count; nobody in particular; numbers as text; and what is no line.
const LINES: [&str; 2] = [
    r#"[2026-12-01 09:00:00.000][info] all listeners are warmed
{"time":"2026-12-01T09:00:02.000Z","status":200,"rule":"r","variant":"a","reason":"sticky","unit":"stays","first":null,"generation":"1","analysis":"1"}
{"time":"2026-12-01T09:00:03.000Z","status":"200","rule":"r","variant":"b","reason":"sticky","unit":"changes","first":null,"generation":1,"analysis":1}
{"time":"2026-12-01T09:00:04.000Z","status":"-","rule":"r","variant":"a","reason":"sticky","unit":"changes","first":null,"generation":"1","analysis":"1"}
{"time":"2026-12-01T09:00:05.000Z","status":200,"rule":"r","variant":"b","reason":"override","unit":"forced","analysis":"0"}
{"time":"2026-12-01T09:00:06.000Z","status":200,"rule":"r","variant":"a","reason":"sticky","unit":"forced","first":null,"analysis":"1"}
{"time":"2026-12-01T09:00:07.000Z","status":200,"rule":"r","variant":"a","reason":"guard","unit":"guarded","analysis":"0"}
{"time":"2026-12-01T09:00:08.000Z","status":200,"rule":"q","variant":"b","reason":"persisted","unit":"stays","first":null,"analysis":"1"}
{"time":"2026-12-01T09:00:09.000Z","status":404,"rule":"-","variant":"-","reason":"unmatched","unit":null,"analysis":"0"}
{"time":"2026-12-01T09:00:1"#,
    r#"{"time":"2026-12-01T09:00:01.000Z","status":200,"rule":"r","variant":"a","reason":"sticky","unit":"moves","first":"1","analysis":"1"}
{"time":"2026-12-01T09:00:03.500Z","status":200,"rule":"r","variant":"b","reason":"sticky","unit":"moves","first":null,"analysis":"1"}
{"time":"2026-12-01T09:00:04.000Z","status":503,"rule":"r","variant":"b","reason":"sticky","unit":"late","first":"1","analysis":"1"}
{"time":"2026-12-01T09:00:05.000Z","status":200,"rule":"r","variant":"a","reason":"random","unit":"-","analysis":"1"}
{"time":"2026-12-01T09:00:06.000Z","status":200,"rule":"r","variant":"a","reason":"hold","unit":null,"analysis":"0"}
{"time":"2026-12-01T09:00:07.000Z","status":200,"rule":"r","variant":"a","reason":"sticky","unit":"stays","first":null,"analysis":"1"}
"#,
];

/// The SQL counts users as `splitctl analyze` does.
#[test]
fn analysts_and_splitctl_count_the_same_users() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let logs = ["access-1.jsonl", "access-2.jsonl"].map(|name| folder.path().join(name));
    for (log, lines) in logs.iter().zip(LINES) {
        std::fs::write(log, lines)?;
    }
    let splitctl = wasm_tests::splitctl::program()?;
    let mut counts = Vec::new();
    for rule in ["q", "r"] {
        let mut command = std::process::Command::new(&splitctl);
        command.args(["analyze", "--rule", rule, "--weights", "a=1,b=1", "-o", "json"]);
        logs.iter().for_each(|log| _ = command.arg("--log").arg(log));
        let said: Value = serde_json::from_slice(&command.output()?.stdout)?;
        let said = &said["rules"][0];
        for variant in said["variants"].as_array().context("no variants")? {
            if variant["users"] != 0 {
                counts.push(json!([rule, variant["variant"], variant["users"]]));
            }
        }
        counts.push(json!([rule, "mixed", said["mixed_users"]]));
    }
    let sql = root().join("manifests/monitoring/experiments.sql");
    let ask = |query: &str| duckdb::ask(folder.path(), &sql, query);
    let rows = ask("SELECT experiment, variant, users FROM experiment_counts
                    UNION ALL SELECT experiment, 'mixed', SUM(saw_another) FROM experiment_counts
                    GROUP BY experiment ORDER BY ALL")?;
    let expected =
        json!([["q", "b", 1], ["q", "mixed", 0], ["r", "a", 3], ["r", "b", 2], ["r", "mixed", 2]]);
    assert_eq!((json!(counts), rows), (expected.clone(), expected));
    let rows = ask("SELECT unit, variant, first_seen::TEXT, saw_another FROM experiment_users
                    WHERE experiment = 'r' ORDER BY ALL")?;
    let at = |second: u32| format!("2026-12-01 09:00:0{second}");
    let expected = json!([
        ["changes", "b", at(3), true],
        ["forced", "a", at(6), false],
        ["late", "b", at(4), false],
        ["moves", "a", at(1), true],
        ["stays", "a", at(2), false]
    ]);
    assert_eq!(rows, expected);
    Ok(())
}

#[derive(Deserialize)]
struct Vector {
    key: String,
    identity: Option<String>,
    unit: String,
}

#[tokio::test]
async fn two_proxies_have_one_unit_for_a_user_and_the_log_no_identity() -> Result<()> {
    let proxies = Proxies::start(&configuration()).await?;
    traffic(&proxies).await?;
    let logs = proxies.logs()?;
    let mut units: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in logs.iter().flatten() {
        let who = text(line, "path").split_once("who=").context("nobody")?.1;
        units.entry(who).or_default().insert(text(line, "unit"));
    }
    assert_eq!(units.remove("nobody"), Some(BTreeSet::from(["-"])));
    assert!(units.values().all(|of| of.len() == 1), "{units:?}");
    let all: BTreeSet<_> = units.values().flatten().copied().collect();
    assert_eq!(all.len(), USERS + ANONYMOUS);
    let vectors = std::fs::read_to_string(root().join("wasm-tests/vectors/unit-v1.json"))?;
    let vectors: Value = serde_json::from_str(&vectors)?;
    let vectors: Vec<Vector> = serde_json::from_value(vectors["vectors"].clone())?;
    let known = vectors.iter().find(|vector| {
        vector.identity.as_deref() == Some("user-7") && vector.key == native::ENVIRONMENT[0].1
    });
    assert_eq!(units["user-7"], BTreeSet::from([known.context("no vector")?.unit.as_str()]));
    Ok(())
}

/// `rule`, `reason`, `first` and `analysis` of each line of one path, in order.
#[tokio::test]
async fn each_line_says_what_it_is_to_an_analyst() -> Result<()> {
    let configuration = configuration();
    let proxies = Proxies::start(&configuration).await?;
    traffic(&proxies).await?;
    let [log, _] = proxies.logs()?;
    let generation = native::plan(&configuration.to_string())?.generation().to_string();
    let mut kinds = BTreeMap::new();
    for line in &log {
        assert_eq!(text(line, "generation"), generation);
        let of = ["rule", "reason", "first", "analysis"].map(|key| text(line, key));
        *kinds.entry(of.join(" ")).or_insert(0) += 1;
    }
    // Even users send their first and third request to this proxy, odd ones their second.
    let (even, odd) = (USERS / 2, USERS / 2);
    let expected = [
        ("testers pinned - 1", 5),
        ("checkout sticky - 1", 2 * even + odd + ANONYMOUS / 2),
        ("checkout sticky 1 1", ANONYMOUS / 2),
        // No client has sent its cookie: each response assigns it anew.
        ("search sticky 1 1", 2 * even + odd),
        ("drawn random - 1", 5),
        ("- unmatched - 0", 5),
    ];
    let expected: BTreeMap<_, _> =
        expected.into_iter().map(|(kind, count)| (kind.to_owned(), count)).collect();
    assert_eq!(kinds, expected);
    Ok(())
}

/// Of two filters in a chain, the log tells of the one that decided, and of nothing that another one
/// said of itself.
#[tokio::test]
async fn a_later_decision_has_no_unit_of_an_earlier_one() -> Result<()> {
    let first = configuration();
    let mut last = configuration();
    last.as_object_mut().context("no object")?.remove("unit");
    last["rules"] =
        json!([{"name": "last", "match": [{"path": {"exact": "/checkout"}}], "to": "a"}]);
    let listener = wasm_tests::bootstrap::Listener::new("scene", &first.to_string())?;
    let behind = wasm_tests::bootstrap::Listener::new("last", &last.to_string())?;
    let mut listener = listener;
    listener.filters.extend(behind.filters);
    listener.access_log = wasm_tests::manifest::access_log()?;
    let format = &mut listener.access_log[0]["typed_config"]["log_format"]["json_format"];
    format["its_own"] = json!("%FILTER_STATE(wasm.tsplit.scene.unit:PLAIN)%");
    let scene = Scene::with(&[listener], ["a", "b"].into_iter(), 1).await?;
    let mut client = Client::connect(Protocol::Http1, scene.address).await?;
    for path in ["/checkout", "/checkout/1"] {
        client.send(&Request::get(path)).await?;
    }
    let log = scene.envoy.stop()?;
    let lines: Vec<Value> =
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let told = lines.iter().map(|line| {
        ["rule", "unit", "first", "shadow", "its_own"].map(|key| match text(line, key) {
            unit if unit.len() == 43 => "a unit",
            other => other,
        })
    });
    let expected =
        [["last", "-", "-", "-", "a unit"], ["checkout", "a unit", "1", "tried=b", "a unit"]];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    Ok(())
}
