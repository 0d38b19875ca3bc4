//! The native core, asked as Envoy is asked.

use crate::message::Request;
use anyhow::{Result, anyhow};
use std::net::{IpAddr, Ipv4Addr};
use traffic_split::Plan;

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

impl traffic_split::Ambient for NoChance {
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

/// The environment of every filter under test, which holds its signing keys.
pub const ENVIRONMENT: [(&str, &str); 2] = [
    ("SPLIT_COOKIE_KEYS", "the first of two keys: it signs too,the second of two keys: verifies"),
    ("SHORT", "a key of thirty-two bytes or more,a short one"),
];

/// The plan of a configuration in JSON; every error where it is refused.
pub fn plan(configuration: &str) -> Result<Plan> {
    let env = |name: &str| {
        let known = ENVIRONMENT.iter().find(|(known, _)| *known == name);
        known.map(|(_, value)| (*value).to_owned())
    };
    Plan::compile(configuration.as_bytes(), &env).map_err(|errors| anyhow!("{errors}"))
}
