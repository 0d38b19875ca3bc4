//! The headers that Envoy itself adds or removes before the filter sees a request: the table of the
//! reference.

use anyhow::{Context, Result, bail};
use serde_json::json;
use std::collections::BTreeMap;
use wasm_tests::bootstrap::{self, DEFAULT, Listener};
use wasm_tests::envoy::{Envoy, Setup};
use wasm_tests::message::Request;
use wasm_tests::{find, raw, root, upstream};

/// The first words of the table's heading.
const HEADING: &str = "| header | with `use_remote_address: true`";

/// The headers of the table, with what becomes of each at an edge and elsewhere.
fn table() -> Result<BTreeMap<String, [String; 2]>> {
    let text = std::fs::read_to_string(root().join("src/configuration.md"))?;
    let (_, table) = text.split_once(HEADING).context("no table")?;
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let mut headers = BTreeMap::new();
    for row in rows {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, names, edge, elsewhere, _] = cells[..] else { bail!("{row}") };
        for name in names.split('`').skip(1).step_by(2) {
            headers.insert(name.to_owned(), [edge.to_owned(), elsewhere.to_owned()]);
        }
    }
    Ok(headers)
}

/// A filter that says whether a request has this header, and whether it is the client's own.
fn listener(name: &str) -> Result<Listener> {
    let configuration = json!({
        "variantHeader": "x-split-variant",
        "debugHeader": "x-split-debug",
        "variants": {"any": {}},
        "rules": [
            {"name": "own", "match": [{"headers": {name: {"exact": "own"}}}], "to": "any"},
            {"name": "other", "match": [{"headers": {name: {"present": true}}}], "to": "any"}
        ]
    });
    Listener::new(name, &configuration.to_string())
}

/// The rule that a request with these headers meets.
async fn rule(envoy: &Envoy, listener: &str, request: &Request) -> Result<String> {
    let reply = raw::send(envoy.address(listener)?, request).await?;
    let debug = reply.header("x-split-debug").context("no debug header")?;
    let rule = debug.strip_prefix("rule=").and_then(|rest| rest.split_once(';'));
    Ok(rule.context("no rule")?.0.to_owned())
}

#[tokio::test]
async fn the_filter_sees_headers_as_the_reference_says() -> Result<()> {
    let table = table()?;
    assert!(table.len() > 10, "{table:?}");
    let listeners: Vec<_> = table.keys().map(|name| listener(name)).collect::<Result<_>>()?;
    let upstreams = upstream::start([DEFAULT]).await?;
    let edge = bootstrap::bootstrap(&listeners, &upstreams);
    let elsewhere = edge.replace("\"use_remote_address\":true", "\"use_remote_address\":false");
    assert_ne!(edge, elsewhere);
    let mut wrong = Vec::new();
    for (place, bootstrap) in [edge, elsewhere].into_iter().enumerate() {
        let setup = Setup { bootstrap, concurrency: 1, listeners: table.len(), folder: None };
        let envoy = Envoy::start(&find::launcher()?, setup).await?;
        for (name, said) in &table {
            let plain = rule(&envoy, name, &Request::get("/")).await?;
            let sent = rule(&envoy, name, &Request::get("/").with(name, "own")).await?;
            let found = match (plain.as_str(), sent.as_str()) {
                ("other", "other") => "added",
                ("other", "own") => "added if missing",
                ("-", "own") => "kept",
                ("-", "-") => "removed",
                _ => "neither",
            };
            if found != said[place] {
                wrong.push(format!("{name}: {found}, not {}", said[place]));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}
