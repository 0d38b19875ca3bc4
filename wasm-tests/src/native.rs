//! The native core, asked as Envoy is asked.

use crate::message::Request;
use anyhow::{Result, anyhow};
use std::net::{IpAddr, Ipv4Addr};
use traffic_split::Plan;

/// A request as the core sees it.
pub struct Native<'a>(pub &'a Request);

impl traffic_split::Request for Native<'_> {
    fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let pseudo = match name {
            ":method" => Some(self.0.method.as_bytes()),
            ":path" => Some(self.0.path.as_bytes()),
            ":authority" => Some(self.0.authority.as_bytes()),
            _ => None,
        };
        let named = self.0.headers.iter().filter(move |(each, _)| each.eq_ignore_ascii_case(name));
        pseudo.into_iter().chain(named.map(|(_, value)| value.0.as_slice()))
    }

    fn source_address(&self) -> Option<IpAddr> {
        Some(self.0.source.unwrap_or(Ipv4Addr::LOCALHOST.into()))
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
