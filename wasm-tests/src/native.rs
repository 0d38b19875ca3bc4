//! The native core, asked as Envoy is asked.

use crate::message::{self, Request};
use anyhow::{Context, Result, anyhow};
use serde_json::Value;
use std::net::Ipv4Addr;
use traffic_split::testing::{Entropy, FixedEnvironment};
use traffic_split::{HeaderList, Outcome, Plan, Snapshot};

/// A request as the core sees it, with its names in lower case, as in Envoy.
pub fn request(message: &Request) -> HeaderList {
    let pseudo = [
        (":method", &message.method),
        (":path", &message.path),
        (":authority", &message.authority),
    ];
    let pseudo = pseudo.map(|(name, text)| (name.to_owned(), text.clone().into_bytes()));
    let named = message.headers.iter().map(|(name, value)| (name.to_lowercase(), value.0.clone()));
    let source = message.source.unwrap_or(Ipv4Addr::LOCALHOST.into());
    HeaderList::new(pseudo.into_iter().chain(named)).with_source(Some(source))
}

/// The variant that the core chooses where chance has no part.
pub fn variant(plan: &Plan, request: &Request) -> Option<String> {
    variant_in(plan, request, &mut FixedEnvironment::default())
}

/// The variant that the core chooses in this environment.
pub fn variant_in(
    plan: &Plan,
    request: &Request,
    environment: &mut FixedEnvironment,
) -> Option<String> {
    let snapshot = Snapshot::new(plan, environment.now);
    let decision = traffic_split::decide(plan, &snapshot, &self::request(request), environment);
    decision.variant().map(|variant| variant.name.clone())
}

/// The values of a request header as the next hop gets them.
pub fn sent_on(plan: &Plan, message: &Request, name: &str) -> Vec<Vec<u8>> {
    let (request, snapshot) = (request(message), Snapshot::new(plan, 0));
    let outcome = Outcome::decide(plan, &snapshot, &request, &mut FixedEnvironment::default());
    match outcome
        .request_headers()
        .chain(outcome.baggage_change())
        .find(|change| change.name == name)
    {
        Some(change) => change.value.map(<[u8]>::to_vec).into_iter().collect(),
        None => {
            let named = request.headers.iter().filter(|(known, _)| known == name);
            named.map(|(_, value)| value.clone()).collect()
        }
    }
}

/// The first `Set-Cookie` field that the core answers this request with, in this environment.
pub fn set_cookie(
    plan: &Plan,
    message: &Request,
    environment: &mut FixedEnvironment,
) -> Result<String> {
    let snapshot = Snapshot::new(plan, environment.now);
    let outcome = Outcome::decide(plan, &snapshot, &request(message), environment);
    let headers = outcome.into_response().headers;
    let set = headers.into_iter().find(|header| header.name == "set-cookie");
    Ok(set.context("no cookie is set")?.value)
}

/// An environment that issues this identity whenever one is asked for; `now` is in Unix seconds.
pub fn issuing(id: [u8; 16], now: u64) -> FixedEnvironment {
    FixedEnvironment { entropy: Entropy::Fixed(id), now, ..FixedEnvironment::default() }
}

/// Assignments to this variant of the rule `kept`, signed with the site's own keys for something else:
/// another experiment, cookie, host or time. None of them is good here; `now` is in Unix seconds.
pub fn forgeries(configuration: &Value, variant: &str, now: u64) -> Result<Vec<String>> {
    let mut forgeries = Vec::new();
    for (rule, cookie, host, issued) in [
        ("another", "kept", "example.com", now),
        ("kept", "other", "example.com", now),
        ("kept", "kept", "example.org", now),
        ("kept", "kept", "example.com", now - 7_200),
        ("kept", "kept", "example.com", now + 7_200),
    ] {
        let mut other = configuration.clone();
        let rules = other["rules"].as_array_mut().context("no rules")?;
        rules.retain(|known| known["name"] == "kept");
        let kept = rules.first_mut().context("no such rule")?;
        kept["name"] = rule.into();
        kept["persist"]["cookie"] = cookie.into();
        kept["split"] = serde_json::json!({variant: 1});
        let request = Request { authority: host.into(), ..Request::get("/kept") };
        let plan = plan(&other.to_string())?;
        let set = set_cookie(&plan, &request, &mut issuing([0; 16], issued))?;
        let (_, value) = message::pair(&set).split_once('=').context("no pair")?;
        forgeries.push(format!("kept={value}"));
    }
    Ok(forgeries)
}

/// The environment of every filter under test, which holds its signing keys.
pub const ENVIRONMENT: [(&str, &str); 3] = [
    ("SPLIT_UNIT_KEY", "the key of units: one for all tests"),
    ("SPLIT_COOKIE_KEYS", "the first of two keys: it signs too,the second of two keys: verifies"),
    ("SHORT", "a key of thirty-two bytes or more,a short one"),
];

/// The plan of a configuration in JSON; every error where it is refused.
pub fn plan(configuration: &str) -> Result<Plan> {
    plan_in(configuration, &ENVIRONMENT)
}

/// The plan of a configuration in another environment.
pub fn plan_in(configuration: &str, environment: &[(&str, &str)]) -> Result<Plan> {
    let env = |name: &str| {
        let known = environment.iter().find(|(known, _)| *known == name);
        known.map(|(_, value)| (*value).to_owned())
    };
    Plan::compile(configuration.as_bytes(), &env).map_err(|errors| anyhow!("{errors}"))
}
