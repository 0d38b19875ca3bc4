//! Requests drawn at random go through real istiod's routes in a real Envoy, and through the rules
//! that `splitctl import` makes of the same resources: both lead to the same destination, unless a
//! loss was announced.

use crate::drawn::{self, Set};
use crate::places::{gateway_api, gateway_proxy};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use traffic_split::testing::FixedEnvironment;
use traffic_split::{Plan, Snapshot, decide};
use wasm_tests::client::{Client, Protocol};
use wasm_tests::istio::free_port;
use wasm_tests::istio::place::Place;
use wasm_tests::istio::proxy::{Pod, Proxy};
use wasm_tests::message::Request;
use wasm_tests::wait::eventually;
use wasm_tests::{native, splitctl, upstream};

/// The sets of resources of each kind.
const SETS: usize = 32;
/// The requests for each set.
const REQUESTS: usize = 400;

#[tokio::test]
async fn imported_rules_lead_where_istio_does() -> Result<()> {
    let (place, port) = gateway_api("imported", "istio/gateway-api").await?;
    // The routes are asked, and not the filter.
    place.kubectl(&["delete", "wasmplugin", "traffic-split"])?;
    let upstreams = upstream::start(drawn::DESTINATIONS).await?;
    let services = upstreams.iter().map(|(name, upstream)| service(name, upstream.address));
    place.mesh.kubernetes.apply(place.namespace, &services.collect::<Vec<_>>())?;

    let mut random = fastrand::Rng::with_seed(18);
    let gateways = drawn::http_routes(&mut random, SETS);
    let virtuals = drawn::virtual_services(&mut random, SETS);
    let of = |sets: &[Set]| sets.iter().flat_map(|set| set.resources.clone()).collect::<Vec<_>>();
    let (proxy, address) = gateway_proxy(&place, port).await?;
    let (other, other_address) = istio_gateway(&place).await?;
    place.mesh.kubernetes.apply(place.namespace, &of(&gateways))?;
    place.mesh.kubernetes.apply(place.namespace, &of(&virtuals))?;

    let program = splitctl::program()?;
    let mut told = Told::default();
    for (proxy, address, sets) in [(&proxy, address, &gateways), (&other, other_address, &virtuals)]
    {
        arrived(proxy, sets).await?;
        let mut client = Client::connect(Protocol::Http1, address).await?;
        for set in sets {
            compare(&mut client, &imported(&program, set)?, set, &mut random, &mut told).await?;
        }
    }
    println!("{told:?}");
    ensure!(told.sets >= 50 && told.requests >= 20_000, "{told:?}");
    // Where nearly nothing matches, nearly nothing is compared.
    ensure!(told.routed * 4 >= told.requests, "{told:?}");
    Ok(())
}

/// What was compared: sets without a loss, and their requests.
#[derive(Debug, Default)]
struct Told {
    sets: usize,
    requests: usize,
    /// The requests that a route took.
    routed: usize,
    sets_with_losses: usize,
    /// The requests of sets with losses that go elsewhere.
    announced: usize,
}

fn service(name: &str, address: SocketAddr) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": name},
        "spec": {
            "hosts": [drawn::host(name)],
            "ports": [{"number": 8080, "name": "http", "protocol": "HTTP"}],
            "resolution": "STATIC",
            "location": "MESH_INTERNAL",
            "endpoints": [{"address": "127.0.0.1", "ports": {"http": address.port()}}]
        }
    })
}

/// A gateway of Istio's own kind, to which the VirtualServices are bound.
async fn istio_gateway(place: &Place) -> Result<(Proxy, SocketAddr)> {
    let port = free_port()?;
    let gateway = json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "Gateway",
        "metadata": {"name": drawn::GATEWAY},
        "spec": {
            "selector": {"app": drawn::GATEWAY},
            "servers": [{
                "bind": "127.0.0.1",
                "port": {"number": port, "name": "http", "protocol": "HTTP"},
                "hosts": ["*"]
            }]
        }
    });
    place.mesh.kubernetes.apply(place.namespace, &[gateway])?;
    let labels = json!({"app": drawn::GATEWAY});
    let pod = Pod { kind: "router", namespace: place.namespace, labels, environment: &[] };
    let proxy = Proxy::start(place.mesh, &pod).await?;
    let address = proxy.listens(port).await?;
    Ok((proxy, address))
}

/// Waits until Envoy has a virtual host for each host of these sets.
async fn arrived(proxy: &Proxy, sets: &[Set]) -> Result<()> {
    eventually("the routes", async || {
        let dump = proxy.admin("/config_dump?resource=dynamic_route_configs").await?;
        let dump = String::from_utf8(dump)?;
        let missing = sets.iter().flat_map(|set| &set.hosts).filter(|host| !dump.contains(*host));
        let missing: Vec<_> = missing.collect();
        ensure!(missing.is_empty(), "without {missing:?}");
        Ok(())
    })
    .await
}

async fn compare(
    client: &mut Client,
    (plan, rules, has_losses): &(Plan, String, bool),
    set: &Set,
    random: &mut fastrand::Rng,
    told: &mut Told,
) -> Result<()> {
    told.sets += usize::from(!*has_losses);
    told.sets_with_losses += usize::from(*has_losses);
    for _ in 0..REQUESTS {
        let request = drawn::request(random, set);
        let reply = client.send(&request).await?;
        let reached = match (reply.upstream(), reply.status) {
            (Some(upstream), 200) => upstream.to_owned(),
            (None, 404) => "none".to_owned(),
            (upstream, status) => anyhow::bail!("{request:?}: {status} from {upstream:?}"),
        };
        let allowed = destinations(plan, &request);
        let agrees = allowed.contains(&reached);
        if *has_losses {
            told.announced += usize::from(!agrees);
            continue;
        }
        told.requests += 1;
        told.routed += usize::from(reached != "none");
        let resources = serde_json::to_string_pretty(&set.resources)?;
        ensure!(agrees, "{request:?}\ngoes to {reached}, not to {allowed:?}\n{resources}\n{rules}");
    }
    Ok(())
}

/// The rules for a set, and whether a loss was announced.
fn imported(program: &Path, set: &Set) -> Result<(Plan, String, bool)> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("set.yaml");
    let documents: Vec<_> = set.resources.iter().map(Value::to_string).collect();
    std::fs::write(&file, documents.join("\n---\n"))?;
    let output = Command::new(program).arg("import").arg("-f").arg(&file).output()?;
    let remarks = String::from_utf8(output.stderr)?;
    ensure!(output.status.success(), "{remarks}");
    let rules = String::from_utf8(output.stdout)?;
    let config: Value = serde_saphyr::from_str(&rules)?;
    let plan = native::plan(&config.to_string()).context(rules.clone())?;
    Ok((plan, rules, remarks.contains(": lost: ")))
}

/// The destinations that the rules may choose: several where chance decides.
fn destinations(plan: &Plan, request: &Request) -> Vec<String> {
    let (snapshot, environment) = (Snapshot::new(plan, 0), &mut FixedEnvironment::default());
    let decision = decide(plan, &snapshot, &native::request(request), environment);
    let rule = plan.rules().iter().find(|rule| Some(rule.name()) == decision.rule());
    match rule {
        Some(rule) if rule.is_split() => {
            rule.weights(&snapshot).iter().map(|(variant, _)| variant.name.clone()).collect()
        }
        Some(_) => decision.variant().map(|variant| variant.name.clone()).into_iter().collect(),
        None => vec!["none".to_owned()],
    }
}
