//! The native core, asked as Envoy is asked.

use crate::message::Request;
use anyhow::{Context, Result, anyhow};
use std::net::{IpAddr, Ipv4Addr};
use traffic_split::{Plan, Snapshot};

/// A request as the core sees it.
pub struct Native<'a> {
    request: &'a Request,
    headers: Vec<(String, &'a [u8])>,
}

impl<'a> Native<'a> {
    /// With its names in lower case, as in Envoy.
    pub fn new(request: &'a Request) -> Self {
        let pseudo = [
            (":method", &request.method),
            (":path", &request.path),
            (":authority", &request.authority),
        ];
        let pseudo = pseudo.map(|(name, text)| (name.to_owned(), text.as_bytes()));
        let named =
            request.headers.iter().map(|(name, value)| (name.to_lowercase(), value.0.as_slice()));
        Self { request, headers: pseudo.into_iter().chain(named).collect() }
    }
}

impl traffic_split::Request for Native<'_> {
    fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_bytes(), *value))
    }

    fn source_address(&self) -> Option<IpAddr> {
        Some(self.request.source.unwrap_or(Ipv4Addr::LOCALHOST.into()))
    }
}

/// Chance and time of a core in which neither decides anything.
pub struct NoChance;

impl traffic_split::Environment for NoChance {
    fn random(&mut self) -> u64 {
        0
    }

    fn entropy(&mut self) -> Option<[u8; 16]> {
        None
    }

    fn now(&mut self) -> u64 {
        0
    }
}

/// Chance and time of a core as a test wants them.
pub struct Chosen {
    /// Every identity that is issued.
    pub id: [u8; 16],
    /// Seconds since 1970.
    pub now: u64,
}

impl traffic_split::Environment for Chosen {
    fn random(&mut self) -> u64 {
        0
    }

    fn entropy(&mut self) -> Option<[u8; 16]> {
        Some(self.id)
    }

    fn now(&mut self) -> u64 {
        self.now
    }
}

/// The variant that the core chooses where chance has no part.
pub fn variant(plan: &Plan, request: &Request) -> Option<String> {
    let snapshot = Snapshot::new(plan, 0);
    let decision = traffic_split::decide(plan, &snapshot, &Native::new(request), &mut NoChance);
    decision.variant().map(|variant| variant.name.clone())
}

/// The first `Set-Cookie` field that the core answers this request with, at any time.
pub fn set_cookie(plan: &Plan, request: &Request, chosen: &mut Chosen) -> Result<String> {
    let (request, snapshot) = (Native::new(request), Snapshot::new(plan, chosen.now));
    let decision = traffic_split::decide(plan, &snapshot, &request, chosen);
    let cookies = traffic_split::cookies(plan, &decision, &request, chosen);
    cookies.response.into_iter().next().context("no cookie is set")
}

/// The environment of every filter under test, which holds its signing keys.
pub const ENVIRONMENT: [(&str, &str); 2] = [
    ("SPLIT_COOKIE_KEYS", "the first of two keys: it signs too,the second of two keys: verifies"),
    ("SHORT", "a key of thirty-two bytes or more,a short one"),
];

/// The plan of a configuration in JSON; every error where it is refused.
pub fn plan(configuration: &str) -> Result<Plan> {
    plan_in(configuration, &ENVIRONMENT)
}

/// The same in another environment.
pub fn plan_in(configuration: &str, environment: &[(&str, &str)]) -> Result<Plan> {
    let env = |name: &str| {
        let known = environment.iter().find(|(known, _)| *known == name);
        known.map(|(_, value)| (*value).to_owned())
    };
    Plan::compile(configuration.as_bytes(), &env).map_err(|errors| anyhow!("{errors}"))
}
