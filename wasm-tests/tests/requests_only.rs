//! The module that sees only requests: it decides as the other one does, and refuses by name what
//! needs the response.

use anyhow::{Context, Result};
use serde_json::json;
use wasm_tests::host::Host;
use wasm_tests::standard::Standard;

#[test]
fn what_needs_the_response_is_refused_by_name() -> Result<()> {
    let mut configuration = Standard::read()?.configuration;
    configuration["metrics"] = json!("full");
    configuration["rules"][2]["persist"] = json!({ "cookie": "v", "maxAge": "1d" });
    let bytes = configuration.to_string().into_bytes();
    let mut whole = Host::load(&wasm_tests::module()?)?;
    assert!(whole.configure(&bytes)?.is_some(), "{}", whole.world().logged());
    let mut requests = Host::load(&wasm_tests::requests_module()?)?;
    assert!(requests.configure(&bytes)?.is_none());
    let remedy = "Forbidden: needs the response: load traffic_split.wasm, which sees it";
    let logged = requests.world().logged();
    for path in ["metrics", "rules[2].persist"] {
        assert!(logged.contains(&format!("{path}: {remedy}")), "{logged}");
    }
    Ok(())
}

#[test]
fn it_decides_as_the_other_does() -> Result<()> {
    let standard = Standard::read()?;
    let configuration = standard.configuration.to_string();
    let modules = [wasm_tests::module()?, wasm_tests::requests_module()?];
    let [mut whole, mut requests] = [Host::load(&modules[0])?, Host::load(&modules[1])?];
    let started = |host: &mut Host| {
        let root = host.configure(configuration.as_bytes())?;
        root.with_context(|| host.world().logged())
    };
    let roots = [started(&mut whole)?, started(&mut requests)?];
    let mut clusters = std::collections::BTreeSet::new();
    for user in 0..500 {
        let mut headers = standard.headers();
        headers.retain(|(name, _)| name != b"cookie");
        headers.push((b"cookie".to_vec(), format!("uid=u-{user}").into_bytes()));
        let seen = whole.request(roots[0], &headers)?;
        assert_eq!(seen, requests.request(roots[1], &headers)?);
        clusters.extend(seen.into_iter().filter(|(name, _)| name == b"x-split-cluster"));
    }
    assert_eq!(clusters.len(), 3);
    Ok(())
}
