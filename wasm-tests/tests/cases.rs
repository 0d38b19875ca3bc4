//! Every case in `wasm-tests/cases/`, in the native core and in Envoy.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;
use traffic_split::Snapshot;
use traffic_split::testing::FixedEnvironment;
use wasm_tests::bootstrap::{
    self, CLUSTER_HEADER, DEFAULT, Listener, POINT_HEADER, VARIANT_HEADER,
};
use wasm_tests::case::{self, Asked, Case};
use wasm_tests::client::{Client, Protocol};
use wasm_tests::envoy::{Envoy, Setup};
use wasm_tests::message::{Reply, Value};
use wasm_tests::native;
use wasm_tests::{find, raw, upstream};

#[test]
fn in_the_native_core() -> Result<()> {
    let mut wrong = Vec::new();
    for case in case::all()? {
        let plan = native::plan(&case.config.to_string()).context(case.name.clone())?;
        let snapshot = Snapshot::new(&plan, 0);
        for asked in &case.requests {
            let request = asked.request();
            let decision = traffic_split::decide(
                &plan,
                &snapshot,
                &native::request(&request),
                &mut FixedEnvironment::default(),
            );
            let variant = decision.variant().map(|variant| variant.name.as_str());
            let expect = &asked.expect;
            let expected = (expect.rule.as_deref(), expect.variant.as_deref(), expect.point);
            let got = (decision.rule(), variant, decision.point());
            if got != expected {
                wrong.push(format!("{} / {}: {got:?}, not {expected:?}", case.name, asked.name));
            }
            let baggage = native::sent_on(&plan, &request, "baggage");
            let baggage: Vec<_> = baggage.into_iter().map(Value).collect();
            if expect.baggage.as_ref().is_some_and(|expected| *expected != baggage) {
                wrong.push(format!("{} / {}: baggage {baggage:?}", case.name, asked.name));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    Ok(())
}

#[derive(Clone, Copy, Debug)]
enum Way {
    /// HTTP/1.1, written byte by byte.
    Raw,
    /// HTTP/2.
    Http2,
}

#[tokio::test]
async fn in_envoy_over_http1() -> Result<()> {
    in_envoy(Way::Raw, &wasm_tests::module()?).await
}

#[tokio::test]
async fn in_envoy_over_http2() -> Result<()> {
    in_envoy(Way::Http2, &wasm_tests::module()?).await
}

/// The compiler leaves the whole filter; the step behind it only makes it smaller.
#[tokio::test]
async fn in_envoy_with_the_module_that_the_compiler_leaves() -> Result<()> {
    in_envoy(Way::Raw, &wasm_tests::linked_module()?).await
}

/// One Envoy, with a listener for each case.
async fn in_envoy(way: Way, module: &Path) -> Result<()> {
    let cases = case::all()?;
    let clusters = cases.iter().flat_map(|case| bootstrap::clusters(&case.config));
    let clusters = clusters.chain([DEFAULT]);
    let upstreams = upstream::start(clusters).await?;
    let listener = |(index, case): (usize, &Case)| {
        let mut listener = Listener::new(&format!("case-{index}"), &case.config.to_string())?;
        for filter in &mut listener.filters {
            let code = &mut filter["typed_config"]["config"]["vm_config"]["code"];
            code["local"]["filename"] = json!(module);
        }
        anyhow::Ok(listener)
    };
    let listeners: Vec<_> = cases.iter().enumerate().map(listener).collect::<Result<_>>()?;
    let bootstrap = bootstrap::bootstrap(&listeners, &upstreams);
    let setup = Setup { bootstrap, concurrency: 1, listeners: cases.len(), folder: None };
    let envoy = Envoy::start(&find::launcher()?, setup).await?;

    let mut wrong = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        let address = envoy.address(&format!("case-{index}"))?;
        for asked in &case.requests {
            let request = asked.request();
            let reply = match way {
                Way::Raw => raw::send(address, &request).await,
                Way::Http2 => {
                    Client::connect_from(Protocol::Http2, address, request.source)
                        .await?
                        .send(&request)
                        .await
                }
            };
            let verdict = reply.and_then(|reply| differs(case, asked, &reply));
            let problem = verdict.unwrap_or_else(|error| Some(format!("{error:#}")));
            wrong.extend(problem.map(|text| format!("{} / {}: {text}", case.name, asked.name)));
        }
    }
    assert!(wrong.is_empty(), "{way:?}:\n{}", wrong.join("\n"));
    Ok(())
}

/// The difference of the request as the upstream saw it from the expected one: the upstream
/// reached, and exactly one value, ours, in each routing header, or none where no rule matches.
fn differs(case: &Case, asked: &Asked, reply: &Reply) -> Result<Option<String>> {
    let seen = reply.seen()?;
    let variant = asked.expect.variant.as_deref();
    let cluster = variant.and_then(|variant| case.cluster(variant));
    let text = |name| -> Vec<_> {
        seen.all(name).into_iter().map(String::from_utf8_lossy).map(String::from).collect()
    };
    let expected = (
        cluster.unwrap_or(DEFAULT),
        cluster.map(str::to_owned).into_iter().collect::<Vec<_>>(),
        variant.map(str::to_owned).into_iter().collect::<Vec<_>>(),
        asked.expect.point.map(|point| point.to_string()).into_iter().collect::<Vec<_>>(),
    );
    let routing = (text(CLUSTER_HEADER), text(VARIANT_HEADER), text(POINT_HEADER));
    let got = (seen.upstream.as_str(), routing.0, routing.1, routing.2);
    let baggage = seen.all("baggage").into_iter().map(|value| Value(value.to_vec()));
    let baggage: Vec<_> = baggage.collect();
    if asked.expect.baggage.as_ref().is_some_and(|expected| *expected != baggage) {
        return Ok(Some(format!("baggage {baggage:?}, not {:?}", asked.expect.baggage)));
    }
    Ok((got != expected).then(|| format!("{got:?}, not {expected:?}")))
}
